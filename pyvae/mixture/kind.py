# SPDX-License-Identifier: MIT
"""What a kind of covariance of a Gaussian mixture is: what the ops are given, and the M step.

Formulas are those of Bishop (2006), section 9.2, for sums about any reference.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from pyvae import ops
from pyvae.mixture.sums import Sums

LOG_2PI = math.log(2.0 * math.pi)
TINY = torch.finfo(torch.float64).tiny


class Parameters(NamedTuple):
    """Weights ``(K,)``, means ``(K, D)`` and covariances in the shape of their kind, in float64.

    ``scores (K,)`` stand for the logarithms of the weights in an E step under a posterior of the
    parameters, whose expectations they are; they are those of no weights. None stands for the
    logarithms themselves.
    """

    weights: Tensor
    means: Tensor
    covariances: Tensor
    scores: Tensor | None = None

    @property
    def log_weights(self) -> Tensor:
        """What an E step adds to the components' log-densities, ``(K,)``."""
        return self.weights.log() if self.scores is None else self.scores

    @property
    def shares(self) -> Tensor:
        """Responsibilities for a point of which nothing is known, ``(K,)``."""
        return self.log_weights.softmax(0)

    @property
    def log_total(self) -> Tensor:
        """Log-density of such a point, ``()``: zero, of weights that sum to one."""
        return self.log_weights.logsumexp(0)

    def to(self, device: torch.device) -> Parameters:
        """Give the parameters on a device."""
        return Parameters(*(None if value is None else value.to(device) for value in self))  # type: ignore[arg-type]

    def centre(self) -> Tensor:
        """Give the mean of the mixture, ``(D,)``, amid its points."""
        return self.weights @ self.means / self.weights.sum()

    def about(self, origin: Tensor) -> Parameters:
        """Give the parameters of points from which an origin has been subtracted."""
        return self._replace(means=self.means - origin.double())


class Covariance(ABC):
    """A kind of covariance; ``name`` is scikit-learn's, where it has it."""

    name: str
    has_matrices: bool
    pooled: bool  # one covariance for all components

    def sums(self, x: Tensor, weight: Tensor | None, p: Parameters) -> Sums:
        """E step: the responsibilities' sums over points ``(N, D)`` with weights ``(N,)``."""
        means = p.means.to(x.dtype)
        found = self._statistics(x, p.log_weights.to(x.dtype), means, p.covariances, weight)
        total = float(len(x)) if weight is None else weight.double().sum()
        total = torch.as_tensor(total, dtype=torch.float64, device=x.device)
        return Sums(found[0], total, *found[1:], means.double())

    def alone(self, p: Parameters, component: int) -> Parameters:
        """Give the parameters of one component, with a weight of one."""
        only = slice(component, component + 1)
        covariances = p.covariances if self.pooled else p.covariances[only]
        return Parameters(torch.ones_like(p.weights[only]), p.means[only], covariances)

    def together(self, parts: Sequence[Sums]) -> Sums:
        """Give the sums of components that have points of their own, of those of each."""
        joined = {
            name: torch.cat([getattr(part, name) for part in parts])
            for name in ("counts", "first", "second", "reference")
        }
        if self.pooled:
            joined["second"] = joined["second"].sum(0, keepdim=True)
        log_likelihood, total = (
            torch.stack([getattr(part, name) for part in parts]).sum()
            for name in ("log_likelihood", "total")
        )
        return Sums(log_likelihood, total, **joined)

    def weights_and_means(self, sums: Sums) -> tuple[Tensor, Tensor]:
        """M step of these two; a component without points keeps its mean."""
        counts = sums.counts.clamp_min(TINY)
        return sums.counts / sums.counts.sum(), sums.reference + sums.first / counts[:, None]

    def expected_log_joint(self, sums: Sums, p: Parameters) -> Tensor:
        """E_q[log p(x, z)] of the points behind these sums, ``()``, in nats."""
        centred = sums.about(p.means)
        d = p.means.shape[1]
        spread = self.log_determinant(p.covariances, d) + d * LOG_2PI
        some = sums.counts > 0  # a component of weight zero has no points
        chosen = torch.where(some, sums.counts * p.log_weights, 0.0)
        weighted = chosen - 0.5 * sums.counts * spread
        return weighted.sum() - 0.5 * self.mahalanobis(centred, p.covariances)

    @abstractmethod
    def covariances(
        self, sums: Sums, reg_covar: float = 0.0, divisor: Tensor | None = None
    ) -> Tensor:
        """M step, from sums about the new means; ``divisor`` stands in for their counts."""

    @abstractmethod
    def divisor(self, counts: Tensor, d: int) -> Tensor:
        """Give what the second sums are divided by: numbers of points, or of coordinates."""

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
    def log_prob(self, x: Tensor, p: Parameters) -> Tensor:
        """Log-density, ``(N,)``."""

    @abstractmethod
    def posterior(self, x: Tensor, p: Parameters) -> tuple[Tensor, Tensor]:
        """Logarithms of the responsibilities ``(N, K)``, and the log-density ``(N,)``."""

    @abstractmethod
    def predict(self, x: Tensor, p: Parameters) -> Tensor:
        """Most probable component, ``(N,)`` int64."""

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
    def shape(self, k: int, d: int) -> tuple[int, ...]:
        """Shape of the covariances."""

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
    def block(self, covariances: Tensor, columns: Tensor | list[int]) -> Tensor:
        """Covariances of some coordinates, by their numbers or a mask, in the same kind's shape."""

    @abstractmethod
    def matrices(self, covariances: Tensor, k: int, d: int) -> Tensor:
        """Give every component's matrix, ``(K, D, D)``."""

    @abstractmethod
    def parameters(self, k: int, d: int) -> int:
        """Count free parameters."""

    def spread(self, centred: Sums) -> Tensor:
        """Mean variance over the coordinates of each component, ``(K,)``, from centred sums.

        Infinity, of components that share one covariance: none can lose it alone.
        """
        return torch.full_like(centred.counts, torch.inf) if self.pooled else self._spread(centred)

    @abstractmethod
    def _spread(self, centred: Sums) -> Tensor: ...

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
