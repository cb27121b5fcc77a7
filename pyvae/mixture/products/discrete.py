# SPDX-License-Identifier: MIT
"""Blocks of columns with a few values each: categories, and of two the Bernoulli distribution.

Source: Bishop (2006), section 9.3.3 and, for the priors, 2.2.1; Goodman (1974), "Exploratory latent
structure analysis using both identifiable and unidentifiable models", for the latent class model.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from pyvae.mixture.conditioning import UNIT
from pyvae.mixture.kind import TINY
from pyvae.mixture.products.block import Block, Numbers


def dirichlet_mode(
    counts: Tensor, concentration: float, otherwise: Tensor, owner: Tensor | None = None
) -> Tensor:
    """Posterior mode of probabilities, from counts and a symmetric Dirichlet prior.

    ``(C,)`` are of one distribution; of several side by side, ``(K, S)``, ``owner (S,)`` tells
    which each is of. Where neither says anything, all probabilities are likeliest; those of
    ``otherwise`` are given.
    """
    more = counts + (concentration - 1.0)
    if owner is None:
        total = more.sum()
    else:
        each = more.new_zeros(len(more), int(owner[-1]) + 1).index_add_(1, owner, more)
        total = each[:, owner]
    return torch.where(total > TINY, more / total.clamp_min(TINY), otherwise)


def counts_behind(
    probabilities: Tensor, total: Tensor, concentration: float, sizes: Tensor | int
) -> Tensor:
    """Counts of which probabilities are the posterior mode, of ``total`` observations each.

    ``sizes`` are numbers of categories. What the prior alone speaks for has no count.
    """
    more = concentration - 1.0
    return (probabilities * (total + more * sizes) - more).clamp_min(0.0)


def dirichlet_log_density(probabilities: Tensor, concentration: float) -> Tensor:
    """Log-density of all of them under a symmetric Dirichlet prior, ``()``, up to its constant."""
    more = probabilities.new_tensor(concentration - 1.0)
    return torch.special.xlogy(more, probabilities).sum()


class Categories(Block):
    """Columns of codes, each with probabilities ``(K, C_j)``, side by side in ``(K, sum C_j)``.

    Parameters
    ----------
    sizes
        C_j of every column.
    concentration
        Of the symmetric Dirichlet prior on the probabilities of every column and component.
    """

    def __init__(self, sizes: Sequence[int], concentration: float) -> None:
        self.sizes, self.concentration = list(sizes), concentration
        self.first = [0, *accumulate(self.sizes)]

    def reference(self, x: Tensor, seen: Tensor | None) -> Numbers:
        even = torch.cat([x.new_full((1, size), 1.0 / size) for size in self.sizes], 1)
        return (even,)

    def whole(self, counts: Tensor, parameters: Numbers) -> Numbers:
        return (counts[None] @ parameters[0] / counts.sum(),)

    def of_data(self, whole: Numbers) -> Block:
        return self

    def log_prob(self, x: Tensor, seen: Tensor | None, parameters: Numbers) -> Tensor:
        table = self._rows(parameters[0].log())
        found = x.new_zeros(len(x), table.shape[1])
        for index in self._index(x, seen):
            found += functional.embedding(index, table)
        return found

    def sums(self, x: Tensor, seen: Tensor | None, shares: Tensor, reference: Numbers) -> Numbers:
        table = torch.zeros_like(self._rows(reference[0]))
        for index in self._index(x, seen):
            table.index_add_(0, index, shares)
        return (table[:-1].T.contiguous(),)

    def m_step(self, sums: Numbers, reference: Numbers) -> Numbers:
        return (dirichlet_mode(sums[0], self.concentration, reference[0], self._owner(sums[0])),)

    def sums_behind(self, parameters: Numbers, counts: Tensor) -> Numbers:
        sizes = torch.tensor(self.sizes, device=counts.device)[self._owner(counts)]
        return (counts_behind(parameters[0], counts[:, None], self.concentration, sizes),)

    def expected(self, sums: Numbers, reference: Numbers, parameters: Numbers) -> Tensor:
        return torch.special.xlogy(sums[0], parameters[0]).sum()

    def log_prior(self, parameters: Numbers) -> Tensor:
        return dirichlet_log_density(parameters[0], self.concentration)

    def num_parameters(self, k: int) -> int:
        return k * (sum(self.sizes) - len(self.sizes))

    def shapes(self, k: int) -> dict[str, tuple[int, ...]]:
        return {"category_probabilities": (k, sum(self.sizes))}

    def rounding(self, weights: Tensor, reference: Numbers | None, parameters: Numbers) -> float:
        return UNIT[torch.float64]

    def drawn(self, parameters: Numbers, labels: Tensor, random: np.random.RandomState) -> Tensor:
        uniform = torch.from_numpy(random.random_sample((len(self.sizes), len(labels), 1)))
        codes = []
        for u, p in zip(uniform.to(labels.device), self.columns(parameters[0]), strict=True):
            heights = p.cumsum(1)[labels]
            codes.append((heights <= u * heights[:, -1:]).sum(1))
        return torch.stack(codes, 1).double()

    def completed(self, x: Tensor, seen: Tensor, shares: Tensor, parameters: Numbers) -> Tensor:
        modes = [(shares @ p).argmax(1) for p in self.columns(parameters[0])]
        return torch.where(seen, x, torch.stack(modes, 1).double())

    def embedded(self, x: Tensor, seen: Tensor | None, whole: Numbers) -> Tensor:
        # Two categories are as far apart as zero and one.
        places = zip(self._index(x, seen), self.first, self.columns(whole[0]), strict=False)
        rows = []
        for column, (index, first, shares) in enumerate(places):
            size = shares.shape[1]
            hot = functional.one_hot((index - first).clamp_max(size - 1), size).double()
            rows.append(hot if seen is None else torch.where(seen[:, column, None], hot, shares))
        return torch.cat(rows, 1) * 0.5**0.5

    def columns(self, numbers: Tensor) -> tuple[Tensor, ...]:
        """Give every column's own, ``(K, C_j)``."""
        return numbers.split(self.sizes, 1)

    def _owner(self, like: Tensor) -> Tensor:
        """Give the column of every category, ``(sum C_j,)``."""
        return (
            torch.arange(len(self.sizes))
            .repeat_interleave(torch.tensor(self.sizes))
            .to(like.device)
        )

    def _rows(self, numbers: Tensor) -> Tensor:
        """Give a row a category, ``(sum C_j + 1, K)``; the last, of zeros, is what is missing."""
        return functional.pad(numbers, (0, 1)).T.contiguous()

    def _index(self, x: Tensor, seen: Tensor | None) -> list[Tensor]:
        """Give every column's rows of :meth:`_rows`."""
        last, pairs = self.first[-1], zip(x.T, self.first, strict=False)
        if seen is None:
            return [codes.long() + first for codes, first in pairs]
        return [
            torch.where(there, codes + first, last).long()
            for (codes, first), there in zip(pairs, seen.T, strict=True)
        ]


