# SPDX-License-Identifier: MIT
"""A mixture of Student t distributions as a model that EM can fit.

Hidden are the component z and the scale u of its precision (:mod:`pyvae.mixture.student_t`), so

    F = sum_nk r_nk (log pi_k + E[log N(x_n; mu_k, Sigma_k / u)] + E[log Gamma(u; nu_k/2, nu_k/2)])
        + H(q(z)) + sum_nk r_nk H(q(u_n | z_n = k)).

Its terms of mu and Sigma are a Gaussian's, of points with weights r E[u]; those of nu have a
maximum of their own. So the M step is exact in all of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import Any

import torch
from torch import Tensor

from pyvae.mixture import student_t
from pyvae.mixture.covariance import LOG_2PI, Moments, Parameters
from pyvae.mixture.gaussian_em import GaussianEM
from pyvae.mixture.kind import TINY
from pyvae.mixture.labels import Labels
from pyvae.mixture.sums import Sums

_ELEMENTS = 2**20  # responsibilities at a time


@dataclass(frozen=True)
class StudentTSums(Sums):
    """Sums whose shares are r_nk E[u_nk], w_n r_nk themselves apart.

    Attributes
    ----------
    points
        sum_n r_nk, ``(K,)``.
    log_scales
        sum_n r_nk (E[log u_nk] - E[u_nk]), ``(K,)``: all that is known of the degrees of freedom.
    """

    points: Tensor
    log_scales: Tensor


class StudentTEM(GaussianEM):
    """A mixture of Student t distributions.

    Parameters
    ----------
    kind, parameters
        As :class:`GaussianEM`'s, with scale matrices in the place of covariances.
    degrees
        Degrees of freedom to start from, ``(K,)``.
    fitted
        Whether an M step changes these.
    tied
        Whether they are one number for all.
    options
        As :class:`GaussianEM`'s, but for a prior and what is incomplete.
    """

    def __init__(
        self,
        kind: Moments,
        parameters: Parameters,
        *,
        degrees: Tensor,
        fitted: bool = True,
        tied: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(kind, parameters, **options)
        self.degrees, self._fitted, self._tied = degrees, fitted, tied

    def sums(self, x: Tensor, weight: Tensor | None, labels: Labels | None = None) -> Sums:
        """Give the sums of one chunk of points."""
        step = max(1, _ELEMENTS // len(self.degrees))
        return reduce(
            add,
            (
                self._some(
                    x[some],
                    None if weight is None else weight[some],
                    None if labels is None else labels.of(some),
                )
                for some in (slice(at, at + step) for at in range(0, len(x), step))
            ),
        )

    def sums_behind(self, total: float) -> Sums:
        """Give the sums of so many points of which the present parameters are the M step.

        Where EM has ended sum_n r_nk E[u_nk] is sum_n r_nk, since E[u] (nu + delta) is nu + D, and
        the mean of E[u] delta is D (Kent, Tyler & Vardi, 1994).
        """
        p, half, zero = self.parameters, 0.5 * self.degrees, self.degrees.new_zeros(())
        points = p.weights / p.weights.sum() * total
        divisor = self._moments.divisor(points, p.means.shape[1])
        second = self._moments.second_sums(p.covariances, self.reg_covar, divisor)
        log_scales = points * (torch.digamma(half) - half.log() - 1.0)
        first = torch.zeros_like(p.means)
        return StudentTSums(zero, zero + total, points, first, second, p.means, points, log_scales)

    def _some(self, x: Tensor, weight: Tensor | None, labels: Labels | None) -> Sums:
        degrees, d = self.degrees, x.shape[1]
        joint, distance, excess = student_t.log_joint(self._moments, x, self.parameters, degrees)
        joint = joint if labels is None else joint + labels.dense(joint.shape[1])
        log_prob = joint.logsumexp(1)
        shares = (joint - log_prob[:, None]).exp()
        weight = torch.ones_like(log_prob) if weight is None else weight.double()
        shares = shares * weight[:, None]
        scaled = shares * ((degrees + d) / (degrees + distance))
        found = self._by_component([(x, each) for each in scaled.to(x.dtype).T.contiguous()])
        points = shares.sum(0)
        log_scales = student_t.log_scale_of_the_mean(degrees, d) * points
        log_scales = log_scales - torch.linalg.vecdot(shares, excess, dim=0)
        return StudentTSums(
            weight @ log_prob,
            weight.sum(),
            found.counts,
            found.first,
            found.second,
            found.reference,
            points,
            log_scales - scaled.sum(0),
        )

    def _expected(self, sums: Sums) -> Tensor:
        assert isinstance(sums, StudentTSums)
        p, half, d = self.parameters, 0.5 * self.degrees, sums.first.shape[1]
        chosen = torch.where(sums.points > 0, sums.points * p.log_weights, 0.0)
        spread = self._moments.log_determinant(p.covariances, d) + d * LOG_2PI
        gamma = half * half.log() - torch.lgamma(half)
        terms = chosen + sums.points * (gamma - 0.5 * spread) + half * sums.log_scales
        distance = self._moments.mahalanobis(sums.about(p.means), p.covariances)
        return terms.sum() - 0.5 * distance

    def _explained(self, x: Tensor) -> tuple[Tensor, Tensor]:
        d = x.shape[1]
        joint, _, excess = student_t.log_joint(self._moments, x, self.parameters, self.degrees)
        log_scale = student_t.log_scale_of_the_mean(self.degrees, d) - excess
        entropy = student_t.entropy(log_scale, self.degrees, d)
        # Of E[log N] and E[log Gamma] these terms of E[log u] have no parameter.
        return joint.log_softmax(1), entropy + (0.5 * d - 1.0) * log_scale

    def _maximum(self, sums: Sums) -> Parameters:
        assert isinstance(sums, StudentTSums)
        _, means = self.kind.weights_and_means(sums)
        divisor = self._moments.divisor(sums.points, means.shape[1])
        scales = self._moments.covariances(sums.about(means), self.reg_covar, divisor)
        self._moments.precisions_cholesky(scales)  # refuses what is none
        if self._fitted:
            self.degrees = self._best_degrees(sums)
        return Parameters(sums.points / sums.points.sum(), means, scales)

    def _best_degrees(self, sums: StudentTSums) -> Tensor:
        points, log_scales = sums.points, sums.log_scales
        if self._tied:
            points, log_scales = (part.sum().expand_as(part) for part in (points, log_scales))
        found = student_t.best_degrees(-log_scales / points.clamp_min(TINY) - 1.0)
        return torch.where(points > 0, found, self.degrees)  # without points they stay
