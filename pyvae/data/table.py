# SPDX-License-Identifier: MIT
"""The table that every reader returns: one example a row, labels where there are any."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from pyvae.errors import WrongValue

if TYPE_CHECKING:
    from collections.abc import Sequence

_CHUNK_BYTES = 1 << 24


def sides(shape: Sequence[int]) -> int:
    """Return how many dimensions of an example, in an array of that shape, are more than one."""
    return sum(size > 1 for size in shape[1:])


@dataclass(frozen=True, eq=False)
class Data(Dataset):
    """Examples in rows, as they are stored, with float32 rows on demand.

    Rows are converted when they are asked for, so a memory-mapped file is never read whole for
    training; only :attr:`x` does that. It is a map-style ``torch.utils.data.Dataset`` of float32
    rows and may be handed to a ``DataLoader``.

    Parameters
    ----------
    stored
        ``(N, ...)`` numbers of any real type, in memory or memory-mapped.
    labels
        ``(N,)`` int64, or None. No training procedure of this package reads them.
    image_shape
        ``(height, width)`` where a row is an image, to draw it.
    name
        What messages call these data: a file's path or ``"digits"``.
    scale
        Rows are multiplied by it: 1/255 for images of bytes, or of what bytes could hold.
    checked
        True where every number is known to be finite. Otherwise rows are checked as they are read.

    Raises
    ------
    ValueError
        If there are no examples, no features, another number of labels than of examples, or a
        number that is NaN or infinite (when it is read).

    Examples
    --------
    >>> data = Data(np.array([[0, 255], [255, 0]], dtype=np.uint8), name="pixels", scale=1 / 255)
    >>> data.x
    tensor([[0., 1.],
            [1., 0.]])
    >>> len(data), data.num_features, data.unit_interval
    (2, 2, True)
    """

    stored: np.ndarray
    labels: Tensor | None = None
    image_shape: tuple[int, int] | None = None
    name: str = "data"
    scale: float = 1.0
    checked: bool = field(default=False, repr=False)

    def __post_init__(self) -> None:
        if self.stored.ndim < 2:
            raise WrongValue(
                f"{self.name}: expected one example a row, (N, D), got an array of shape "
                f"{self.stored.shape}; reshape it to (N, 1) if each example is one number"
            )
        if self.stored.shape[0] == 0 or self.num_features == 0:
            raise WrongValue(
                f"{self.name}: holds no numbers (shape {self.stored.shape}); "
                "at least one example with one feature is needed"
            )
        if self.labels is not None and self.labels.shape != (len(self),):
            raise WrongValue(
                f"{self.name}: {len(self)} examples but labels of shape "
                f"{tuple(self.labels.shape)}; pass one label per example"
            )

    def __len__(self) -> int:
        return self.stored.shape[0]

    def __getitem__(self, index: int) -> Tensor:
        if not -len(self) <= index < len(self):
            raise IndexError(f"{self.name}: row {index} of {len(self)}")
        return self.rows([index % len(self)])[0]

    def __getitems__(self, indices: list[int]) -> Tensor:
        """Return a batch at once: what torch's DataLoader calls where it exists."""
        return self.rows(indices)

    @property
    def num_features(self) -> int:
        """Numbers per example, D."""
        return int(np.prod(self.stored.shape[1:]))

    @property
    def holds_images(self) -> bool:
        """Whether examples are pictures, of one channel or several."""
        return self.image_shape is not None or sides(self.stored.shape) > 1

    @cached_property
    def x(self) -> Tensor:
        """All examples, ``(N, D)`` float32. A memory-mapped file is read whole by this."""
        return self.rows(slice(None))

    @cached_property
    def unit_interval(self) -> bool:
        """Whether every number lies in [0, 1], as a Bernoulli likelihood needs."""
        return all(rows.min() >= 0 and rows.max() <= 1 for rows in self._chunks())

    def rows(self, index: slice | Sequence[int] | np.ndarray | Tensor) -> Tensor:
        """Examples at ``index`` as a float32 tensor of shape ``(n, D)``."""
        index = index if isinstance(index, slice) else np.asarray(index)
        picked = np.asarray(self.stored[index])
        # A copy always: a tensor that shared the mapping's pages would be read again at each use.
        flat = np.array(picked.reshape(len(picked), -1), dtype=np.float32)
        if not self.checked and not np.isfinite(flat).all():
            bad_row, column = np.argwhere(~np.isfinite(flat))[0]
            row = np.arange(len(self))[index][bad_row]
            raise WrongValue(
                f"{self.name}: row {row}, column {column} (counted from 0) is "
                f"{flat[bad_row, column]}; expected finite float32 numbers: "
                "drop or impute such rows first"
            )
        if self.scale != 1.0:
            flat *= np.float32(self.scale)
        return torch.from_numpy(flat)

    def verified(self) -> Data:
        """Check that every number is finite, and return the data marked so."""
        if self.checked or self.stored.dtype.kind in "bui":
            return replace(self, checked=True)
        for _ in self._chunks():
            pass
        return replace(self, checked=True)

    def _chunks(self):
        step = max(1, _CHUNK_BYTES // (4 * self.num_features))
        return (self.rows(slice(i, i + step)) for i in range(0, len(self), step))
