# SPDX-License-Identifier: MIT
"""A mixture of products over blocks of columns, and the sums that its M step knows of points.

p(x) = sum_k pi_k prod_b p_b(x_b | z = k). What is missing is left out of the product, which
integrates it out exactly, as columns are independent given the component.

Source: Lazarsfeld & Henry (1968), "Latent structure analysis"; of columns of several families
Everitt (1988), "A finite mixture model for the clustering of mixed-mode data".
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from pyvae.mixture.products.block import Block, Numbers
from pyvae.mixture.products.discrete import (
    counts_behind,
    dirichlet_log_density,
    dirichlet_mode,
)

# Shares below are none: a probability that they alone speak for would be rounded to zero, and they
# would be points that it has no chance of.
_LEAST_SHARE = 1e-280


class ProductParameters(NamedTuple):
    """Weights ``(K,)``, and the parameters of every block, in float64."""

    weights: Tensor
    blocks: tuple[Numbers, ...]

    def to(self, device: torch.device) -> ProductParameters:
        """Give the parameters on a device."""
        blocks = tuple(tuple(part.to(device) for part in block) for block in self.blocks)
        return ProductParameters(self.weights.to(device), blocks)

    def tensors(self) -> list[Tensor]:
        """Give all of them, one after the other."""
        return [self.weights, *(part for block in self.blocks for part in block)]

    def of_tensors(self, tensors: Sequence[Tensor]) -> ProductParameters:
        """Give such a list this form."""
        weights, *rest = tensors
        parts = iter(rest)
        blocks = tuple(tuple(next(parts) for _ in block) for block in self.blocks)
        return ProductParameters(weights, blocks)


@dataclass(frozen=True)
class ProductSums:
    """Sums over points, in float64, about the parameters that they were taken at.

    Attributes
    ----------
    log_likelihood
        sum_n w_n log p(x_n), ``()``, in nats.
    entropy
        -sum_nk w_n r_nk log r_nk, ``()``.
    total
        sum_n w_n, ``()``.
    counts
        sum_n w_n r_nk, ``(K,)``.
    blocks
        Those of every block.
    reference
        The parameters.
    """

    log_likelihood: Tensor
    entropy: Tensor
    total: Tensor
    counts: Tensor
    blocks: tuple[Numbers, ...]
    reference: ProductParameters

    def __add__(self, other: ProductSums) -> ProductSums:
        """Give the sums over the points of both."""
        return self.from_flat(self.flat() + other.flat())

    def __mul__(self, factor: float) -> ProductSums:
        """Give the sums of points that count so many times as much."""
        return self.from_flat(self.flat() * factor)

    def about(self, reference: ProductParameters) -> ProductSums:
        """Give these sums; they can be about no other parameters than their own."""
        assert reference is self.reference
        return self

    def flat(self) -> Tensor:
        """Give all that is added in one vector."""
        return torch.cat([part.reshape(-1) for part in self._parts()])

    def from_flat(self, vector: Tensor) -> ProductSums:
        """Give such a vector the shapes of these sums."""
        parts = self._parts()
        pieces = vector.split([part.numel() for part in parts])
        shaped = iter([piece.reshape(p.shape) for piece, p in zip(pieces, parts, strict=True)])
        log_likelihood, entropy, total, counts = (next(shaped) for _ in range(4))
        blocks = tuple(tuple(next(shaped) for _ in block) for block in self.blocks)
        return ProductSums(log_likelihood, entropy, total, counts, blocks, self.reference)

    def _parts(self) -> list[Tensor]:
        own = [self.log_likelihood, self.entropy, self.total, self.counts]
        return own + [part for block in self.blocks for part in block]


class Product:
    """The formulas of a mixture over points ``(N, D)`` in float64; NaN is what was not observed.

    Parameters
    ----------
    blocks
        Each with the numbers of its columns.
    weight_prior
        Concentration of the symmetric Dirichlet prior on the weights.
    incomplete
        Whether there may be NaN.
    """

    def __init__(
        self, blocks: Sequence[tuple[Block, list[int]]], weight_prior: float, *, incomplete: bool
    ) -> None:
        self.blocks, self.weight_prior, self.incomplete = list(blocks), weight_prior, incomplete

    def of_data(self, whole: ProductParameters) -> Product:
        """Give the product with priors in units of the data, of which ``whole`` is the fit."""
        pairs = zip(self.blocks, whole.blocks, strict=True)
        blocks = [(block.of_data(own), columns) for (block, columns), own in pairs]
        return Product(blocks, self.weight_prior, incomplete=self.incomplete)

    def whole(self, p: ProductParameters, total: float) -> ProductParameters:
        """Give one component amid so many points, of which a mixture is the M step."""
        counts = p.weights / p.weights.sum() * total
        pairs = zip(self.blocks, p.blocks, strict=True)
        blocks = tuple(block.whole(counts, own) for (block, _), own in pairs)
        return ProductParameters(counts.new_ones(1), blocks)

    def reference(self, x: Tensor) -> ProductParameters:
        """Give parameters of one component amid these points."""
        blocks = tuple(block.reference(part, seen) for block, part, seen in self._parts(x))
        return ProductParameters(x.new_ones(1), blocks)

    def posterior(self, x: Tensor, p: ProductParameters) -> tuple[Tensor, Tensor]:
        """Logarithms of the responsibilities ``(N, K)``, and the log-density ``(N,)``.

        Of a point that no component can have made, the density is zero and the responsibilities
        are the weights.
        """
        joint = p.weights.log().expand(len(x), -1)
        for (block, part, seen), own in zip(self._parts(x), p.blocks, strict=True):
            joint = joint + block.log_prob(part, seen, own)
        log_prob = torch.logsumexp(joint, 1)
        possible = log_prob > -torch.inf
        if possible.all():
            return joint - log_prob[:, None], log_prob
        shares = torch.where(possible[:, None], joint - log_prob[:, None], p.weights.log())
        return shares, log_prob

    def e_step(self, x: Tensor, weight: Tensor | None, p: ProductParameters) -> ProductSums:
        """Give the sums of the posterior."""
        log_shares, log_prob = self.posterior(x, p)
        found = self.sums(x, weight, log_shares.exp(), p)
        if weight is not None:
            log_prob = torch.where(weight > 0, weight * log_prob, 0.0)
        return replace(found, log_likelihood=log_prob.sum())

    def sums(
        self, x: Tensor, weight: Tensor | None, shares: Tensor, reference: ProductParameters
    ) -> ProductSums:
        """Give the sums of any responsibilities; their log-likelihood is left at zero."""
        entropy = torch.special.entr(shares)
        if weight is not None:
            shares, entropy = shares * weight[:, None], entropy * weight[:, None]
        shares = torch.where(shares > _LEAST_SHARE, shares, 0.0)
        blocks = tuple(
            block.sums(part, seen, shares, own)
            for (block, part, seen), own in zip(self._parts(x), reference.blocks, strict=True)
        )
        total = x.new_tensor(float(len(x))) if weight is None else weight.sum()
        zero = x.new_zeros(())
        return ProductSums(zero, entropy.sum(), total, shares.sum(0), blocks, reference)

    def m_step(self, sums: ProductSums) -> ProductParameters:
        """Give the parameters of the largest expected log-joint, with the log-prior."""
        weights = dirichlet_mode(sums.counts, self.weight_prior, sums.reference.weights)
        blocks = tuple(
            block.m_step(own, about)
            for (block, _), own, about in zip(
                self.blocks, sums.blocks, sums.reference.blocks, strict=True
            )
        )
        return ProductParameters(weights, blocks)

    def sums_behind(self, p: ProductParameters, total: float) -> ProductSums:
        """Give the sums of so many points of which the parameters are the M step, without F's."""
        zero = p.weights.new_zeros(())
        counts = counts_behind(p.weights, zero + total, self.weight_prior, len(p.weights))
        pairs = zip(self.blocks, p.blocks, strict=True)
        blocks = tuple(block.sums_behind(own, counts) for (block, _), own in pairs)
        return ProductSums(zero, zero, zero + total, counts, blocks, p)

    def expected_log_joint(self, sums: ProductSums, p: ProductParameters) -> Tensor:
        """E_q[log p(x, z)] of the points behind sums, ``()``, in nats."""
        found = torch.special.xlogy(sums.counts, p.weights).sum()
        for (block, _), own, about, parameters in zip(
            self.blocks, sums.blocks, sums.reference.blocks, p.blocks, strict=True
        ):
            found = found + block.expected(own, about, parameters)
        return found

    def log_prior(self, p: ProductParameters) -> Tensor:
        """Logarithm of the priors' densities, ``()``, up to their constants."""
        found = dirichlet_log_density(p.weights, self.weight_prior)
        for (block, _), own in zip(self.blocks, p.blocks, strict=True):
            found = found + block.log_prior(own)
        return found

    def num_parameters(self, k: int) -> int:
        """Count free parameters."""
        return k - 1 + sum(block.num_parameters(k) for block, _ in self.blocks)

    def rounding(self, reference: ProductParameters | None, p: ProductParameters) -> float:
        """Give what F may be off at these parameters, in nats a point."""
        abouts = [None] * len(self.blocks) if reference is None else reference.blocks
        return max(
            block.rounding(p.weights, about, own)
            for (block, _), about, own in zip(self.blocks, abouts, p.blocks, strict=True)
        )

    def drawn(
        self, p: ProductParameters, count: int, random: np.random.RandomState
    ) -> tuple[Tensor, Tensor]:
        """Draw points ``(count, D)``, ordered by component, and their components ``(count,)``."""
        shares = p.weights.cpu().numpy()
        counts = random.multinomial(count, shares / shares.sum())
        labels = torch.from_numpy(np.repeat(np.arange(len(shares)), counts)).to(p.weights.device)
        parts = [
            block.drawn(own, labels, random)
            for (block, _), own in zip(self.blocks, p.blocks, strict=True)
        ]
        return self._joined(parts, labels), labels

    def completed(self, x: Tensor, p: ProductParameters) -> Tensor:
        """Give points with what is missing in its place: the mean or mode given what is seen."""
        shares = self.posterior(x, p)[0].exp()
        parts = [
            part if seen is None else block.completed(part, seen, shares, own)
            for (block, part, seen), own in zip(self._parts(x), p.blocks, strict=True)
        ]
        return self._joined(parts, x)

    def embedded(self, x: Tensor, whole: ProductParameters) -> Tensor:
        """Give points where Euclidean distances tell them apart, ``(N, E)``, by the whole's fit."""
        pairs = zip(self._parts(x), whole.blocks, strict=True)
        return torch.cat([block.embedded(part, seen, own) for (block, part, seen), own in pairs], 1)

    def _parts(self, x: Tensor) -> Iterator[tuple[Block, Tensor, Tensor | None]]:
        """Give every block its columns of the points, and what is seen of them."""
        seen = ~x.isnan() if self.incomplete else None
        seen = None if seen is None or seen.all() else seen
        for block, columns in self.blocks:
            if len(self.blocks) == 1:
                yield block, x, seen
            else:
                yield block, x[:, columns], None if seen is None else seen[:, columns]

    def _joined(self, parts: list[Tensor], like: Tensor) -> Tensor:
        """Give the columns of all blocks in their order."""
        order = [column for _, columns in self.blocks for column in columns]
        found = torch.empty(len(like), len(order), dtype=torch.float64, device=like.device)
        found[:, order] = torch.cat(parts, 1)
        return found
