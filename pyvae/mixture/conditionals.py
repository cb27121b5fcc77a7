# SPDX-License-Identifier: MIT
"""What some coordinates of a fitted mixture say of the others, of many points at a time.

The formulas are the distribution's (:mod:`pyvae.distributions.conditional`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from pyvae.distributions import GaussianMixture as Distribution
from pyvae.distributions import Regression
from pyvae.distributions.columns import Columns, column_indices, require_some
from pyvae.errors import WrongValue
from pyvae.mixture.arrays import Array, as_given, numbers
from pyvae.mixture.covariance import Covariance, Parameters
from pyvae.mixture.missing import patterns

_ELEMENTS = 2**22  # of a tensor of points, components and coordinates


class ConditionalMixtures(NamedTuple):
    """Mixtures of some coordinates given N values of the others: they share their covariances.

    Attributes
    ----------
    weights
        p(z | x_a), ``(N, K)``.
    means
        ``(N, K, Dy)``.
    covariances
        In the shape of the covariance type in Dy dimensions: ``(K, Dy, Dy)``, ``(Dy, Dy)``,
        ``(K, Dy)``, ``(K,)``, ``(Dy,)`` or ``()``.
    """

    weights: Array
    means: Array
    covariances: Array


def marginal(kind: Covariance, p: Parameters, columns: Sequence[int]) -> Parameters:
    """Give the parameters of some coordinates: of a covariance that is its block."""
    require_some(columns, p.means.shape[1], "marginal")
    kept = list(columns)
    return p._replace(means=p.means[:, kept], covariances=kind.block(p.covariances, kept))


def given_values(values: Array, p: Parameters) -> tuple[Tensor, Parameters]:
    """Give values as a tensor, ``(a,)`` or ``(N, a)``, and the parameters on its device.

    Raises
    ------
    ValueError
        If they are no such numbers.
    """
    try:
        found = numbers(values)
    except (TypeError, ValueError):
        raise WrongValue(
            "values are no array of numbers; give (a,), or (N, a) of N points"
        ) from None
    if found.ndim not in (1, 2):
        raise WrongValue(
            f"values have shape {tuple(found.shape)}; expected (a,), or (N, a) of N points"
        )
    return found, p.to(found.device)


def regression(
    mixture: Distribution, given: Sequence[int], values: Array, x: Tensor, full_covariance: bool
) -> Regression:
    """Give E[y | x] and the variances or the covariance of y, some points at a time."""
    k, d = mixture.means.shape
    step = _rows(k, d, d if full_covariance else 1)
    parts = [
        mixture.regress(given, part, full_covariance=full_covariance)
        for part in (x[None] if x.ndim == 1 else x).split(step)
    ]
    mean, spread = (torch.cat(same) for same in zip(*parts, strict=True))
    one = x.ndim == 1
    return Regression(*(as_given(values, part[0] if one else part) for part in (mean, spread)))  # type: ignore[arg-type]


def impute(mixture: Distribution, x: Tensor, n_draws: int | None) -> Tensor:
    """Give points with what is NaN replaced, ``(N, D)``; with draws, ``(n_draws, N, D)``.

    Without draws by the conditional mean, E[x_missing | x_seen]; otherwise by points of the
    conditional mixture, from torch's generator.
    """
    found = x.clone() if n_draws is None else x.repeat(n_draws, 1, 1)
    k, d = mixture.means.shape
    for rows, seen in patterns(x):
        here, there = (part.nonzero()[:, 0] for part in (seen, ~seen))
        if len(there):
            for part in rows.split(_rows(k, d, 1 if n_draws is None else d + n_draws)):
                rest = mixture.condition(here, x[part][:, here])
                filled = rest.mean if n_draws is None else rest.sample((n_draws,))
                found[..., part[:, None], there] = filled
    return found


@contextmanager
def seeded(random: np.random.RandomState, device: torch.device) -> Iterator[None]:
    """Let torch's generators start from a number of another, and put them back afterwards."""
    seed = int(random.randint(np.iinfo(np.int32).max))
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.default_generator.manual_seed(seed)  # and no other device's
        if device.type == "cuda":
            with torch.cuda.device(device):
                torch.cuda.manual_seed(seed)
        yield


def read_columns(estimator: Any, columns: Columns, dimension: int, caller: str) -> list[int]:
    """Give the coordinates that are meant; by name too, where the fit's data had names."""
    names = getattr(estimator, "feature_names_in_", None)
    return column_indices(columns, dimension, caller, None if names is None else list(names))


def _rows(k: int, d: int, more: int) -> int:
    return max(1, _ELEMENTS // max(1, k * d * more))
