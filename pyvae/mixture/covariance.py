# SPDX-License-Identifier: MIT
"""The four kinds of covariance of a Gaussian mixture: what the ops are given, and the M step.

Formulas are those of Bishop (2006), section 9.2, for sums about any reference.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import NamedTuple

import torch
from torch import Tensor

from pyvae import ops
from pyvae.mixture.factors import Factors, IllDefined
from pyvae.mixture.sums import Sums

LOG_2PI = math.log(2.0 * math.pi)
_TINY = torch.finfo(torch.float64).tiny


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
        return self.weights if self.scores is None else self.scores.softmax(0)

    @property
    def log_total(self) -> Tensor:
        """Log-density of such a point, ``()``: zero, of weights."""
        return self.weights.new_zeros(()) if self.scores is None else self.scores.logsumexp(0)

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
    """A kind of covariance; ``name`` is scikit-learn's."""

    name: str
    has_matrices: bool
    pooled = False  # one covariance for all components

    def sums(self, x: Tensor, weight: Tensor | None, p: Parameters) -> Sums:
        """E step: the responsibilities' sums over points ``(N, D)`` with weights ``(N,)``."""
        means = p.means.to(x.dtype)
        found = self._statistics(x, p.log_weights.to(x.dtype), means, p.covariances, weight)
        total = float(len(x)) if weight is None else weight.double().sum()
        total = torch.as_tensor(total, dtype=torch.float64, device=x.device)
        return Sums(found[0], total, *found[1:], means.double())

    def weights_and_means(self, sums: Sums) -> tuple[Tensor, Tensor]:
        """M step of these two; a component without points keeps its mean."""
        counts = sums.counts.clamp_min(_TINY)
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
    def matrices(self, covariances: Tensor, k: int, d: int) -> Tensor:
        """Give every component's matrix, ``(K, D, D)``."""

    @abstractmethod
    def parameters(self, k: int, d: int) -> int:
        """Count free parameters."""

    @abstractmethod
    def spread(self, centred: Sums) -> Tensor:
        """Mean variance over the coordinates of each component, ``(K,)``, from centred sums."""

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


class _Axes(Covariance):
    """Variances ``(K, D)``, or ``(K,)``: one a component."""

    has_matrices = False

    def __init__(self, name: str, *, isotropic: bool) -> None:
        self.name, self._isotropic = name, isotropic

    def covariances(
        self, sums: Sums, reg_covar: float = 0.0, divisor: Tensor | None = None
    ) -> Tensor:
        divisor = self.divisor(sums.counts, sums.first.shape[1]) if divisor is None else divisor
        variances = sums.second / divisor.clamp_min(_TINY)[:, None]
        return (variances.squeeze(1) if self._isotropic else variances) + reg_covar

    def divisor(self, counts: Tensor, d: int) -> Tensor:
        return counts * d if self._isotropic else counts

    def exponent(self, k: int, d: int, degrees: float | None, with_means: bool) -> float:
        of_means = with_means * (d if self._isotropic else 1)
        return of_means + (0.0 if degrees is None else degrees + 2.0)

    def log_volume(self, covariances: Tensor, d: int) -> Tensor:
        return self.log_determinant(covariances, 1 if self._isotropic else d)

    def second(self, gaps: Tensor, shares: Tensor) -> Tensor:
        squares = shares @ gaps.square()
        return squares.sum(0, keepdim=True) if self._isotropic else squares

    def scatter(self, gaps: Tensor, count: float, more: Tensor) -> Tensor:
        squares = count * gaps.square() + more
        return squares.sum(1, keepdim=True) if self._isotropic else squares

    def log_prob(self, x: Tensor, p: Parameters) -> Tensor:
        return ops.mixture_log_prob(x, *self._arguments(x, p))

    def posterior(self, x: Tensor, p: Parameters) -> tuple[Tensor, Tensor]:
        return ops.mixture_posterior(x, *self._arguments(x, p))

    def predict(self, x: Tensor, p: Parameters) -> Tensor:
        return ops.mixture_predict(x, *self._arguments(x, p)).component

    def precisions_cholesky(self, covariances: Tensor) -> Tensor:
        wrong = ~(self._columns(covariances) > 0).all(1)
        if wrong.any():
            raise IllDefined(wrong.nonzero()[:, 0])
        return covariances.rsqrt()

    def precisions(self, cholesky: Tensor) -> Tensor:
        return cholesky.square()

    def from_precisions(self, precisions: Tensor) -> Tensor:
        return 1.0 / precisions

    def shape(self, k: int, d: int) -> tuple[int, ...]:
        return (k,) if self._isotropic else (k, d)

    def matrices(self, covariances: Tensor, k: int, d: int) -> Tensor:
        return torch.diag_embed(self._columns(covariances).expand(k, d))

    def parameters(self, k: int, d: int) -> int:
        return k if self._isotropic else k * d

    def spread(self, centred: Sums) -> Tensor:
        d = centred.first.shape[1]
        return centred.second.sum(1) / (d * centred.counts.clamp_min(_TINY))

    def _columns(self, covariances: Tensor) -> Tensor:
        return covariances[:, None] if self._isotropic else covariances

    def _arguments(self, x: Tensor, p: Parameters) -> tuple[Tensor, Tensor, Tensor]:
        logvars = self._columns(p.covariances).log()
        return p.log_weights.to(x.dtype), p.means.to(x.dtype), logvars.to(x.dtype)

    def _statistics(
        self, x: Tensor, log_weights: Tensor, means: Tensor, covariances: Tensor, w: Tensor | None
    ) -> ops.MixtureStatistics:
        logvars = self._columns(covariances).log().to(x.dtype)
        return ops.mixture_statistics(x, log_weights, means, logvars, w)

    def log_determinant(self, covariances: Tensor, d: int) -> Tensor:
        return self._columns(covariances).expand(-1, d).log().sum(1)

    def mahalanobis(self, centred: Sums, covariances: Tensor) -> Tensor:
        return (centred.second / self._columns(covariances)).sum()