class Binary(Categories):
    """Columns of zeros and ones: two categories each, and one matrix product for all of them.

    log p(x | z) is linear in x: x log(p / (1 - p)) + log(1 - p). A value that has no chance has
    no such form; it is counted apart, in columns where there is one.
    """

    def __init__(self, count: int, concentration: float) -> None:
        super().__init__([2] * count, concentration)

    def shapes(self, k: int) -> dict[str, tuple[int, ...]]:
        return {"binary_probabilities": (k, sum(self.sizes))}

    def log_prob(self, x: Tensor, seen: Tensor | None, parameters: Numbers) -> Tensor:
        zero, one = pair(parameters[0])
        some = (zero > 0) & (one > 0)
        of_zero = torch.where(some, zero.log(), 0.0)
        of_one = torch.where(some, one.log(), 0.0)
        if some.all():
            return self._linear(x, seen, of_zero, of_one)
        # The second half counts values that have no chance, exactly.
        impossible = [
            torch.cat([of, (p <= 0).double()]) for of, p in ((of_zero, zero), (of_one, one))
        ]
        found, count = self._linear(x, seen, *impossible).chunk(2, 1)
        return torch.where(count > 0.5, -torch.inf, found)

    def _linear(self, x: Tensor, seen: Tensor | None, zero: Tensor, one: Tensor) -> Tensor:
        """Sum numbers of zeros and of ones over the columns of points, ``(N, K)``."""
        base = zero.sum(1)[:, None] if seen is None else zero @ seen.double().T
        return torch.addmm(base, one - zero, self._ones(x, seen).T).T  # small matrix first: faster

    def sums(self, x: Tensor, seen: Tensor | None, shares: Tensor, reference: Numbers) -> Numbers:
        ones = shares.T @ self._ones(x, seen)
        everything = shares.sum(0)[:, None] if seen is None else shares.T @ seen.double()
        # The difference is rounded; but of what has no chance there is none.
        zeros = torch.where(pair(reference[0])[0] > 0, (everything - ones).clamp_min(0.0), 0.0)
        return (interleaved(zeros, ones),)

    def embedded(self, x: Tensor, seen: Tensor | None, whole: Numbers) -> Tensor:
        return x if seen is None else torch.where(seen, x, pair(whole[0])[1])

    def _ones(self, x: Tensor, seen: Tensor | None) -> Tensor:
        return x if seen is None else torch.where(seen, x, 0.0)


def pair(numbers: Tensor) -> tuple[Tensor, Tensor]:
    """Give those of zeros, and those of ones, ``(K, D)`` each."""
    return numbers[:, 0::2], numbers[:, 1::2]


def interleaved(zero: Tensor, one: Tensor) -> Tensor:
    """Give both in the order of their columns, ``(K, 2 D)``."""
    return torch.stack([zero, one], 2).flatten(1)
