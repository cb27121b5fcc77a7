# SPDX-License-Identifier: MIT
"""The prior that a Bayesian mixture is told of, and what stands for what it is not told."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from pyvae.errors import WrongValue
from pyvae.mixture.arrays import Array
from pyvae.mixture.concentration import Weights
from pyvae.mixture.covariance import Moments
from pyvae.mixture.factors import IllDefined
from pyvae.mixture.points import Points
from pyvae.mixture.processes import Processes
from pyvae.mixture.start import shaped
from pyvae.mixture.sums import Sums
from pyvae.mixture.variational import ParameterPrior


class ToldPrior(NamedTuple):
    """The prior's numbers as they were passed; None where nothing is said.

    Then 1/K stands for the concentration, 1 for the mean's precision, D for the degrees of
    freedom, and the points' own mean and covariance for theirs, as in scikit-learn.
    """

    concentration: float | None
    mean_precision: float | None
    mean: Array | None
    degrees: float | None
    covariance: Array | None

    def checked(
        self, kind: Moments, weights: Weights, k: int, points: Points, processes: Processes
    ) -> ParameterPrior:
        """Give the prior of these points, about their origin.

        Raises
        ------
        ValueError
            If a number is out of its range or of another shape, the covariance is not positive
            definite, or none is given and the points' weights sum to one or less.
        """
        d, origin = points.dimension, points.origin.double()
        degrees = float(d if self.degrees is None else self.degrees)
        if not degrees > d - 1:
            raise WrongValue(
                "The parameter 'degrees_of_freedom_prior' should be greater than "
                f"{d - 1}, but got {degrees:.3f}."
            )
        mean = covariance = None
        if self.mean is not None:
            mean = shaped("means", self.mean, (d,), origin.device)
            if not mean.isfinite().all():
                raise WrongValue("The parameter 'mean_prior' holds NaN or infinity")
            mean = mean - origin
        if self.covariance is not None:
            covariance = _positive(kind, self.covariance, d, origin.device)
        if mean is None or covariance is None:
            sums = _sums(kind, points, processes)
            mean = (sums.first / sums.counts)[0] if mean is None else mean
            covariance = _covariance(kind, sums, d) if covariance is None else covariance
        return ParameterPrior(
            kind,
            weights,
            1.0 / k if self.concentration is None else float(self.concentration),
            1.0 if self.mean_precision is None else float(self.mean_precision),
            mean,
            degrees,
            covariance,
        )


def shape_of_one(kind: Moments, d: int) -> tuple[int, ...]:
    """Shape of one component's covariance."""
    shape = kind.shape(1, d)
    return shape if kind.pooled else shape[1:]


def _positive(kind: Moments, value: Array, d: int, device: torch.device) -> Tensor:
    found = shaped(f"{kind.name} covariance_prior", value, shape_of_one(kind, d), device)
    words = f"The parameter '{kind.name} covariance_prior' should be "
    words += "symmetric, positive-definite" if kind.has_matrices else "positive"
    if kind.has_matrices and not torch.allclose(found, found.mT):
        raise WrongValue(words)
    try:
        kind.precisions_cholesky(found.expand(kind.shape(1, d)))
    except IllDefined:
        raise WrongValue(words) from None
    return found


def _sums(kind: Moments, points: Points, processes: Processes) -> Sums:
    """Sums of all points about their origin; what is missing stands at its coordinate's mean."""
    zero = points.origin.new_zeros((), dtype=torch.float64)
    reference = points.origin.new_zeros(1, points.dimension, dtype=torch.float64)
    parts = []
    for rows, weight in points.chunks():
        x = rows.double()
        x = x.nan_to_num(nan=0.0) if x.isnan().any() else x
        share = x.new_ones(len(x)) if weight is None else weight.double()
        first, second = (share @ x)[None], kind.second(x, share)[None]
        parts.append(Sums(zero, share.sum(), share.sum()[None], first, second, reference))
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return processes.added(total)


def _covariance(kind: Moments, sums: Sums, d: int) -> Tensor:
    """Covariance of all points, divided by one less than their number."""
    count = sums.counts.item()
    if not count > 1:
        raise WrongValue(
            f"the weights of the points sum to {count:g}, and the covariance that stands for "
            "covariance_prior divides by one less: give a covariance_prior"
        )
    centred = sums.about(sums.first / sums.counts[:, None])
    divisor = kind.divisor(sums.counts - 1.0, d)
    return kind.covariances(centred, divisor=divisor).reshape(shape_of_one(kind, d))
