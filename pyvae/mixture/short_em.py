# SPDX-License-Identifier: MIT
"""A start from short runs of EM, of which the one of the largest likelihood goes on.

k-means has round clusters of one size: it cuts through long ones, and EM stays where it is put.
Here each run begins with twice as many components as asked for, which a cluster of any shape is
covered by; EM fits them, those that lose least by it are merged, and EM fits what is left. The
runs begin at points that are far apart in the points' own units, or in invariant ones; and once
more at the halves of the components that the best of these has found.

Source: Biernacki, Celeux & Govaert (2003), "Choosing starting values for the EM algorithm"; for
splits and merges Ueda, Nakano, Ghahramani & Hinton (2000), "SMEM algorithm for mixture models".
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from pyvae.mixture import missing
from pyvae.mixture.covariance import Moments, Parameters
from pyvae.mixture.factors import IllDefined
from pyvae.mixture.gaussian_em import m_step
from pyvae.mixture.invariant_coordinates import invariant_scale
from pyvae.mixture.kind import TINY
from pyvae.mixture.merging import merged
from pyvae.mixture.points import Points
from pyvae.mixture.seeding import nearest, seeds
from pyvae.mixture.sums import Sums

_STEPS = 3  # of EM, before and after the merges
_LEAST_ROWS = 1000
_ROWS, _ROWS_BY_DIMENSION = 64, 4  # for each component; the latter of matrices
_ROWS_A_SEED = 8
_MORE = 1e-6  # nats a point
_FEW = 50  # points for each component
_HALF = math.sqrt(2.0 / math.pi)  # mean of half a standard Gaussian
_LEAST_SPREAD = 1e-6  # share of the variance
_POWERS = 4  # steps of power iteration towards the longest axis


class Run(NamedTuple):
    """What a run of EM has come to: the mixture, and its E step's sums."""

    parameters: Parameters
    sums: Sums


