# SPDX-License-Identifier: MIT
"""The conjugate prior of a Gaussian mixture, for maximum a posteriori estimates."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from pyvae.errors import WrongValue
from pyvae.mixture.arrays import Array, numbers
from pyvae.mixture.covariance import Moments, Parameters
from pyvae.mixture.sums import Sums


@dataclass(frozen=True)
class ConjugatePrior:
    """Dirichlet on the weights, normal-inverse-Wishart on each mean and covariance.

    It is as good as points that were seen before: ``mean_precision`` of them at ``mean`` in every
    component, with a scatter of ``scatter`` times the identity, and ``weight_concentration - 1``
    that only count. Of variances in place of matrices the prior is an inverse-gamma.

    Attributes
    ----------
    weight_concentration
        alpha of a symmetric Dirichlet, at least 1.
    mean
        m_0, ``(D,)``, an array, a list or a tensor, which is kept as a tuple of numbers; None is
        the mean of the points (zero, where they have no origin).
    mean_precision
        kappa_0 >= 0, in points; 0 leaves the means free.
    scatter
        Psi = scatter I, at least 0; of one variance a component its trace.
    degrees_of_freedom
        nu_0 >= 0; None leaves the covariances free but for ``scatter``.

    Raises
    ------
    ValueError
        If a number is out of its range, or ``mean`` is no row of finite numbers.

    References
    ----------
    Fraley & Raftery (2007), "Bayesian regularization for normal mixture estimation and model-based
    clustering"; Murphy (2012), section 11.4.2.8.
    """

    weight_concentration: float = 1.0
    mean: Array | None = None
    mean_precision: float = 0.0
    scatter: float = 0.0
    degrees_of_freedom: float | None = None

    def __post_init__(self) -> None:
        for name, least in (
            ("weight_concentration", 1.0), ("mean_precision", 0.0), ("scatter", 0.0),
            ("degrees_of_freedom", 0.0),
        ):  # fmt: skip
            value = getattr(self, name)
            if value is not None and not value >= least:
                raise WrongValue(f"{name}={value}; expected at least {least:g}")
        if self.mean is not None:
            mean = numbers(self.mean)
            if mean.ndim != 1 or not mean.isfinite().all():
                raise WrongValue(
                    f"mean has shape {tuple(mean.shape)}; expected (D,) finite numbers, one a "
                    "coordinate"
                )
            # Frozen for others; a tuple compares, copies and is written like the numbers beside it.
            object.__setattr__(self, "mean", tuple(mean.tolist()))

    def about(self, origin: Tensor) -> ConjugatePrior:
        """Give the prior of points from which an origin, their mean, has been subtracted.

        Raises
        ------
        ValueError
            If ``mean`` has another number of coordinates than the points.
        """
        if self.mean is None:
            return self
        if len(self.mean) != len(origin):
            raise WrongValue(
                f"the prior's mean has {len(self.mean)} coordinates, and the points have "
                f"{len(origin)}; give ConjugatePrior a mean of {len(origin)}"
            )
        return replace(self, mean=numbers(self.mean, origin.device) - origin.double())

    def m_step(self, kind: Moments, sums: Sums, reg_covar: float) -> Parameters:
        """Give the parameters that maximise the expected log-joint and the log-prior.

        Raises
        ------
        IllDefined
            If a covariance is not positive definite.
        """
        k, d = sums.first.shape
        centred = about_the_means(kind, sums + self._points(kind, sums.reference))
        divisor = kind.divisor(sums.counts, d) + self._exponent(kind, k, d)
        covariances = kind.covariances(centred, reg_covar, divisor)
        kind.precisions_cholesky(covariances)  # refuses what is none
        counts = sums.counts + (self.weight_concentration - 1.0)
        return Parameters(counts / counts.sum(), centred.reference, covariances)

    def sums_behind(self, kind: Moments, p: Parameters, total: float, reg_covar: float) -> Sums:
        """Give the sums of so many points of which these parameters are the M step: its inverse."""
        k, d = p.means.shape
        more, zero = self.weight_concentration - 1.0, p.means.new_zeros(())
        counts = p.weights / p.weights.sum() * (total + k * more) - more
        counts = counts.clamp_min(0.0)
        seen_before = self._points(kind, p.means)
        divisor = kind.divisor(counts, d) + self._exponent(kind, k, d)
        second = kind.second_sums(p.covariances, reg_covar, divisor) - seen_before.second
        return Sums(zero, zero + total, counts, -seen_before.first, second, p.means)

    def log_density(self, kind: Moments, p: Parameters) -> float:
        """Logarithm of the prior's density, up to a constant."""
        k, d = p.means.shape
        concentration = p.weights.new_full((), self.weight_concentration - 1.0)
        weights = torch.special.xlogy(concentration, p.weights).sum()
        volume = self._exponent(kind, k, d) * kind.log_volume(p.covariances, d).sum()
        distance = kind.mahalanobis(self._points(kind, p.means), p.covariances)
        return (weights - 0.5 * (volume + distance)).item()

    def _exponent(self, kind: Moments, k: int, d: int) -> float:
        return kind.exponent(k, d, self.degrees_of_freedom, self.mean_precision > 0)

    def _points(self, kind: Moments, reference: Tensor) -> Sums:
        """Give the sums of the points that were seen before, about a reference."""
        mean = torch.zeros_like(reference[0])
        mean = mean if self.mean is None else numbers(self.mean, reference.device)
        around = torch.full_like(reference[0], self.scatter)
        return points_before(kind, mean, self.mean_precision, around, reference)


def points_before(
    kind: Moments, mean: Tensor, count: float, around: Tensor, reference: Tensor
) -> Sums:
    """Give the sums of points that a normal-inverse-Wishart prior is as good as.

    ``count`` of them at ``mean (D,)`` in every component, with a scatter of ``around``, ``(D,)``
    or ``(D, D)``, about references ``(K, D)``; their total is left at zero.
    """
    gaps, zero = mean - reference, reference.new_zeros(())
    counts = torch.full_like(reference[:, 0], count)
    second = kind.scatter(gaps, count, around)
    return Sums(zero, zero, counts, count * gaps, second, reference)


def about_the_means(kind: Moments, sums: Sums) -> Sums:
    """Give sums about the means of the points behind them."""
    return sums.about(kind.weights_and_means(sums)[1])
