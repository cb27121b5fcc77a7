# SPDX-License-Identifier: MIT
"""Variational Bayes for a Gaussian mixture: the prior of its parameters, and their posterior.

A priori the precisions are Wishart, each mean is normal given its component's, and the weights are
Dirichlet or from a Dirichlet process. The posterior q is of the same family, in which the kinds of
covariance are restrictions of the Wishart distributions: none, one for all components (``tied``),
a diagonal scale (``diag``), a scale in proportion to the identity (``spherical``), and either of
these for all components (``tied_diag``, ``tied_spherical``).

Source: Bishop (2006), section 10.2, and appendix B for the distributions; docs/theory.md has the
restrictions.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from pyvae.mixture.concentration import Weights, expected_logs, log_partition
from pyvae.mixture.covariance import LOG_2PI, Moments, Parameters
from pyvae.mixture.factors import IllDefined
from pyvae.mixture.prior import about_the_means, points_before
from pyvae.mixture.sums import Sums

_SINGULAR = (
    "covariance_prior, which holds up those of few points, is singular itself (None is the "
    "covariance of X). Give one that is positive definite, increase reg_covar, or scale X"
)
_NOTHING = 1e-9  # of reg_covar: a variance that is none beside it


@dataclass(frozen=True)
class ParameterPosterior:
    """q of weights, means and precisions, in float64.

    Attributes
    ----------
    kind, weights
        Of covariance, and of the weights' distribution.
    concentrations
        Of the latter.
    mean_precision
        beta, ``(K,)``: given its precision matrix L a mean is N(m, (beta L)^-1).
    means
        m, ``(K, D)``.
    degrees
        nu, ``(K,)``, of the Wishart distributions W(W, nu) of the precision matrices.
    covariances
        (nu W)^-1, the inverse of their mean, in the shape of its kind.
    """

    kind: Moments
    weights: Weights
    concentrations: Tensor
    mean_precision: Tensor
    means: Tensor
    degrees: Tensor
    covariances: Tensor

    def expected(self) -> Parameters:
        """Give what an E step needs: E_q[log p(x, z = k)] is a score and a Gaussian log-density.

        That is at m with precision nu W, so the score is E[log pi] and half of
        E[log |L|] - log |nu W| - D / beta (Bishop, equations 10.46 and 10.64 to 10.66).
        """
        spread = self._digammas() - self.means.shape[1] / self.mean_precision
        scores = self.weights.mean_logs(self.concentrations) + 0.5 * spread
        means = self.weights.means(self.concentrations)
        return Parameters(means, self.means, self.covariances, scores)

    def tensors(self) -> list[Tensor]:
        """Give the numbers, which another posterior of the same kinds is made of."""
        return [getattr(self, name) for name in _NUMBERS]

    def of(self, tensors: Iterable[Tensor]) -> ParameterPosterior:
        """Give a posterior of the same kinds with other numbers."""
        return replace(self, **dict(zip(_NUMBERS, tensors, strict=True)))

    def log_partition(self) -> Tensor:
        """Logarithm of the normalising constants, ``()``, but for powers of 2 pi in the means'."""
        d = self.means.shape[1]
        volume = self.kind.log_determinant(self.covariances, d) + d * (0.5 * self.degrees).log()
        wishart = torch.special.multigammaln(0.5 * self.degrees, d) - 0.5 * self.degrees * volume
        of_means = 0.5 * d * self.mean_precision.log()
        return log_partition(self.concentrations) + (wishart - of_means).sum()

    def log_volumes(self) -> Tensor:
        """E[log |L|] of the precision matrices L, ``(K,)`` (Bishop, equation 10.65)."""
        return self._digammas() - self.kind.log_determinant(self.covariances, self.means.shape[1])

    def _digammas(self) -> Tensor:
        """E[log |L|] - log |nu W|, ``(K,)``."""
        d, half = self.means.shape[1], 0.5 * self.degrees
        steps = 0.5 * torch.arange(d).to(half)
        return torch.digamma(half[:, None] - steps).sum(1) - d * half.log()


_NUMBERS = ("concentrations", "mean_precision", "means", "degrees", "covariances")


