# SPDX-License-Identifier: MIT
"""The kinds of covariance that are second sums of points divided by a number."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from pyvae import ops
from pyvae.mixture.kind import LOG_2PI, Covariance, Parameters
from pyvae.mixture.sums import Sums


class Moments(Covariance):
    """A kind that is second sums divided by a number: all but that of factors."""

    def sums(self, x: Tensor, weight: Tensor | None, p: Parameters) -> Sums:
        means = p.means.to(x.dtype)
        found = self._statistics(x, p.log_weights.to(x.dtype), means, p.covariances, weight)
        if weight is None:
            total = torch.full((), len(x), dtype=torch.float64, device=x.device)
        else:
            total = weight.double().sum()
        return Sums(found[0], total, *found[1:], means.double())

    def expected_log_density(self, centred: Sums, covariances: Tensor) -> Tensor:
        d = centred.first.shape[1]
        spread = self.log_determinant(covariances, d) + d * LOG_2PI
        return -0.5 * ((centred.counts * spread).sum() + self.mahalanobis(centred, covariances))

    def require(self, covariances: Tensor) -> None:
        self.precisions_cholesky(covariances)

    def first_sums(
        self,
        parts: list[tuple[Tensor, Tensor]],
        counts: Tensor,
        means: Tensor,
        random: np.random.RandomState,
    ) -> Sums:
        second = [self.second(x - m, share) for (x, share), m in zip(parts, means, strict=True)]
        second = torch.stack(second)
        second = second.sum(0, keepdim=True) if self.pooled else second
        zero = means.new_zeros(())
        return Sums(zero, counts.sum(), counts, torch.zeros_like(means), second, means)

    def sums_behind(self, p: Parameters, total: float, reg_covar: float) -> Sums:
        counts, zero = p.weights / p.weights.sum() * total, p.means.new_zeros(())
        divisor = self.divisor(counts, p.means.shape[1])
        second = self.second_sums(p.covariances, reg_covar, divisor)
        return Sums(zero, zero + total, counts, torch.zeros_like(p.means), second, p.means)

    def spread_out(self, sums: Sums, components: Tensor, second: Tensor) -> Sums:
        if self.pooled:
            return sums
        found = sums.second.clone()
        found[components] = self.scatter(torch.zeros_like(second)[None], 0.0, second)
        return replace(sums, second=found)

    def parts(self, covariances: Tensor) -> dict[str, Tensor]:
        return {"covariances": covariances}

    def part_shapes(self, k: int, d: int) -> dict[str, tuple[int, ...]]:
        return {"covariances": self.shape(k, d)}

    def of_parts(self, parts: dict[str, Tensor]) -> Tensor:
        return parts["covariances"]

    @abstractmethod
    def covariances(
        self, sums: Sums, reg_covar: float = 0.0, divisor: Tensor | None = None
    ) -> Tensor:
        """As :meth:`Covariance.covariances`; ``divisor`` stands in for the counts."""

    @abstractmethod
    def divisor(self, counts: Tensor, d: int) -> Tensor:
        """Give what the second sums are divided by: numbers of points, or of coordinates."""

    @abstractmethod
    def second_sums(self, covariances: Tensor, reg_covar: float, divisor: Tensor) -> Tensor:
        """Give the second sums of which these covariances are the M step."""

    @abstractmethod
    def exponent(self, k: int, d: int, degrees: float | None, with_means: bool) -> float:
        """Give how many points a prior adds to the divisor.

        That of an inverse-Wishart of so many degrees of freedom, or of its like in one dimension,
        and, ``with_means``, of means whose spread is in proportion to the covariance.
        """

    @abstractmethod
    def log_volume(self, covariances: Tensor, d: int) -> Tensor:
        """Log-determinants, or log-variances, of what there is one divisor for."""

    @abstractmethod
    def second(self, gaps: Tensor, shares: Tensor) -> Tensor:
        """Second sums of one component's points, ``(N, D)`` with shares ``(N,)``."""

    @abstractmethod
    def scatter(self, gaps: Tensor, count: float, more: Tensor) -> Tensor:
        """Second sums of ``count`` points at ``gaps (K, D)``, with ``more`` around them.

        That is ``(D,)``, or of matrices ``(D, D)`` as well.
        """

    @abstractmethod
    def precisions_cholesky(self, covariances: Tensor) -> Tensor:
        """As scikit-learn's attribute: of a matrix, the upper factor of its inverse.

        Raises
        ------
        IllDefined
            If a covariance is not positive definite.
        """

    @abstractmethod
    def precisions(self, cholesky: Tensor) -> Tensor:
        """Precisions of their factors."""

    @abstractmethod
    def from_precisions(self, precisions: Tensor) -> Tensor:
        """Covariances of precisions."""

    @abstractmethod
    def aligned(self, covariances: Tensor) -> Tensor:
        """Covariances, or precisions, with an axis of components and one, or two, of coordinates.

        These are of size one where there is one number for all: ``(K|1, D|1)``, or
        ``(K|1, D, D)``, as the second sums are.
        """

    @abstractmethod
    def compact(self, aligned: Tensor) -> Tensor:
        """Give the same in the shape of the covariances again."""

    @abstractmethod
    def _statistics(
        self, x: Tensor, log_weights: Tensor, means: Tensor, covariances: Tensor, w: Tensor | None
    ) -> ops.MixtureStatistics: ...

    @abstractmethod
    def log_determinant(self, covariances: Tensor, d: int) -> Tensor:
        """Of every component's matrix, ``(K,)``, or ``(1,)`` of the one there is."""

    @abstractmethod
    def mahalanobis(self, centred: Sums, covariances: Tensor) -> Tensor:
        """Sum of r (x - mu)' Sigma^-1 (x - mu), ``()``."""
