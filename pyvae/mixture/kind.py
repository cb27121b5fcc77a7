# SPDX-License-Identifier: MIT
"""What a kind of covariance of a Gaussian mixture is: what the ops are given, and the M step.

Formulas are those of Bishop (2006), section 9.2, for sums about any reference.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

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

    @abstractmethod
    def sums(self, x: Tensor, weight: Tensor | None, p: Parameters) -> Sums:
        """E step: the responsibilities' sums over points ``(N, D)`` with weights ``(N,)``."""

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
        some = sums.counts > 0  # a component of weight zero has no points
        chosen = torch.where(some, sums.counts * p.log_weights, 0.0)
        return chosen.sum() + self.expected_log_density(sums.about(p.means), p.covariances)

    @abstractmethod
    def expected_log_density(self, centred: Sums, covariances: Tensor) -> Tensor:
        """E_q[log p(x | z)] of the points behind sums about the means, ``()``, in nats."""

    @abstractmethod
    def covariances(self, sums: Sums, reg_covar: float = 0.0) -> Tensor:
        """M step, from sums about the new means."""

    @abstractmethod
    def require(self, covariances: Tensor) -> None:
        """Refuse what are no covariances of this kind.

        Raises
        ------
        IllDefined
            If one is not positive definite.
        """

    @abstractmethod
    def first_sums(
        self,
        parts: list[tuple[Tensor, Tensor]],
        counts: Tensor,
        means: Tensor,
        random: np.random.RandomState,
    ) -> Sums:
        """Sums about the means, of every component's points ``(n, D)`` and shares in them."""

    @abstractmethod
    def sums_behind(self, p: Parameters, total: float, reg_covar: float) -> Sums:
        """Give the sums of so many points of which these parameters are the M step."""

    @abstractmethod
    def spread_out(self, sums: Sums, components: Tensor, second: Tensor) -> Sums:
        """Give sums in which these components' points have second sums ``(D,)``, uncorrelated.

        Where there is one covariance for all, it stays.
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

    def draw(self, p: Parameters, counts: np.ndarray, random: np.random.RandomState) -> Tensor:
        """Draw so many points of each component, in their order."""
        k, d = p.means.shape
        factors = torch.linalg.cholesky(self.matrices(p.covariances, k, d))
        labels = torch.from_numpy(np.repeat(np.arange(k), counts)).to(p.means.device)
        noise = torch.from_numpy(random.standard_normal((len(labels), d))).to(p.means)
        return p.means[labels] + (factors[labels] @ noise[:, :, None]).squeeze(2)

    @abstractmethod
    def parts(self, covariances: Tensor) -> dict[str, Tensor]:
        """What a file has of the covariances, by names."""

    @abstractmethod
    def part_shapes(self, k: int, d: int) -> dict[str, tuple[int, ...]]:
        """Shapes of these."""

    @abstractmethod
    def of_parts(self, parts: dict[str, Tensor]) -> Tensor:
        """Covariances of these."""

    @abstractmethod
    def shape(self, k: int, d: int) -> tuple[int, ...]:
        """Shape of the covariances."""

    @abstractmethod
    def diagonals(self, covariances: Tensor) -> tuple[Tensor, Tensor]:
        """Variances, and the diagonals of the precisions or what bounds them, ``(K|1, D|1)``."""

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