@dataclass(frozen=True)
class ShortEM:
    """Short runs of EM for a start.

    Attributes
    ----------
    kind
        Of covariance.
    x
        Points ``(N, D)`` in float64, about an origin amid them; NaN was not observed.
    weight
        ``(N,)`` in float64, above zero.
    num_components
        K.
    reg_covar
        Added to the variances by the M step.
    """

    kind: Moments
    x: Tensor
    weight: Tensor
    num_components: int
    reg_covar: float

    @staticmethod
    def on_a_sample(
        kind: Moments, points: Points, num_components: int, reg_covar: float
    ) -> ShortEM:
        """Make them on as many points as such a number of components needs."""
        each = max(_ROWS, _ROWS_BY_DIMENSION * points.dimension * kind.has_matrices)
        rows, weight = points.sample(max(_LEAST_ROWS, each * num_components))
        rows = rows if weight is None else rows[weight > 0]
        weight = rows.new_ones(len(rows)) if weight is None else weight[weight > 0]
        return ShortEM(kind, rows.double(), weight.double(), num_components, reg_covar)

    def best_sums(self, random: np.random.RandomState) -> Sums | None:
        """Give the sums of the best run's responsibilities; None where no run has covariances."""
        scale = invariant_scale(self.kind, self._filled, self.weight)
        best = self._better(None, lambda: self._seeded(random, None))
        best = self._better(best, lambda: self._seeded(random, scale))
        if best is not None:
            p = best.parameters
            best = self._better(best, lambda: self._halves(p, random))
        return None if best is None else best.sums

    def _better(self, best: Run | None, begin: Callable[[], Parameters]) -> Run | None:
        """Give the better of a run and one that begins there, if that has covariances."""
        try:
            run = self._run(begin())
        except IllDefined:
            return best
        reached = run.sums.log_likelihood / run.sums.total
        if not reached.isfinite():
            return best
        # Of runs that are equal but for rounding and the order of components it is the first.
        least = -math.inf if best is None else best.sums.log_likelihood / best.sums.total + _MORE
        return run if reached > least else best

    def _run(self, p: Parameters) -> Run:
        """Fit more components than asked for, merge, fit these, and give the last E step."""
        p = self._fitted(p)
        sums = self._smoothed(self._e_step(p))
        few = merged(self.kind, sums, self.num_components, self.reg_covar)
        p = self._fitted(m_step(self.kind, few, self.reg_covar))
        sums = self._e_step(p)
        m_step(self.kind, sums, self.reg_covar)  # refuses what EM cannot go on from
        return Run(p, sums)

    def _fitted(self, p: Parameters) -> Parameters:
        for _ in range(_STEPS):
            p = m_step(self.kind, self._smoothed(self._e_step(p)), self.reg_covar)
        return p

    def _e_step(self, p: Parameters) -> Sums:
        if self._incomplete:
            return missing.sums(self.kind, self.x, self.weight, p)
        return self.kind.sums(self.x, self.weight, p)

    def _smoothed(self, sums: Sums) -> Sums:
        """Give every component one more point, or less of few, with its share of all's spread.

        So none can close in on some points, whose likelihood has no bound.

        References
        ----------
        Fraley & Raftery (2007), "Bayesian regularization for normal mixture estimation and
        model-based clustering", for the share K^(-2/D).
        """
        sums = sums.about(self.kind.weights_and_means(sums)[1])
        k, d = sums.first.shape
        one = (sums.total / (_FEW * k)).clamp_max(1.0)
        around = one * self._spread / k ** (2.0 / d) * (k if self.kind.pooled else 1)
        more = self.kind.scatter(torch.zeros_like(sums.first), 1.0, around)
        return replace(sums, counts=sums.counts + one, second=sums.second + more)

    def _seeded(self, random: np.random.RandomState, scale: Tensor | None) -> Parameters:
        """Equal components at points far apart, in the units y of x = A y, or in their own."""
        kind, count = self.kind, min(len(self.x), 2 * self.num_components)
        some = slice(None, None, max(1, len(self.x) // max(_LEAST_ROWS, _ROWS_A_SEED * count)))
        x, weight = self._filled[some], self.weight[some]
        d = x.shape[1]
        y = x if scale is None else torch.linalg.solve(scale, x.mT).mT.contiguous()
        rows = seeds(y, weight, count, random, trials=1)
        variance = (weight @ nearest(y, y[rows])) / (weight.sum() * d)
        identity = torch.eye(d, dtype=x.dtype, device=x.device)
        matrix = identity if scale is None else scale @ scale.mT
        around = variance * matrix + _LEAST_SPREAD * torch.diag(self._variances)
        around = around if kind.has_matrices else torch.diagonal(around)
        means, one = x[rows], x.new_ones(count)
        second = kind.scatter(torch.zeros_like(means), 1.0, around * (count if kind.pooled else 1))
        sums = Sums(one[0], one.sum(), one, torch.zeros_like(means), second, means)
        return Parameters(one / count, means, kind.covariances(sums))

    def _halves(self, p: Parameters, random: np.random.RandomState) -> Parameters:
        """Components side by side in the place of each, along its longest axis."""
        kind, (k, d) = self.kind, p.means.shape
        more = min(k, len(self.x) - k)
        chosen = torch.from_numpy(random.permutation(k)[:more]).to(p.means.device)
        covariances = kind.aligned(p.covariances)
        some = covariances if kind.pooled else covariances[chosen]
        axis = torch.from_numpy(random.standard_normal((more, d))).to(p.means)
        for _ in range(_POWERS):
            axis = (some @ axis[:, :, None])[:, :, 0] if kind.has_matrices else some * axis
            axis = axis / axis.norm(dim=1, keepdim=True).clamp_min(TINY)
        along = (some @ axis[:, :, None])[:, :, 0] if kind.has_matrices else some * axis
        offsets = _HALF * axis * (axis * along).sum(1, keepdim=True).sqrt()
        weights, means = p.weights.clone(), p.means.clone()
        weights[chosen] *= 0.5
        means[chosen] += offsets
        return Parameters(
            torch.cat([weights, weights[chosen]]),
            torch.cat([means, p.means[chosen] - offsets]),
            p.covariances if kind.pooled else kind.compact(torch.cat([covariances, some])),
        )

    @cached_property
    def _incomplete(self) -> bool:
        return bool(self.x.isnan().any())

    @cached_property
    def _filled(self) -> Tensor:
        return self.x.nan_to_num(nan=0.0) if self._incomplete else self.x

    @cached_property
    def _variances(self) -> Tensor:
        share = self.weight / self.weight.sum()
        return share @ (self._filled - share @ self._filled).square()

    @cached_property
    def _spread(self) -> Tensor:
        """Of all points ``(D, D)``, or ``(D,)`` of variances alone."""
        if not self.kind.has_matrices:
            return self._variances
        share = self.weight / self.weight.sum()
        gaps = self._filled - share @ self._filled
        return (gaps * share[:, None]).mT @ gaps
