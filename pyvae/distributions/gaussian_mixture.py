# SPDX-License-Identifier: MIT
"""A mixture of Gaussians as a distribution of torch's."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Size, Tensor
from torch.distributions import Distribution, constraints

from pyvae import ops
from pyvae.distributions.implicit import reparameterized

_ELEMENTS = 2**22  # of the factors that are gathered at a time
_CONSTRAINTS: dict[str, constraints.Constraint] = {
    "log_weights": constraints.independent(constraints.less_than(math.inf), 1),
    "means": constraints.independent(constraints.real, 2),
    "logvars": constraints.independent(constraints.real, 2),
    "scale_tril": constraints.independent(constraints.lower_cholesky, 1),
}


class GaussianMixture(Distribution):
    """Mixture of K Gaussians in D dimensions, with diagonal, isotropic or full covariances.

    Densities are those of :func:`pyvae.mixture_log_prob` and :func:`pyvae.mixture_log_prob_tril`,
    so no ``(N, K, D)`` tensor is written; samples take time in proportion to their numbers, not to
    K. :meth:`rsample` differentiates through implicit reparameterisation.

    Parameters
    ----------
    log_weights
        ``(..., K)``; normalised here, as the logits of ``Categorical`` are.
    means
        ``(..., K, D)``.
    logvars
        Logarithms of the variances, ``(..., K, D)``, or ``(..., K, 1)`` for one a component.
    scale_tril
        In their place lower Cholesky factors ``(..., K, D, D)``, or ``(..., 1, D, D)`` for one of
        all components. Leading dimensions of all broadcast to the batch shape.
    validate_args
        As of every distribution.

    Attributes
    ----------
    has_matrices
        Whether there is a ``scale_tril``, and no ``logvars``.

    Raises
    ------
    ValueError
        If neither or both of ``logvars`` and ``scale_tril`` are given, a shape does not fit, or,
        where arguments are validated, one is out of its domain.

    References
    ----------
    Figurnov, Mohamed & Mnih (2018), "Implicit reparameterization gradients"; Graves (2016),
    "Stochastic backpropagation through mixture density distributions".

    Examples
    --------
    >>> mixture = GaussianMixture(torch.zeros(2), torch.tensor([[-1.0], [1.0]]), torch.zeros(2, 1))
    >>> mixture.mean, mixture.variance
    (tensor([0.]), tensor([2.]))
    >>> mixture.log_prob(torch.zeros(3, 1)).shape
    torch.Size([3])
    """

    support = constraints.real_vector  # type: ignore[assignment]
    has_rsample = True

    def __init__(
        self,
        log_weights: Tensor,
        means: Tensor,
        logvars: Tensor | None = None,
        scale_tril: Tensor | None = None,
        *,
        validate_args: bool | None = None,
    ) -> None:
        if (logvars is None) == (scale_tril is None):
            raise ValueError("GaussianMixture: expected one of logvars and scale_tril, not both")
        spread = logvars if scale_tril is None else scale_tril
        assert spread is not None
        core = 2 if scale_tril is None else 3
        _check_shapes(log_weights, means, spread, core)
        batch = torch.broadcast_shapes(
            log_weights.shape[:-1], means.shape[:-2], spread.shape[:-core]
        )
        self.means = means.expand(*batch, *means.shape[-2:])
        spread = spread.expand(*batch, *spread.shape[-core:])
        if scale_tril is None:
            self.logvars = spread
        else:
            self.scale_tril = spread
        self.has_matrices = scale_tril is not None
        if validate_args is not False and (log_weights == -math.inf).all(-1).any():
            raise ValueError("GaussianMixture: every log_weight of a mixture is -inf")
        normalized = log_weights - torch.logsumexp(log_weights, -1, keepdim=True)
        self.log_weights = normalized.expand(*batch, log_weights.shape[-1])
        super().__init__(batch, self.means.shape[-1:], validate_args=validate_args)

    @property
    def arg_constraints(self) -> dict[str, constraints.Constraint]:
        """As of every distribution, of the arguments that were given."""
        return {name: _CONSTRAINTS[name] for name in self._argument_names()}

    def expand(self, batch_shape: Any, _instance: Any = None) -> GaussianMixture:
        """As of every distribution."""
        new: Any = self._get_checked_instance(GaussianMixture, _instance)
        batch = Size(batch_shape)
        new.has_matrices = self.has_matrices
        for name in self._argument_names():
            tensor = getattr(self, name)
            core = tensor.shape[len(self.batch_shape) :]
            setattr(new, name, tensor.expand(*batch, *core))
        Distribution.__init__(new, batch, self.event_shape, validate_args=False)
        new._validate_args = self._validate_args
        return new

    @property
    def mean(self) -> Tensor:
        """Mean, ``(*batch, D)``."""
        return (self.log_weights.exp().unsqueeze(-1) * self.means).sum(-2)

    @property
    def variance(self) -> Tensor:
        """Variance of each coordinate, ``(*batch, D)``."""
        gaps = self.means - self.mean.unsqueeze(-2)
        return (self.log_weights.exp().unsqueeze(-1) * (self._variances() + gaps.square())).sum(-2)

    @property
    def covariance_matrix(self) -> Tensor:
        """Covariance, ``(*batch, D, D)``."""
        gaps = self.means - self.mean.unsqueeze(-2)
        each = gaps.unsqueeze(-1) * gaps.unsqueeze(-2)
        if self.has_matrices:
            each = each + self.scale_tril @ self.scale_tril.mT
        else:
            each = each + torch.diag_embed(self._variances())
        return (self.log_weights.exp()[..., None, None] * each).sum(-3)

    def arguments(self) -> tuple[Tensor, ...]:
        """Log-weights, means, and log-variances or factors, as the ops take them."""
        return tuple(getattr(self, name) for name in self._argument_names())

    def log_prob(self, value: Tensor) -> Tensor:
        """Log-density, in nats."""
        if self._validate_args and value.numel():  # torch's check fails where there is nothing
            self._validate_sample(value)
        points, restore = self._as_points(value)
        op = ops.mixture_log_prob_tril if self.has_matrices else ops.mixture_log_prob
        return restore(op(points, *self.arguments()))

    def posterior(self, value: Tensor) -> Tensor:
        """Logarithms of the responsibilities log p(z | value), ``(*sample, *batch, K)``."""
        points, restore = self._as_points(value)
        op = ops.mixture_posterior_tril if self.has_matrices else ops.mixture_posterior
        return restore(op(points, *self.arguments()).log_posterior)

    def sample(self, sample_shape: Any = ()) -> Tensor:
        """Draw points ``(*sample, *batch, D)``."""
        with torch.no_grad():
            return self._draw(Size(sample_shape))

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        """Draw points that pass their gradient to the parameters.

        The draw itself is that of :meth:`sample`; the derivatives are those of the point at which
        the conditional distribution functions keep their values. Takes D + 1 passes backward.
        """
        with torch.no_grad():
            drawn = self._draw(Size(sample_shape))
        spread = self.scale_tril if self.has_matrices else self.logvars
        return reparameterized(drawn, self.log_weights, self.means, spread, self.has_matrices)

    def _draw(self, sample_shape: Size) -> Tensor:
        shape = self._extended_shape(sample_shape)
        count = sample_shape.numel()
        k, d = self.means.shape[-2:]
        flat = self.log_weights.reshape(-1, k).exp()
        # (batch, samples): of each mixture its components, then its points
        chosen = torch.multinomial(flat, count, replacement=True) if count else flat.long()[:, :0]
        means = self.means.reshape(-1, k, d)
        which = torch.arange(len(flat), device=flat.device).unsqueeze(-1)
        noise = torch.randn(*chosen.shape, d, dtype=means.dtype, device=means.device)
        drawn = means[which, chosen] + self._scaled(noise, which, chosen)
        return drawn.movedim(1, 0).reshape(shape)

    def _scaled(self, noise: Tensor, which: Tensor, chosen: Tensor) -> Tensor:
        k, d = self.means.shape[-2:]
        if not self.has_matrices:
            logvars = self.logvars.expand(self.means.shape).reshape(-1, k, d)
            return noise * torch.exp(0.5 * logvars[which, chosen])
        factors = self.scale_tril.reshape(-1, *self.scale_tril.shape[-3:])
        chosen = chosen if factors.shape[1] == k else torch.zeros_like(chosen)
        step = max(1, _ELEMENTS // max(1, len(factors) * d * d))
        parts = [
            (factors[which, index] @ part.unsqueeze(-1)).squeeze(-1)
            for index, part in zip(chosen.split(step, 1), noise.split(step, 1), strict=True)
        ]
        return torch.cat(parts, 1)

    def _as_points(self, value: Tensor) -> tuple[Tensor, Any]:
        """Give points ``(*batch, n, D)``, and what makes ``(*sample, *batch)`` of results."""
        value = value.expand(torch.broadcast_shapes(value.shape, self._extended_shape()))
        dims = len(self.batch_shape)
        sample = value.shape[: value.ndim - 1 - dims]
        points = value.reshape(sample.numel(), *self.batch_shape, *self.event_shape)

        def restore(result: Tensor) -> Tensor:
            moved = result.movedim(dims, 0)
            return moved.reshape((*sample, *self.batch_shape, *result.shape[dims + 1 :]))

        return points.movedim(0, dims), restore

    def _argument_names(self) -> tuple[str, ...]:
        return "log_weights", "means", "scale_tril" if self.has_matrices else "logvars"

    def _variances(self) -> Tensor:
        if self.has_matrices:
            return self.scale_tril.square().sum(-1)
        return self.logvars.exp().expand(self.means.shape)

    def __repr__(self) -> str:
        shapes = ", ".join(f"{n}: {getattr(self, n).shape}" for n in self._argument_names())
        return f"{type(self).__name__}({shapes})"


def _check_shapes(log_weights: Tensor, means: Tensor, spread: Tensor, core: int) -> None:
    name = "logvars" if core == 2 else "scale_tril"
    if log_weights.ndim < 1 or means.ndim < 2 or spread.ndim < core:
        raise ValueError(
            f"GaussianMixture: log_weights {tuple(log_weights.shape)}, means {tuple(means.shape)} "
            f"and {name} {tuple(spread.shape)}; expected (..., K), (..., K, D) and "
            + ("(..., K, D)" if core == 2 else "(..., K, D, D)")
        )
    k, d = means.shape[-2:]
    allowed = {(k, d), (k, 1)} if core == 2 else {(k, d, d), (1, d, d)}
    if log_weights.shape[-1] != k or tuple(spread.shape[-core:]) not in allowed:
        raise ValueError(
            f"GaussianMixture: log_weights {tuple(log_weights.shape)} and {name} "
            f"{tuple(spread.shape)} do not fit means {tuple(means.shape)}, which have K = {k} "
            f"components in D = {d} dimensions"
        )
