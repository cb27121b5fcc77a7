# SPDX-License-Identifier: MIT
"""A mixture of Gaussians as a distribution of torch's."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Size, Tensor
from torch.distributions import Categorical, Distribution, MixtureSameFamily, constraints

from pyvae import ops
from pyvae.distributions.arguments import CONSTRAINTS, CORES, check_shapes, spread_of
from pyvae.distributions.components import gaussians, mixture_parameters
from pyvae.distributions.coordinates import Coordinates
from pyvae.distributions.implicit import reparameterized
from pyvae.distributions.low_rank import (
    dense_scale_tril,
    low_rank_log_prob,
    low_rank_posterior,
)
from pyvae.distributions.precision import outside_autocast
from pyvae.distributions.sampling import draw, draw_low_rank
from pyvae.ops.folding import Folding, narrowed, shared_dimensions


class GaussianMixture(Coordinates):
    """Mixture of K Gaussians in D dimensions: diagonal, isotropic, full or low-rank covariances.

    Densities are those of :func:`pyvae.mixture_log_prob` and :func:`pyvae.mixture_log_prob_tril`,
    so no ``(N, K, D)`` tensor is written; samples take time in proportion to their numbers, not to
    K. :meth:`rsample` differentiates through implicit reparameterisation. Of low-rank covariances
    densities, samples, marginals and conditionals make no ``(D, D)`` matrix, and densities are
    in plain torch, where a gradient keeps ``(N, K, D)`` numbers; what else there is takes their
    Cholesky factors, :attr:`scale_tril`.

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
        all components.
    cov_factor, cov_diag
        Or, as of torch's ``LowRankMultivariateNormal``, loadings ``(..., K, D, r)`` of r factors
        and the noise's variances ``(..., K, D)``: covariances are
        ``cov_factor @ cov_factor.mT + diag(cov_diag)``. Leading dimensions of all broadcast to the
        batch shape.
    validate_args
        As of every distribution.

    Attributes
    ----------
    has_matrices
        Whether there is a ``scale_tril``, and no ``logvars``.
    has_factors
        Whether covariances were given as ``cov_factor`` and ``cov_diag``.

    Raises
    ------
    ValueError
        If covariances are given in no or in several ways, a shape does not fit, or, where arguments
        are validated, one is out of its domain.

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
        cov_factor: Tensor | None = None,
        cov_diag: Tensor | None = None,
        validate_args: bool | None = None,
    ) -> None:
        spread = spread_of(logvars, scale_tril, cov_factor, cov_diag)
        self.has_matrices, self.has_factors = "logvars" not in spread, "cov_factor" in spread
        check_shapes(log_weights, means, spread)
        given = {"log_weights": log_weights, "means": means, **spread}
        batch = torch.broadcast_shapes(*(t.shape[: -CORES[name]] for name, t in given.items()))
        # Not expanded: what is the same for a whole batch is prepared once for its points.
        given = {name: narrowed(t, CORES[name]) for name, t in given.items()}
        log_weights = given["log_weights"]
        given["log_weights"] = log_weights - torch.logsumexp(log_weights, -1, keepdim=True)
        self._given = given
        super().__init__(batch, means.shape[-1:], validate_args=validate_args)

    @property
    def arg_constraints(self) -> dict[str, constraints.Constraint]:
        """As of every distribution, of the arguments that were given."""
        return {name: CONSTRAINTS[name] for name in self._given}

    @property
    def log_weights(self) -> Tensor:
        """Logarithms of the normalised weights, ``(*batch, K)``."""
        return self._of_the_batch("log_weights")

    @property
    def means(self) -> Tensor:
        """Means of the components, ``(*batch, K, D)``."""
        return self._of_the_batch("means")

    @property
    def logvars(self) -> Tensor:
        """Log-variances, ``(*batch, K, D|1)``, where they were given."""
        return self._of_the_batch("logvars")

    @property
    def scale_tril(self) -> Tensor:
        """Cholesky factors, ``(*batch, K|1, D, D)``, where they or low-rank ones were given."""
        if not self.has_factors:
            return self._of_the_batch("scale_tril")
        return dense_scale_tril(self.cov_factor, self.cov_diag)

    @property
    def cov_factor(self) -> Tensor:
        """Loadings, ``(*batch, K, D, r)``, where they were given."""
        return self._of_the_batch("cov_factor")

    @property
    def cov_diag(self) -> Tensor:
        """Variances of the noise, ``(*batch, K, D)``, where they were given."""
        return self._of_the_batch("cov_diag")

    def _of_the_batch(self, name: str) -> Tensor:
        if name not in self._given:
            raise AttributeError(f"{type(self).__name__} was given no {name}")
        given = self._given[name]
        shape = self.batch_shape + given.shape[given.dim() - CORES[name] :]
        return given if given.shape == shape else given.expand(shape)

    @classmethod
    def from_mixture(cls, mixture: MixtureSameFamily) -> GaussianMixture:
        """The same mixture, of torch's ``MixtureSameFamily``.

        Parameters
        ----------
        mixture
            Of ``MultivariateNormal``, ``LowRankMultivariateNormal`` or
            ``Independent(Normal(...), 1)``, to whose parameters the gradients flow. A probability
            of zero is zero here, not the machine's epsilon.

        Raises
        ------
        TypeError
            If it is no ``MixtureSameFamily``, or its components are of another family.

        Examples
        --------
        >>> from torch.distributions import Independent, Normal
        >>> parts = Independent(Normal(torch.zeros(2, 3), 1.0), 1)
        >>> GaussianMixture.from_mixture(MixtureSameFamily(Categorical(torch.ones(2)), parts))
        GaussianMixture(log_weights: torch.Size([2]), means: torch.Size([2, 3]),
        logvars: torch.Size([2, 3]))
        """
        given = mixture_parameters(mixture, "GaussianMixture.from_mixture")
        return cls(**given, validate_args=mixture._validate_args)

    def to_mixture(self) -> MixtureSameFamily:
        """The same mixture as torch's ``MixtureSameFamily``, through which gradients flow.

        Its components are ``MultivariateNormal`` where there are factors,
        ``LowRankMultivariateNormal`` where they are low-rank, and otherwise
        ``Independent(Normal(...), 1)``.

        Examples
        --------
        >>> mixture = GaussianMixture(torch.zeros(2), torch.zeros(2, 3), torch.zeros(2, 1))
        >>> mixture.to_mixture().log_prob(torch.zeros(3))
        tensor(-2.7568)
        """
        given = {name: self._of_the_batch(name) for name in self._given}
        log_weights, means = given.pop("log_weights"), given.pop("means")
        return MixtureSameFamily(
            Categorical(logits=log_weights, validate_args=False),
            gaussians(means, given),
            validate_args=self._validate_args,
        )

    def expand(self, batch_shape: Any, _instance: Any = None) -> GaussianMixture:
        """As of every distribution; what an expanded mixture computes costs what it cost before.

        So it computes from the parameters that it was made of: ask for gradients by these. Its
        attributes are views of them, on which its densities do not depend.
        """
        new: Any = self._get_checked_instance(GaussianMixture, _instance)
        batch = Size(batch_shape)
        self._given["means"].new_empty(()).expand(self.batch_shape).expand(batch)  # or it raises
        new.has_matrices, new.has_factors = self.has_matrices, self.has_factors
        new._given = self._given
        Distribution.__init__(new, batch, self.event_shape, validate_args=False)
        new._validate_args = self._validate_args
        return new

    @property
    def mean(self) -> Tensor:
        """Mean, ``(*batch, D)``."""
        return self._mean().expand(self._extended_shape())

    @property
    def variance(self) -> Tensor:
        """Variance of each coordinate, ``(*batch, D)``."""
        log_weights, means = self._given["log_weights"], self._given["means"]
        gaps = means - self._mean().unsqueeze(-2)
        if self.has_factors:
            each = self._given["cov_factor"].square().sum(-1) + self._given["cov_diag"]
        else:
            spread = self.arguments()[2]
            each = spread.square().sum(-1) if self.has_matrices else spread.exp()
        found = (log_weights.exp().unsqueeze(-1) * (each + gaps.square())).sum(-2)
        return found.expand(self._extended_shape())

    @property
    def covariance_matrix(self) -> Tensor:
        """Covariance, ``(*batch, D, D)``."""
        log_weights, means, spread = self.arguments()
        gaps = means - self._mean().unsqueeze(-2)
        each = gaps.unsqueeze(-1) * gaps.unsqueeze(-2)
        if self.has_matrices:
            with outside_autocast(spread):
                each = each + spread @ spread.mT
        else:
            each = each + torch.diag_embed(
                spread.exp().broadcast_to(torch.broadcast_shapes(spread.shape, gaps.shape))
            )
        found = (log_weights.exp()[..., None, None] * each).sum(-3)
        return found.expand(self._extended_shape() + self.event_shape)

    def _mean(self) -> Tensor:
        log_weights, means = self._given["log_weights"], self._given["means"]
        return (log_weights.exp().unsqueeze(-1) * means).sum(-2)

    def arguments(self) -> tuple[Tensor, Tensor, Tensor]:
        """Log-weights, means, and log-variances or Cholesky factors, as the ops take them.

        Leading dimensions broadcast to the batch shape, and may be fewer.
        """
        given = self._given
        if self.has_factors:
            spread = dense_scale_tril(given["cov_factor"], given["cov_diag"])
            return given["log_weights"], given["means"], spread
        weights, means, spread = given.values()
        return weights, means, spread

    @property
    def given(self) -> dict[str, Tensor]:
        """The parameters by the names that they were given under, with as few dimensions.

        Examples
        --------
        >>> list(GaussianMixture(torch.zeros(2), torch.zeros(2, 3), torch.zeros(2, 1)).given)
        ['log_weights', 'means', 'logvars']
        """
        return dict(self._given)

    def log_prob(self, value: Tensor) -> Tensor:
        """Log-density, in nats."""
        if self._validate_args and value.numel():  # torch's check fails where there is nothing
            self._validate_sample(value)
        if self.has_factors:
            return self._at_points(low_rank_log_prob, value)
        op = ops.mixture_log_prob_tril if self.has_matrices else ops.mixture_log_prob
        return self._at_points(op, value)

    def posterior(self, value: Tensor) -> Tensor:
        """Logarithms of the responsibilities log p(z | value), ``(*sample, *batch, K)``."""
        if self.has_factors:
            return self._at_points(low_rank_posterior, value, 1)
        op = ops.mixture_posterior_tril if self.has_matrices else ops.mixture_posterior
        return self._at_points(lambda *given: op(*given).log_posterior, value, 1)

    def _like(self, *parameters: Tensor) -> GaussianMixture:
        """Make a mixture of such covariances from parameters that have been checked."""
        given = dict(zip(self._given, parameters, strict=True))
        new = type(self)(**given, validate_args=False)
        new._validate_args = self._validate_args
        return new

    def _at_points(self, op: Callable[..., Tensor], value: Tensor, trailing: int = 0) -> Tensor:
        arguments = self._given.values()
        if all(t.dim() == CORES[name] for name, t in self._given.items()):
            points = value.flatten(0, -2) if value.dim() > 1 else value.unsqueeze(0)
            found = op(points, *arguments)
            found = found.reshape(value.shape[:-1] + found.shape[1:])
        else:
            found = op(value.unsqueeze(-2), *arguments)
            found = found.squeeze(found.dim() - 1 - trailing)
        batch = torch.broadcast_shapes(value.shape[:-1], self.batch_shape)
        return found.expand(batch + found.shape[found.dim() - trailing :])

    def sample(self, sample_shape: Any = ()) -> Tensor:
        """Draw points ``(*sample, *batch, D)``."""
        with torch.no_grad():
            return self._draw(Size(sample_shape))

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        """Draw points that pass their gradient to the parameters.

        The draw itself is that of :meth:`sample`; the derivatives, of any order, are those of the
        point at which the conditional distribution functions keep their values. They are taken in
        float32 at least, and cost O(D K) a point, or O(D^2 K) of full covariances.
        """
        drawn = self.sample(sample_shape)
        weights, means, spread = self.arguments()
        name = "scale_tril" if self.has_matrices else "logvars"
        given: dict[str, Tensor] = {"log_weights": weights, "means": means, name: spread}
        folding, (weights, means, spread) = _folded(given, drawn.shape[:-1])
        points = folding.fold(drawn.unsqueeze(-2))
        moving = reparameterized(points, weights, means, spread, self.has_matrices)
        return folding.restore(moving).squeeze(-2)

    def _draw(self, sample_shape: Size) -> Tensor:
        folding, arguments = _folded(self._given, sample_shape + self.batch_shape)
        count = math.prod([folding.batch[dim] for dim in folding.folded])
        if self.has_factors:
            drawn = draw_low_rank(*arguments, count=count)
        else:
            weights, means, spread = arguments
            drawn = draw(weights, means, spread, self.has_matrices, count)
        return folding.restore(drawn).squeeze(-2)

    def __repr__(self) -> str:
        shapes = ", ".join(
            f"{name}: {self.batch_shape + given.shape[given.dim() - CORES[name] :]}"
            for name, given in self._given.items()
        )
        return f"{type(self).__name__}({shapes})"


def _folded(given: Mapping[str, Tensor], batch: Size) -> tuple[Folding, list[Tensor]]:
    """All dimensions over which no argument changes as a row of points, and the arguments."""
    arguments, cores = tuple(given.values()), [("k",) * CORES[name] for name in given]
    folding = Folding.over(batch, shared_dimensions(cores, arguments, batch))
    return folding, [
        folding.drop(tensor, len(core)) for tensor, core in zip(arguments, cores, strict=True)
    ]
