# SPDX-License-Identifier: MIT
"""Covariances without correlations: a variance a coordinate, or one for all of them."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from pyvae import ops
from pyvae.mixture.factors import IllDefined
from pyvae.mixture.kind import TINY, Parameters
from pyvae.mixture.moments import Moments
from pyvae.mixture.sums import Sums


class Variances(Moments):
    """Variances ``(K, D)``; of one a component ``(K,)``, of one a coordinate ``(D,)``; or one."""

    has_matrices = False

    def __init__(self, name: str, *, tied: bool, isotropic: bool) -> None:
        self.name, self.pooled, self._isotropic = name, tied, isotropic

    def covariances(
        self, sums: Sums, reg_covar: float = 0.0, divisor: Tensor | None = None
    ) -> Tensor:
        divisor = self.divisor(sums.counts, sums.first.shape[1]) if divisor is None else divisor
        return self.compact(sums.second / divisor.clamp_min(TINY)[:, None]) + reg_covar

    def divisor(self, counts: Tensor, d: int) -> Tensor:
        counts = counts.sum(0, keepdim=True) if self.pooled else counts
        return counts * d if self._isotropic else counts

    def second_sums(self, covariances: Tensor, reg_covar: float, divisor: Tensor) -> Tensor:
        return (self.aligned(covariances) - reg_covar) * divisor[:, None]

    def exponent(self, k: int, d: int, degrees: float | None, with_means: bool) -> float:
        of_means = with_means * (d if self._isotropic else 1) * (k if self.pooled else 1)
        return of_means + (0.0 if degrees is None else degrees + 2.0)

    def log_volume(self, covariances: Tensor, d: int) -> Tensor:
        return self.log_determinant(covariances, 1 if self._isotropic else d)

    def second(self, gaps: Tensor, shares: Tensor) -> Tensor:
        squares = shares @ gaps.square()
        return squares.sum(0, keepdim=True) if self._isotropic else squares

    def scatter(self, gaps: Tensor, count: float, more: Tensor) -> Tensor:
        squares = count * gaps.square()
        squares = (squares.sum(0, keepdim=True) if self.pooled else squares) + more
        return squares.sum(1, keepdim=True) if self._isotropic else squares

    def log_prob(self, x: Tensor, p: Parameters) -> Tensor:
        return ops.mixture_log_prob(x, *self._arguments(x, p))

    def posterior(self, x: Tensor, p: Parameters) -> tuple[Tensor, Tensor]:
        return ops.mixture_posterior(x, *self._arguments(x, p))

    def predict(self, x: Tensor, p: Parameters) -> Tensor:
        return ops.mixture_predict(x, *self._arguments(x, p)).component

    def precisions_cholesky(self, covariances: Tensor) -> Tensor:
        wrong = ~(self.aligned(covariances) > 0).all(1)
        if wrong.any():
            raise IllDefined(wrong.nonzero()[:, 0])
        return covariances.rsqrt()

    def precisions(self, cholesky: Tensor) -> Tensor:
        return cholesky.square()

    def from_precisions(self, precisions: Tensor) -> Tensor:
        return 1.0 / precisions

    def shape(self, k: int, d: int) -> tuple[int, ...]:
        return (() if self.pooled else (k,)) + (() if self._isotropic else (d,))

    def aligned(self, covariances: Tensor) -> Tensor:
        found = covariances[None] if self.pooled else covariances
        return found[:, None] if self._isotropic else found

    def compact(self, aligned: Tensor) -> Tensor:
        found = aligned.squeeze(1) if self._isotropic else aligned
        return found[0] if self.pooled else found

    def diagonals(self, covariances: Tensor) -> tuple[Tensor, Tensor]:
        variances = self.aligned(covariances)
        return variances, variances.reciprocal()

    def block(self, covariances: Tensor, columns: Tensor | list[int]) -> Tensor:
        return covariances if self._isotropic else covariances[..., columns]

    def matrices(self, covariances: Tensor, k: int, d: int) -> Tensor:
        return torch.diag_embed(self.aligned(covariances).expand(k, d))

    def parameters(self, k: int, d: int) -> int:
        return math.prod(self.shape(k, d))

    def _spread(self, centred: Sums) -> Tensor:
        d = centred.first.shape[1]
        return centred.second.sum(1) / (d * centred.counts.clamp_min(TINY))

    def _arguments(self, x: Tensor, p: Parameters) -> tuple[Tensor, Tensor, Tensor]:
        means = p.means.to(x.dtype)
        return p.log_weights.to(x.dtype), means, self._logvars(means, p.covariances)

    def _statistics(
        self, x: Tensor, log_weights: Tensor, means: Tensor, covariances: Tensor, w: Tensor | None
    ) -> ops.MixtureStatistics:
        logvars = self._logvars(means, covariances)
        found = ops.mixture_statistics(x, log_weights, means, logvars, w)
        if not self.pooled:
            return found
        return found._replace(sum_dx2=found.sum_dx2.sum(0, keepdim=True))

    def _logvars(self, means: Tensor, covariances: Tensor) -> Tensor:
        """Give what the ops take, ``(K, D|1)``."""
        return self.aligned(covariances).log().to(means.dtype).expand(len(means), -1)

    def log_determinant(self, covariances: Tensor, d: int) -> Tensor:
        return self.aligned(covariances).expand(-1, d).log().sum(1)

    def mahalanobis(self, centred: Sums, covariances: Tensor) -> Tensor:
        return (centred.second / self.aligned(covariances)).sum()
