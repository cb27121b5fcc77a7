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

from pyvae.data import shapes
from pyvae.errors import WrongValue

if TYPE_CHECKING:
    from collections.abc import Sequence

_CHUNK_BYTES = 1 << 24


@dataclass(frozen=True, eq=False)
class Data(Dataset):
    """Examples in rows, as they are stored, with rows in the precision that they hold on demand.

    Rows are converted when they are asked for, so a memory-mapped file is never read whole for
    training; only ``x`` does that. They are float32 where that holds every number of the
    stored type (booleans, 8 and 16 bits, float32) and float64 otherwise. It is a map-style
    ``torch.utils.data.Dataset`` of such rows and may be handed to a ``DataLoader``.

    Parameters
    ----------
    stored
        ``(N, ...)`` numbers of any real type, in memory or memory-mapped.
    labels
        ``(N,)`` int64, or None; -1 where unknown. No training procedure of this package reads
        them.
    image_shape
        Where a row is an image, to draw it: ``(height, width)``, or with several channels
        ``(channels, height, width)``, in whose order a row holds them.
    name
        What messages call these data: a file's path or ``"digits"``.
    scale
        Rows are multiplied by it: 1/255 for images of bytes, or of what bytes could hold.
    checked
        True where every number is known to be finite. Otherwise rows are checked as they are read.
    columns
        Names of the features, where the source has them.
    classes
        Names of what the labels number, where they have names.
    label_name
        What the labels are called in the source, where they are a part of it.
    missing
        Whether NaN stands for what was not observed, and is no mistake.
    notes
        What was guessed of the source, and how to say otherwise.
    categories
        Where features may be text: of each that is, what its numbers stand for, in order; None of
        the others.

    Raises
    ------
    ValueError
        If there are no examples, no features, another number of labels than of examples or of names
        or categories than of features, or a number that is NaN, infinite, or an integer that
        float64 would round (when it is read).

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
    image_shape: tuple[int, ...] | None = None
    name: str = "data"
    scale: float = 1.0
    checked: bool = field(default=False, repr=False)
    columns: tuple[str, ...] | None = None
    classes: tuple[str, ...] | None = None
    label_name: str | None = None
    missing: bool = False
    notes: tuple[str, ...] = field(default=(), repr=False)
    categories: tuple[tuple[str, ...] | None, ...] | None = None

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
        if self.columns is not None and len(self.columns) != self.num_features:
            raise WrongValue(
                f"{self.name}: {self.num_features} features but {len(self.columns)} names of "
                "columns; pass one name per feature"
            )
        if self.categories is not None and len(self.categories) != self.num_features:
            raise WrongValue(
                f"{self.name}: {self.num_features} features but categories of "
                f"{len(self.categories)}; pass some, or None, for each"
            )

    def __len__(self) -> int:
        return self.stored.shape[0]

    def __getitem__(self, index: int) -> Tensor:
        if not -len(self) <= index < len(self):
            raise IndexError(f"{self.name}: row {index} of {len(self)}")
        return self.rows([index % len(self)])[0]

    def __getitems__(self, indices: list[int]) -> list[Tensor]:
        """Return several rows, read at once: what torch's DataLoader calls where it exists."""
        return list(self.rows(indices))

    @property
    def num_features(self) -> int:
        """Numbers per example, D."""
        return int(np.prod(self.stored.shape[1:]))

    @property
    def holds_images(self) -> bool:
        """Whether examples are pictures, of one channel or several."""
        return self.image_shape is not None or shapes.sides(self.stored.shape) > 1

    @property
    def dtype(self) -> np.dtype:
        """The type of the rows: the least of float32 and float64 that holds the stored one.

        Of scaled pixels it is float32, whatever they are stored in.
        """
        stored = self.stored.dtype
        narrow = self.scale != 1.0 or stored.itemsize <= (4 if stored.kind == "f" else 2)
        return np.dtype(np.float32 if narrow else np.float64)

    @cached_property
    def x(self) -> Tensor:
        """All examples, ``(N, D)``. A memory-mapped file is read whole by this."""
        return self.rows(slice(None))

    @cached_property
    def unit_interval(self) -> bool:
        """Whether every number lies in [0, 1], as a Bernoulli likelihood needs."""
        return all(rows.min() >= 0 and rows.max() <= 1 for rows in self._chunks())

    def rows(self, index: slice | Sequence[int] | np.ndarray | Tensor) -> Tensor:
        """Examples at ``index``, ``(n, D)`` in :attr:`dtype`."""
        index = index if isinstance(index, slice) else np.asarray(index)
        picked = np.asarray(self.stored[index])
        picked = picked.reshape(len(picked), -1)
        # A copy always: a tensor that shared the mapping's pages would be read again at each use.
        with np.errstate(over="ignore"):
            flat = np.array(picked, dtype=self.dtype)
        if not self.checked:
            self._check(picked, flat, index)
        if self.scale != 1.0:
            flat *= flat.dtype.type(self.scale)
        return torch.from_numpy(flat)

    def _check(self, picked: np.ndarray, flat: np.ndarray, index: slice | np.ndarray) -> None:
        """Raise where a number is not finite, or is another than the stored one."""
        wrong = ~np.isfinite(flat)
        if self.missing and flat.dtype.kind == picked.dtype.kind:
            wrong &= ~np.isnan(picked)
        rounded = np.zeros_like(wrong) if self._is_exact else _rounded(picked, flat)
        if not (wrong | rounded).any():
            return
        bad_row, column = np.argwhere(wrong | rounded)[0]
        row = np.arange(len(self))[index][bad_row]
        place = f"{self.name}: row {row}, column {column} (counted from 0) is"
        if rounded[bad_row, column]:
            raise WrongValue(
                f"{place} {picked[bad_row, column]}, which float64 does not hold; expected numbers "
                "that it does, as integers up to 2**53: subtract what all have in common, leave "
                "the column out, or save it as float64 where rounding is meant"
            )
        raise WrongValue(
            f"{place} {flat[bad_row, column]}; expected finite numbers: drop such rows or fill "
            "them in first"
            + "; `pyvae fit-mixture --missing marginalize` (in Python missing='keep') takes NaN "
            "for what was not observed" * bool(np.isnan(flat[bad_row, column]))
        )

    @property
    def _is_exact(self) -> bool:
        """Whether every number of the stored type is one of :attr:`dtype` too."""
        stored = self.stored.dtype
        return stored.itemsize <= (8 if stored.kind == "f" else 4)

    def verified(self) -> Data:
        """Check that every number is finite, and return the data marked so."""
        if self.checked or (self._is_exact and self.stored.dtype.kind in "bui"):
            return replace(self, checked=True)
        for _ in self._chunks():
            pass
        return replace(self, checked=True)

    def _chunks(self):
        step = max(1, _CHUNK_BYTES // (self.dtype.itemsize * self.num_features))
        return (self.rows(slice(i, i + step)) for i in range(0, len(self), step))


def _rounded(stored: np.ndarray, flat: np.ndarray) -> np.ndarray:
    """Tell which numbers are others in float64."""
    with np.errstate(invalid="ignore"):
        if stored.dtype.kind == "f":
            return (flat.astype(stored.dtype) != stored) & ~np.isnan(stored)
        # 2^63 and 2^64 themselves are what the largest integers are rounded up to.
        least, most = float(np.iinfo(stored.dtype).min), float(np.iinfo(stored.dtype).max)
        inside = (flat >= least) & (flat < most)
        return ~inside | (np.where(inside, flat, 0).astype(stored.dtype) != stored)
