# SPDX-License-Identifier: MIT
"""What the coordinates of a mixture say of each other: marginals, conditionals, regressions."""

from __future__ import annotations

from abc import abstractmethod
from functools import partial
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.distributions import Distribution

from pyvae.distributions.columns import Columns, column_indices, others, require_some
from pyvae.distributions.conditional import (
    Regression,
    conditional,
    conditional_means,
    lengths_by_factors,
    lengths_by_loadings,
    lengths_by_variances,
    low_rank_conditional_means,
    marginal_factor,
    with_the_nearest,
)
from pyvae.distributions.factor_analysis import factor_posterior
from pyvae.distributions.precision import computing_dtype, outside_autocast
from pyvae.errors import WrongValue

if TYPE_CHECKING:
    from typing_extensions import Self


class Coordinates(Distribution):
    """Base of the mixture: all that takes some of its coordinates, or gives some."""

    has_matrices: bool
    has_factors: bool

    @abstractmethod
    def arguments(self) -> tuple[Tensor, Tensor, Tensor]:
        """Log-weights, means, and log-variances or Cholesky factors."""

    @property
    @abstractmethod
    def given(self) -> dict[str, Tensor]:
        """The parameters by the names that they were given under."""

    @abstractmethod
    def posterior(self, value: Tensor) -> Tensor:
        """Logarithms of the responsibilities."""

    @property
    @abstractmethod
    def covariance_matrix(self) -> Tensor:
        """Covariance, ``(*batch, D, D)``."""

    @abstractmethod
    def _like(self, *parameters: Tensor) -> Self: ...

    def marginal(self, columns: Columns) -> Self:
        """Mixture of some coordinates, whatever the others are.

        Parameters
        ----------
        columns
            Which, in the order that is wanted: numbers from 0 on (or from -1 down), a slice, or a
            mask ``(D,)``.

        Raises
        ------
        ValueError
            If there is none, one is named twice, or one is out of range.

        Examples
        --------
        >>> from pyvae.distributions import GaussianMixture
        >>> means = torch.tensor([[-1.0, 0.0, 5.0], [1.0, 2.0, 5.0]])
        >>> GaussianMixture(torch.zeros(2), means, torch.zeros(2, 1)).marginal([1, 0]).means
        tensor([[ 0., -1.],
                [ 2.,  1.]])
        """
        kept = column_indices(columns, self.event_shape[0], "marginal")
        require_some(kept, self.event_shape[0], "marginal")
        weights, means, *spread = self.given.values()
        if self.has_factors:
            spread = [spread[0][..., kept, :], spread[1][..., kept]]
        elif self.has_matrices:
            spread = [marginal_factor(spread[0], kept)]
        else:
            spread = [_of(spread[0], kept)]
        return self._like(weights, means[..., kept], *spread).expand(self.batch_shape)

    def condition(self, columns: Columns, values: Tensor) -> Self:
        """Mixture of the other coordinates, given values of some: exact, and differentiable.

        Its weights are p(z | x_a), its components the conditional Gaussians, whose covariances do
        not depend on the values. Where no density of the values is above zero, because they are too
        far, the nearest component takes all.

        Parameters
        ----------
        columns
            The given coordinates a, as of :meth:`marginal`; none at all is the mixture itself.
        values
            Their values, ``(..., a)``, in that order. Leading dimensions broadcast with the batch
            shape to that of the result: N points give N mixtures, with weights ``(N, K)``, means
            ``(N, K, D - a)`` and one ``(K, ...)`` spread of all.

        Raises
        ------
        ValueError
            If a column is named twice or out of range, all are given, or the values have another
            shape; where arguments are validated, if a value is not finite.

        References
        ----------
        Bishop (2006), section 2.3.1; Ghahramani & Jordan (1994), section 3.

        Examples
        --------
        >>> from pyvae.distributions import GaussianMixture
        >>> factors = torch.tensor([[[1.0, 0.0], [0.8, 0.6]]])
        >>> line = GaussianMixture(torch.zeros(1), torch.zeros(1, 2), scale_tril=factors)
        >>> given = line.condition([0], torch.tensor([[-1.0], [2.0]]))
        >>> given.mean.T, given.variance.T
        (tensor([[-0.8000,  1.6000]]), tensor([[0.3600, 0.3600]]))
        """
        d = self.event_shape[0]
        given = column_indices(columns, d, "condition")
        rest = others(given, d)
        require_some(rest, d, "condition")
        values = self._given_values(values, len(given))
        weights, means, *spread = self.given.values()
        gaps = values.unsqueeze(-2) - means[..., given]
        if self.has_factors:
            loadings, noise = spread
            inside, outside = [loadings[..., given, :], noise[..., given]], loadings[..., rest, :]
            with outside_autocast(means):
                work = computing_dtype(*spread)
                known = factor_posterior(*(part.to(work) for part in inside))
                turned = (outside.to(work) @ known.root).to(outside.dtype)
            spread = [turned, noise[..., rest]]
            centres = low_rank_conditional_means(
                means[..., rest], gaps, known, outside.to(known.root)
            )
            lengths = partial(lengths_by_loadings, factors=known)
        elif self.has_matrices:
            parts = conditional(spread[0], given, rest)
            inside, spread = [parts.given], [parts.rest]
            centres = conditional_means(means[..., rest], gaps, parts.regression)
            lengths = partial(lengths_by_factors, scale_tril=parts.given)
        else:
            inside, spread = [_of(spread[0], given)], [_of(spread[0], rest)]
            centres = means[..., rest]
            lengths = partial(lengths_by_variances, logvars=inside[0])
        shares = self._like(weights, means[..., given], *inside).posterior(values)
        shares = with_the_nearest(shares, gaps, weights, lengths)
        batch = torch.broadcast_shapes(values.shape[:-1], self.batch_shape)
        return self._like(shares, centres, *spread).expand(batch)

    def regress(
        self,
        columns: Columns,
        values: Tensor,
        targets: Columns | None = None,
        *,
        full_covariance: bool = False,
    ) -> Regression:
        """E[y | x], and the variances of y given x, of the conditional mixture.

        Parameters
        ----------
        columns, values
            x, as of :meth:`condition`.
        targets
            The coordinates y; all others if left out.
        full_covariance
            Give the covariance ``(..., Dy, Dy)`` in place of the variances ``(..., Dy)``.

        Raises
        ------
        ValueError
            As :meth:`condition` does, or if a target is among the given.

        Examples
        --------
        >>> from pyvae.distributions import GaussianMixture
        >>> means = torch.tensor([[-1.0, 5.0], [1.0, 7.0]])
        >>> mixture = GaussianMixture(torch.zeros(2), means, torch.zeros(2, 1))
        >>> mixture.regress([0], torch.tensor([0.0]))
        Regression(mean=tensor([6.]), covariance=tensor([2.]))
        """
        if targets is not None:
            d = self.event_shape[0]
            given = column_indices(columns, d, "regress")
            wanted = column_indices(targets, d, "regress")
            joint = self.marginal(column_indices([*given, *wanted], d, "regress"))
            return joint.regress(range(len(given)), values, full_covariance=full_covariance)
        found = self.condition(columns, values)
        spread = found.covariance_matrix if full_covariance else found.variance
        return Regression(found.mean, spread)

    def _given_values(self, values: Tensor, count: int) -> Tensor:
        if not values.dim() or values.shape[-1] != count:
            raise WrongValue(
                f"condition: values have shape {tuple(values.shape)}; expected (..., {count}), one "
                "a column"
            )
        if self._validate_args and not values.isfinite().all():
            raise WrongValue(
                "condition: values hold NaN or infinity; give the columns whose values are known"
            )
        return values


def _of(logvars: Tensor, columns: list[int]) -> Tensor:
    """Log-variances of some coordinates; one that is of all is theirs too."""
    return logvars if logvars.shape[-1] == 1 else logvars[..., columns]