class _Matrices(Covariance):
    """Matrices ``(K, D, D)``, or ``(D, D)``: one for all components."""

    has_matrices = True

    def __init__(self, name: str, *, tied: bool) -> None:
        self.name, self.pooled = name, tied
        self._factors = Factors()

    def covariances(
        self, sums: Sums, reg_covar: float = 0.0, divisor: Tensor | None = None
    ) -> Tensor:
        divisor = self.divisor(sums.counts, sums.first.shape[1]) if divisor is None else divisor
        found = sums.second / divisor.clamp_min(_TINY)[:, None, None]
        found = found + reg_covar * torch.eye(found.shape[-1]).to(found)
        return found[0] if self.pooled else found

    def divisor(self, counts: Tensor, d: int) -> Tensor:
        return counts.sum(0, keepdim=True) if self.pooled else counts

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
        identity = torch.eye(factors.shape[-1]).to(factors)
        inverse = torch.linalg.solve_triangular(factors, identity, upper=False).mT
        return inverse[0] if self.pooled else inverse

    def precisions(self, cholesky: Tensor) -> Tensor:
        return cholesky @ cholesky.mT

    def from_precisions(self, precisions: Tensor) -> Tensor:
        return torch.cholesky_inverse(torch.linalg.cholesky(precisions))

    def shape(self, k: int, d: int) -> tuple[int, ...]:
        return (d, d) if self.pooled else (k, d, d)

    def matrices(self, covariances: Tensor, k: int, d: int) -> Tensor:
        return covariances.expand(k, d, d)

    def parameters(self, k: int, d: int) -> int:
        return (1 if self.pooled else k) * d * (d + 1) // 2

    def spread(self, centred: Sums) -> Tensor:
        if self.pooled:  # all components have the one there is
            return torch.full_like(centred.counts, torch.inf)
        trace = torch.diagonal(centred.second, dim1=-2, dim2=-1).mean(1)
        return trace / centred.counts.clamp_min(_TINY)

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


COVARIANCES: dict[str, Covariance] = {
    kind.name: kind
    for kind in (
        _Matrices("full", tied=False),
        _Matrices("tied", tied=True),
        _Axes("diag", isotropic=False),
        _Axes("spherical", isotropic=True),
    )
}
