# SPDX-License-Identifier: MIT
"""Covariances that are matrices: one a component, or one for all of them."""

from __future__ import annotations

import torch
from torch import Tensor

from pyvae import ops
from pyvae.mixture.factors import Factors
from pyvae.mixture.kind import TINY, Parameters
from pyvae.mixture.moments import Moments
from pyvae.mixture.sums import Sums


class Matrices(Moments):
    """Matrices ``(K, D, D)``, or ``(D, D)``: one for all components."""

    has_matrices = True

    def __init__(self, name: str, *, tied: bool) -> None:
        self.name, self.pooled = name, tied
        self._factors = Factors()

    def covariances(
        self, sums: Sums, reg_covar: float = 0.0, divisor: Tensor | None = None
    ) -> Tensor:
        divisor = self.divisor(sums.counts, sums.first.shape[1]) if divisor is None else divisor
        found = sums.second / divisor.clamp_min(TINY)[:, None, None]
        return self.compact(found + reg_covar * _identity(found))

    def divisor(self, counts: Tensor, d: int) -> Tensor:
        return counts.sum(0, keepdim=True) if self.pooled else counts

    def second_sums(self, covariances: Tensor, reg_covar: float, divisor: Tensor) -> Tensor:
        found = self.aligned(covariances)
        return (found - reg_covar * _identity(found)) * divisor[:, None, None]

    def exponent(self, k: int, d: int, degrees: float | None, with_means: bool) -> float:
        of_means = with_means * (k if self.pooled else 1)
        return of_means + (0.0 if degrees is None else degrees + d + 1.0)

    def log_volume(self, covariances: Tensor, d: int) -> Tensor:
        return self.log_determinant(covariances, d)

    def second(self, gaps: Tensor, shares: Tensor) -> Tensor:
        return (gaps * shares[:, None]).T @ gaps

    def scatter(self, gaps: Tensor, count: float, more: Tensor) -> Tensor:
        outer = count * gaps[:, :, None] * gaps[:, None, :]
        outer = outer.sum(0, keepdim=True) if self.pooled else outer
        return outer + (more if more.ndim == 2 else torch.diag(more))

    def log_prob(self, x: Tensor, p: Parameters) -> Tensor:
        return ops.mixture_log_prob_tril(x, *self._arguments(x, p))

    def posterior(self, x: Tensor, p: Parameters) -> tuple[Tensor, Tensor]:
        return ops.mixture_posterior_tril(x, *self._arguments(x, p))

    def predict(self, x: Tensor, p: Parameters) -> Tensor:
        return ops.mixture_predict_tril(x, *self._arguments(x, p)).component

    def precisions_cholesky(self, covariances: Tensor) -> Tensor:
        factors = self._factors.of(covariances)
        inverse = torch.linalg.solve_triangular(factors, _identity(factors), upper=False)
        return self.compact(inverse.mT)

    def precisions(self, cholesky: Tensor) -> Tensor:
        return cholesky @ cholesky.mT

    def from_precisions(self, precisions: Tensor) -> Tensor:
        return torch.cholesky_inverse(torch.linalg.cholesky(precisions))

    def shape(self, k: int, d: int) -> tuple[int, ...]:
        return (d, d) if self.pooled else (k, d, d)

    def aligned(self, covariances: Tensor) -> Tensor:
        return covariances[None] if self.pooled else covariances

    def compact(self, aligned: Tensor) -> Tensor:
        return aligned[0] if self.pooled else aligned

    def diagonals(self, covariances: Tensor) -> tuple[Tensor, Tensor]:
        variances = torch.diagonal(self.aligned(covariances), dim1=-2, dim2=-1)
        return variances, self.aligned(self.precisions_cholesky(covariances)).square().sum(-1)

    def block(self, covariances: Tensor, columns: Tensor | list[int]) -> Tensor:
        return covariances[..., columns, :][..., columns]

    def matrices(self, covariances: Tensor, k: int, d: int) -> Tensor:
        return covariances.expand(k, d, d)

    def parameters(self, k: int, d: int) -> int:
        return (1 if self.pooled else k) * d * (d + 1) // 2

    def _spread(self, centred: Sums) -> Tensor:
        trace = torch.diagonal(centred.second, dim1=-2, dim2=-1).mean(1)
        return trace / centred.counts.clamp_min(TINY)

    def _arguments(self, x: Tensor, p: Parameters) -> tuple[Tensor, Tensor, Tensor]:
        factors = self._factors.of(p.covariances)
        return p.log_weights.to(x.dtype), p.means.to(x.dtype), factors.to(x.dtype)

    def _statistics(
        self, x: Tensor, log_weights: Tensor, means: Tensor, covariances: Tensor, w: Tensor | None
    ) -> ops.MixtureStatistics:
        factors = self._factors.of(covariances).to(x.dtype)
        return ops.mixture_statistics_tril(x, log_weights, means, factors, w)

    def log_determinant(self, covariances: Tensor, d: int) -> Tensor:
        diagonal = torch.diagonal(self._factors.of(covariances), dim1=-2, dim2=-1)
        return 2.0 * diagonal.log().sum(1)

    def mahalanobis(self, centred: Sums, covariances: Tensor) -> Tensor:
        inverse = torch.cholesky_inverse(self._factors.of(covariances))
        return (inverse * centred.second).sum()


def _identity(like: Tensor) -> Tensor:
    """Give the identity of the size of matrices, made where they are."""
    return torch.eye(like.shape[-1], dtype=like.dtype, device=like.device)
