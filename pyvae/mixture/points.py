# SPDX-License-Identifier: MIT
"""The points of a fit: in memory, or read from a mapped file in one pass an iteration."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from pyvae.mixture import arrays
from pyvae.mixture.labels import Labels

_CHUNK = 2**24  # bytes of the points that are worked on, or of a file in memory, at a time
# On a GPU, which a call of an op keeps busy if it is large, and which has little to do between two.
# What some models make by rows and components is bounded by the rows: as it is of two columns.
_CHUNK_ON_GPU, _ROWS_ON_GPU = 2**30, 2**21


@dataclass(frozen=True)
class Points:
    """Rows ``(N, D)`` about an origin, with weights ``(N,)`` or without.

    Far from zero a float32 has few digits left for the distances within a cluster; about an origin
    amid the points it has all of them, and the difference is exact or nearly so. What is computed
    of equal rows has equal bits, in whatever order and place they are stored.

    Attributes
    ----------
    source
        A tensor, or a mapped array, which is read by chunks.
    weight
        How often each row counts; None is once.
    origin
        ``(D,)``, in the dtype of the source.
    labels
        What is known of their components; None is nothing.
    """

    source: arrays.Source
    weight: Tensor | None
    origin: Tensor
    labels: Labels | None = None

    @staticmethod
    def about_their_mean(
        source: arrays.Source, weight: Tensor | None, labels: Labels | None = None
    ) -> Points:
        """Take the mean of the rows as the origin; a coordinate that none has is zero there."""
        total, observed = arrays.column_sums(source, weight)
        mean = total / observed.clamp_min(1.0)
        return Points(source, weight, mean.to(arrays.like(source)), labels)

    def __len__(self) -> int:
        return len(self.source)

    @property
    def dimension(self) -> int:
        """D."""
        return self.source.shape[1]

    @property
    def total(self) -> float:
        """Sum of the weights."""
        return float(len(self)) if self.weight is None else self.weight.double().sum().item()

    def chunks(self) -> Iterator[tuple[Tensor, Tensor | None]]:
        """Give the rows about the origin, and their weights."""
        yield from ((x, weight) for x, weight, _ in self.labelled_chunks())

    def labelled_chunks(self) -> Iterator[tuple[Tensor, Tensor | None, Labels | None]]:
        """Give the same, and what is known of their components."""
        step = self._rows_at_a_time()
        for start in range(0, max(1, len(self)), step):
            part = slice(start, start + step)
            if isinstance(self.source, Tensor):
                rows = self._whole[part]
            else:
                rows = arrays.rows(self.source, part).sub_(self.origin)
            weight = None if self.weight is None else self.weight[part]
            yield rows, weight, None if self.labels is None else self.labels.of(part)

    def sample(self, most: int) -> tuple[Tensor, Tensor | None]:
        """Give at most so many rows about the origin, evenly spread, with their weights.

        Which ones depends on their number and on which have a weight, not on how they are stored.
        """
        if isinstance(self.source, Tensor) and len(self) <= most:
            return self._whole, self.weight
        index = self.spread(most)
        weight = None if self.weight is None else self.weight[index.to(self.weight.device)]
        return self.rows(index), weight

    def rows(self, index: Tensor) -> Tensor:
        """Give some rows about the origin, by their numbers."""
        return arrays.rows(self.source, index) - self.origin

    def spread(self, most: int) -> Tensor:
        """Give the numbers of these rows, of such as have a weight."""
        counted = None if self.weight is None else self.weight.nonzero()[:, 0].cpu()
        count = len(self) if counted is None else len(counted)
        taken = min(count, most)
        index = torch.arange(taken) * count // max(taken, 1)
        return index if counted is None else counted[index]

    def _rows_at_a_time(self) -> int:
        row = max(1, self.origin.element_size() * self.dimension)
        if self.origin.is_cpu:
            return max(1, _CHUNK // row)
        return max(1, min(_CHUNK_ON_GPU // row, _ROWS_ON_GPU))

    @cached_property
    def _whole(self) -> Tensor:
        assert isinstance(self.source, Tensor)
        found = torch.empty(self.source.shape, dtype=self.origin.dtype, device=self.origin.device)
        return torch.sub(self.source, self.origin, out=found)
