# SPDX-License-Identifier: MIT
"""The sufficient statistics of a Gaussian mixture: all that an M step knows of the points."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor

from pyvae.distributions.factor_analysis import FactorPosterior


@dataclass(frozen=True)
class Sums:
    """Sums over points about one reference a component, in float64.

    Taken about a point near the component's own, nothing cancels in them; and a sum of such sums is
    that of all the points.

    Attributes
    ----------
    log_likelihood
        sum_n w_n log p(x_n), ``()``, in nats.
    total
        sum_n w_n, ``()``.
    counts
        sum_n r_nk, ``(K,)``; r are the responsibilities times the weights w.
    first
        sum_n r_nk (x_n - reference_k), ``(K, D)``.
    second
        sum_n r_nk (x_n - reference_k)^2, ``(K, D)``; of the outer products ``(K, D, D)``. An axis
        of size one is summed over: of K, or of D in the former.
    reference
        ``(K, D)``.
    """

    log_likelihood: Tensor
    total: Tensor
    counts: Tensor
    first: Tensor
    second: Tensor
    reference: Tensor

    def __add__(self, other: Sums) -> Sums:
        """Give the sums over the points of both, which have the same reference."""
        return replace(
            self, **{name: getattr(self, name) + getattr(other, name) for name in self._added()}
        )

    def __mul__(self, factor: float) -> Sums:
        """Give the sums with every weight multiplied."""
        return replace(self, **{name: getattr(self, name) * factor for name in self._added()})

    def about(self, reference: Tensor) -> Sums:
        """Give the same sums about other references."""
        shift = reference - self.reference
        first = self.first - self.counts[:, None] * shift
        if self.second.ndim == 2:
            change = shift * (self.first + first)
        else:
            change = shift[:, :, None] * self.first[:, None, :]
            change = change + first[:, :, None] * shift[:, None, :]
        second = self.second - change.sum_to_size(self.second.shape)
        return replace(self, first=first, second=second, reference=reference)

    def flat(self) -> Tensor:
        """Give all that is added in one vector, for a reduction over processes."""
        return torch.cat([getattr(self, name).reshape(-1) for name in self._added()])

    def from_flat(self, vector: Tensor) -> Sums:
        """Give such a vector the shapes of these sums."""
        sizes = [getattr(self, name).numel() for name in self._added()]
        parts = zip(self._added(), vector.split(sizes), strict=True)
        return replace(self, **{n: part.reshape(getattr(self, n).shape) for n, part in parts})

    def _added(self) -> tuple[str, ...]:
        return tuple(each.name for each in fields(self) if each.name not in _COMMON)


_COMMON = ("reference", "factors")  # what sums that are added have in common


@dataclass(frozen=True)
class FactorSums(Sums):
    """Sums of a mixture whose covariances are of factors: of S, the outer products, two parts.

    They are the diagonal of S, and S B, B what leads from a point to its factors' mean: all that
    its M step knows, at r + 1 numbers a coordinate. The sums with the factors z follow: of x z' it
    is S B, and of E[z z'] it is B' S B and M^-1 for each point.

    Attributes
    ----------
    second
        sum_n r_nk (x_n - reference_k)^2, ``(K, D)``.
    cross
        sum_n r_nk (x_n - reference_k) (x_n - reference_k)' B_k, ``(K, D, r)``.
    factors
        B and M^-1, the posterior of the E step.
    """

    cross: Tensor
    factors: FactorPosterior

    def about(self, reference: Tensor) -> FactorSums:
        """Give the same about other references."""
        moved, shift = super().about(reference), reference - self.reference
        assert isinstance(moved, FactorSums)
        change = shift[:, :, None] * self._along(self.first) + moved.first[
            :, :, None
        ] * self._along(shift)
        return replace(moved, cross=self.cross - change)

    def of_factors(self) -> Tensor:
        """Give the sums of E[z z'], whose z are zero at the reference, ``(K, r, r)``."""
        found = self.factors.directions.mT @ self.cross
        found = 0.5 * (found + found.mT)
        return found + self.counts[:, None, None] * self.factors.covariance

    def _along(self, rows: Tensor) -> Tensor:
        return rows[:, None, :] @ self.factors.directions
