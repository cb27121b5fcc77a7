# SPDX-License-Identifier: MIT
"""What a Gaussian is fitted to: anything with a log-density, seen as points of D coordinates."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.distributions import Distribution

from pyvae.distributions import GaussianMixture
from pyvae.errors import WrongType, WrongValue

_WIDE = 18.0  # sinh of it is 3e7: how far from zero a density in one dimension is looked for
_POINTS = 200_001


class Target:
    """A target's log-density, and of its moments what it knows itself.

    Parameters
    ----------
    target
        Has ``log_prob``; a distribution of torch's, as a rule.
    dimension
        D, where the target has no ``event_shape``.

    Raises
    ------
    TypeError
        If the target has no ``log_prob``.
    ValueError
        If D cannot be told, or the target is a batch.
    """

    def __init__(self, target: Any, dimension: int | None = None) -> None:
        if not callable(getattr(target, "log_prob", None)):
            raise WrongType(
                f"target is {type(target).__name__}, which has no log_prob(x); expected a "
                "distribution of torch's, or any object with one"
            )
        if isinstance(target, GaussianMixture):
            doubled = {name: getattr(target, name).double() for name in target.arg_constraints}
            target = GaussianMixture(**doubled, validate_args=False)
        self._target = target
        shape = getattr(target, "event_shape", None)
        if getattr(target, "batch_shape", ()):
            raise WrongValue(
                f"target has the batch shape {tuple(target.batch_shape)}; fit one at a time"
            )
        if shape is None and dimension is None:
            raise WrongValue("target has no event_shape; pass dimension=D")
        self.scalar = shape is not None and len(shape) == 0
        given = dimension if shape is None else (1 if self.scalar else int(shape[0]))
        self.dimension = 0 if given is None else given
        if self.dimension < 1:
            raise WrongValue(f"target has {self.dimension} dimensions; expected at least 1")

    def log_prob(self, x: Tensor) -> Tensor:
        """Log-density at ``(N, D)``, ``(N,)``, in float64."""
        found = self._target.log_prob(x.squeeze(-1) if self.scalar else x)
        return found.double()

    def sample(self, count: int) -> Tensor | None:
        """Points ``(count, D)``, or None where the target draws none."""
        draw = getattr(self._target, "sample", None)
        if draw is None:
            return None
        return draw((count,)).double().reshape(count, self.dimension)

    def moments(self) -> tuple[Tensor, Tensor] | None:
        """Mean ``(D,)`` and covariance ``(D, D)`` where the target knows them."""
        covariance = getattr(self._target, "covariance_matrix", None)
        if covariance is None and self.dimension == 1:
            variance = _known(self._target, "variance")
            covariance = None if variance is None else variance.reshape(1, 1)
        mean = _known(self._target, "mean")
        if mean is None or covariance is None:
            return None
        return mean.double().reshape(self.dimension), covariance.double()

    def grid_moments(self) -> tuple[Tensor, Tensor]:
        """The same in one dimension by quadrature: of all that is near, then of what was found."""
        t = torch.linspace(-_WIDE, _WIDE, _POINTS, dtype=torch.float64)
        mean, variance = self._integrated(torch.sinh(t), torch.cosh(t) * (t[1] - t[0]))
        for _ in range(2):
            x = line(mean, variance.sqrt(), 20.0)
            mean, variance = self._integrated(x, (x[1] - x[0]).expand_as(x))
        return mean.reshape(1), variance.reshape(1, 1)

    def _integrated(self, x: Tensor, cell: Tensor) -> tuple[Tensor, Tensor]:
        log_mass = self.log_prob(x[:, None]).nan_to_num(nan=-math.inf) + cell.log()
        if not (log_mass > -math.inf).any():
            raise WrongValue("target has no density on the line; is its log_prob -inf everywhere?")
        shares = torch.softmax(log_mass, 0)
        mean = shares @ x
        return mean, shares @ (x - mean).square()


def line(centre: Tensor, scale: Tensor, reach: float) -> Tensor:
    """Evenly spaced points about a centre."""
    steps = torch.linspace(-reach, reach, _POINTS, dtype=torch.float64)
    return centre.reshape(()) + scale.reshape(()) * steps


def _known(target: Any, name: str) -> Tensor | None:
    try:
        value = getattr(target, name, None)
    except NotImplementedError:
        return None
    known = isinstance(value, Tensor) and bool(value.isfinite().all())
    return value if known and isinstance(target, Distribution) else None
