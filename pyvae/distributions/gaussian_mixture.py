# SPDX-License-Identifier: MIT
"""A mixture of Gaussians as a distribution of torch's."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Size, Tensor
from torch.distributions import Categorical, Distribution, MixtureSameFamily, constraints

from pyvae import ops
from pyvae.distributions.arguments import CONSTRAINTS, CORES, check_shapes
from pyvae.distributions.components import gaussians, mixture_parameters
from pyvae.distributions.coordinates import Coordinates
from pyvae.distributions.implicit import reparameterized
from pyvae.distributions.precision import outside_autocast
from pyvae.distributions.sampling import draw
from pyvae.errors import WrongValue
from pyvae.ops.folding import Folding, narrowed, shared_dimensions


class GaussianMixture(Coordinates):
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
            raise WrongValue("GaussianMixture: expected one of logvars and scale_tril, not both")
        spread = logvars if scale_tril is None else scale_tril
        assert spread is not None
        self.has_matrices = scale_tril is not None
        core = 3 if self.has_matrices else 2
        check_shapes(log_weights, means, spread, core)
        batch = torch.broadcast_shapes(
            log_weights.shape[:-1], means.shape[:-2], spread.shape[:-core]
        )
        # Not expanded: what is the same for a whole batch is prepared once for its points.
        log_weights, means, spread = (
            narrowed(t, core) for t, core in ((log_weights, 1), (means, 2), (spread, core))
        )
        normalized = log_weights - torch.logsumexp(log_weights, -1, keepdim=True)
        self._given = dict(zip(self._argument_names(), (normalized, means, spread), strict=True))
        super().__init__(batch, means.shape[-1:], validate_args=validate_args)

    @property
    def arg_constraints(self) -> dict[str, constraints.Constraint]:
        """As of every distribution, of the arguments that were given."""
        return {name: CONSTRAINTS[name] for name in self._argument_names()}

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
        """Cholesky factors, ``(*batch, K|1, D, D)``, where they were given."""
        return self._of_the_batch("scale_tril")

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
            Of ``MultivariateNormal`` or ``Independent(Normal(...), 1)``, to whose parameters the
            gradients flow. A probability of zero is zero here, not the machine's epsilon.

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

        Its components are ``MultivariateNormal`` where there are factors, and otherwise
        ``Independent(Normal(...), 1)``.

        Examples
        --------
        >>> mixture = GaussianMixture(torch.zeros(2), torch.zeros(2, 3), torch.zeros(2, 1))
        >>> mixture.to_mixture().log_prob(torch.zeros(3))
        tensor(-2.7568)
        """
        log_weights, means, spread = (getattr(self, name) for name in self._argument_names())
        return MixtureSameFamily(
            Categorical(logits=log_weights, validate_args=False),
            gaussians(means, spread, self.has_matrices),
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
        new.has_matrices = self.has_matrices
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
        log_weights, means, spread = self.arguments()
        gaps = means - self._mean().unsqueeze(-2)
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
        log_weights, means, _ = self.arguments()
        return (log_weights.exp().unsqueeze(-1) * means).sum(-2)

    def arguments(self) -> tuple[Tensor, Tensor, Tensor]:
        """Log-weights, means, and log-variances or factors, as the ops take them.

        Leading dimensions broadcast to the batch shape, and may be fewer.
        """
        weights, means, spread = (self._given[name] for name in self._argument_names())
        return weights, means, spread

    def log_prob(self, value: Tensor) -> Tensor:
        """Log-density, in nats."""
        if self._validate_args and value.numel():  # torch's check fails where there is nothing
            self._validate_sample(value)
        op = ops.mixture_log_prob_tril if self.has_matrices else ops.mixture_log_prob
        return self._at_points(op, value)

    def posterior(self, value: Tensor) -> Tensor:
        """Logarithms of the responsibilities log p(z | value), ``(*sample, *batch, K)``."""
        op = ops.mixture_posterior_tril if self.has_matrices else ops.mixture_posterior
        return self._at_points(lambda *given: op(*given).log_posterior, value, 1)

    def _like(self, weights: Tensor, means: Tensor, spread: Tensor) -> GaussianMixture:
        """Make a mixture of such covariances from parameters that have been checked."""
        names = self._argument_names()
        given = dict(zip(names, (weights, means, spread), strict=True))
        new = type(self)(**given, validate_args=False)
        new._validate_args = self._validate_args
        return new

    def _at_points(self, op: Callable[..., Tensor], value: Tensor, trailing: int = 0) -> Tensor:
        arguments = self.arguments()
        names = self._argument_names()
        if all(t.dim() == CORES[name] for name, t in zip(names, arguments, strict=True)):
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
        folding, arguments = self._folded(drawn.shape[:-1])
        points = folding.fold(drawn.unsqueeze(-2))
        return folding.restore(reparameterized(points, *arguments, self.has_matrices)).squeeze(-2)

    def _draw(self, sample_shape: Size) -> Tensor:
        folding, arguments = self._folded(sample_shape + self.batch_shape)
        count = math.prod([folding.batch[dim] for dim in folding.folded])
        return folding.restore(draw(*arguments, self.has_matrices, count)).squeeze(-2)

    def _folded(self, batch: Size) -> tuple[Folding, tuple[Tensor, Tensor, Tensor]]:
        """All dimensions over which no argument changes as a row of points, and the arguments."""
        arguments = self.arguments()
        cores = [("k",) * CORES[name] for name in self._argument_names()]
        folding = Folding.over(batch, shared_dimensions(cores, arguments, batch))
        weights, means, spread = (
            folding.drop(tensor, len(core)) for tensor, core in zip(arguments, cores, strict=True)
        )
        return folding, (weights, means, spread)

    def _argument_names(self) -> tuple[str, ...]:
        return "log_weights", "means", "scale_tril" if self.has_matrices else "logvars"

    def __repr__(self) -> str:
        shapes = ", ".join(
            f"{name}: {self.batch_shape + given.shape[given.dim() - CORES[name] :]}"
            for name, given in self._given.items()
        )
        return f"{type(self).__name__}({shapes})"
