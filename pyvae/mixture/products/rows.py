# SPDX-License-Identifier: MIT
"""The points of a fit as they are stored, and in float64 some at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from pyvae.mixture import arrays

_CHUNK = 2**24  # bytes that are worked on at a time


@dataclass(frozen=True)
class Rows:
    """Rows ``(N, D)``, with weights ``(N,)`` in float64 or without.

    Attributes
    ----------
    source
        A tensor of any dtype, or a mapped array, which is read by chunks.
    weight
        How often each row counts; None is once.
    encode
        What makes numbers of the columns' values, in float64; NaN is what was not observed.
    """

    source: arrays.Source
    weight: Tensor | None
    encode: Callable[[Tensor], Tensor]

    def __len__(self) -> int:
        return len(self.source)

    @property
    def device(self) -> torch.device:
        """Where the rows are worked on."""
        return self.source.device if isinstance(self.source, Tensor) else torch.device("cpu")

    def total(self) -> Tensor:
        """Give the sum of the weights, ``()``."""
        if self.weight is None:
            return torch.tensor(float(len(self)), dtype=torch.float64, device=self.device)
        return self.weight.double().sum()

    def chunks(self, width: int) -> Iterator[tuple[Tensor, Tensor | None]]:
        """Give rows and their weights, so many that of each up to ``width`` numbers are kept."""
        step = max(1, _CHUNK // (8 * max(1, width)))
        for start in range(0, max(1, len(self)), step):
            yield self._part(slice(start, start + step))

    def sample(self, most: int) -> tuple[Tensor, Tensor | None]:
        """Give at most so many rows that have a weight, evenly spread, with their weights."""
        counted = None if self.weight is None else self.weight.nonzero()[:, 0].cpu()
        count = len(self) if counted is None else len(counted)
        index = torch.arange(min(count, most)) * count // max(1, min(count, most))
        return self._part(index if counted is None else counted[index])

    def _part(self, index: slice | Tensor) -> tuple[Tensor, Tensor | None]:
        weight = self.weight
        if weight is not None:
            own = index.to(weight.device) if isinstance(index, Tensor) else index
            weight = weight[own]
        return self.encode(arrays.rows(self.source, index)), weight
