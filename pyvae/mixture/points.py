# SPDX-License-Identifier: MIT
"""The points of a fit: in memory, or read from a mapped file in one pass an iteration."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

_CHUNK = 2**24  # bytes of a mapped file that are in memory at a time


@dataclass(frozen=True)
class Points:
    """Rows ``(N, D)`` about an origin, with weights ``(N,)`` or without.

    Far from zero a float32 has few digits left for the distances within a cluster; about an origin
    amid the points it has all of them, and the difference is exact or nearly so.

    Attributes
    ----------
    source
        A tensor, or a mapped array, which is read by chunks.
    weight
        How often each row counts; None is once.
    origin
        ``(D,)``, in the dtype of the source.
    """

    source: Tensor | np.memmap
    weight: Tensor | None
    origin: Tensor

    @staticmethod
    def about_their_mean(source: Tensor | np.memmap, weight: Tensor | None) -> Points:
        """Take the mean of the rows (of a mapped file, of some) as the origin."""
        rows = source if isinstance(source, Tensor) else torch.from_numpy(_some(source, 4096))
        mean = torch.nan_to_num(rows.double().nanmean(0))
        return Points(source, weight, mean.to(rows.dtype))

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
        if isinstance(self.source, Tensor):
            yield self._whole, self.weight
            return
        step = max(1, _CHUNK // (self.source.itemsize * self.dimension))
        for start in range(0, len(self), step):
            rows = torch.from_numpy(np.array(self.source[start : start + step]))
            weight = None if self.weight is None else self.weight[start : start + step]
            yield rows.sub_(self.origin), weight

    def sample(self, most: int) -> tuple[Tensor, Tensor | None]:
        """Give at most so many rows about the origin, evenly spread, with their weights."""
        if isinstance(self.source, Tensor) and len(self) <= most:
            return self._whole, self.weight
        step = -(-len(self) // most)
        if isinstance(self.source, Tensor):
            rows = self._whole[::step]
        else:
            rows = torch.from_numpy(np.array(self.source[::step])).sub_(self.origin)
        return rows, None if self.weight is None else self.weight[::step]

    @cached_property
    def _whole(self) -> Tensor:
        assert isinstance(self.source, Tensor)
        return self.source - self.origin


def _some(source: np.ndarray, most: int) -> np.ndarray:
    return np.array(source[:: -(-len(source) // most)])