@dataclass(frozen=True)
class ParameterPrior:
    """p of the parameters, the same of every component.

    Attributes
    ----------
    concentration
        alpha_0 of the Dirichlet distribution, gamma of the Dirichlet process.
    mean_precision, mean, degrees
        beta_0, m_0 ``(D,)``, nu_0 > D - 1.
    covariance
        W_0^-1, in the shape of its kind of one component: ``(D, D)``, ``(D,)`` or ``()``.
    """

    kind: Moments
    weights: Weights
    concentration: float
    mean_precision: float
    mean: Tensor
    degrees: float
    covariance: Tensor

    def posterior(self, sums: Sums, reg_covar: float) -> ParameterPosterior:
        """M step: the q of the largest bound (Bishop, equations 10.58 to 10.63).

        ``reg_covar`` is added to the covariance of each component's points; where the prior's own
        is singular, a component of less than one point is held up as if it had one.

        Raises
        ------
        IllDefined
            If a covariance is not positive definite, which takes a prior whose own is not.
        """
        kind, counts = self.kind, sums.counts
        centred = about_the_means(kind, sums + self._points(sums.reference))
        centred = replace(centred, second=centred.second + self._held_up(counts, reg_covar))
        degrees = self.degrees + (counts.mean().expand_as(counts) if kind.pooled else counts)
        divisor = kind.divisor(degrees, sums.first.shape[1])
        covariances = kind.covariances(centred, divisor=divisor)
        try:
            kind.precisions_cholesky(covariances)
        except IllDefined as error:
            raise IllDefined(torch.tensor(error.components), _SINGULAR) from None
        return ParameterPosterior(
            kind,
            self.weights,
            self.weights.given(self.concentration, counts),
            self.mean_precision + counts,
            centred.reference,
            degrees,
            covariances,
        )

    def sums_behind(self, q: ParameterPosterior, reg_covar: float) -> Sums:
        """Give the sums of which q is the M step: its inverse."""
        kind, zero = self.kind, q.means.new_zeros(())
        counts = (q.mean_precision - self.mean_precision).clamp_min(0.0)
        before = self._points(q.means)
        divisor = kind.divisor(q.degrees, q.means.shape[1])
        second = kind.second_sums(q.covariances, 0.0, divisor) - before.second
        second = second - self._held_up(counts, reg_covar)
        return Sums(zero, counts.sum(), counts, -before.first, second, q.means)

    def log_density(self, q: ParameterPosterior) -> float:
        """-KL(q || p), but for p's normalising constant, in nats.

        So it is finite where a covariance of the prior is singular.
        """
        d, kind = q.means.shape[1], self.kind
        prior = self.weights.given(self.concentration, torch.zeros_like(q.mean_precision))
        of_weights = (q.concentrations - prior) * expected_logs(q.concentrations)
        of_volumes = (q.degrees - self.degrees) * q.log_volumes()
        of_means = d - d * self.mean_precision / q.mean_precision
        terms = (d * q.degrees - of_volumes + of_means).sum()
        distance = kind.mahalanobis(self._points(q.means), q.covariances)
        return (q.log_partition() - of_weights.sum() + 0.5 * (terms - distance)).item()

    def log_partition(self, k: int) -> float:
        """As the posterior's, of k components; infinite where the covariance is singular."""
        d, ones = len(self.mean), self.mean.new_ones(k)
        covariances = (self.covariance / self.degrees).expand(self.kind.shape(k, d))
        p = ParameterPosterior(
            self.kind,
            self.weights,
            self.weights.given(self.concentration, 0.0 * ones),
            self.mean_precision * ones,
            self.mean.expand(k, d),
            self.degrees * ones,
            covariances,
        )
        try:
            return p.log_partition().item()
        except IllDefined:
            return math.inf

    def is_singular(self, reg_covar: float) -> bool:
        """Tell whether the covariance has a direction without variance, beside ``reg_covar``."""
        return self._least_variance <= _NOTHING * reg_covar

    def _held_up(self, counts: Tensor, reg_covar: float) -> Tensor:
        """Second sums that ``reg_covar`` adds to those of so many points."""
        kind, none = self.kind, self.mean.new_zeros(1, len(self.mean))
        if self.is_singular(reg_covar):
            counts = counts.clamp_min(1.0)
        of_a_point = kind.scatter(none, 0.0, torch.full_like(self.mean, reg_covar))
        number = kind.divisor(counts, 1)
        return number.reshape(-1, *[1] * (of_a_point.ndim - 1)) * of_a_point

    @cached_property
    def _least_variance(self) -> float:
        if not self.kind.has_matrices:
            return self.covariance.min().item()
        return torch.linalg.eigvalsh(self.covariance).min().item()

    def _points(self, reference: Tensor) -> Sums:
        around = self.covariance if self.covariance.ndim else self.covariance.expand_as(self.mean)
        around = around * len(reference) if self.kind.pooled else around
        return points_before(self.kind, self.mean, self.mean_precision, around, reference)


def constant(k: int, d: int, total: float) -> float:
    """Give by how much scikit-learn's bound is above the whole of which it leaves out constants.

    But for the prior's: these are pi's of ``total`` points and of the Wishart distributions.
    """
    log_pi = math.log(math.pi)
    return 0.5 * total * d * LOG_2PI - 0.25 * k * d * (d - 1) * log_pi
