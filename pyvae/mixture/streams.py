# SPDX-License-Identifier: MIT
"""Points that come in batches: a DataLoader, a dataset, an Arrow file, or any other iterable."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from pyvae.arrow import is_arrow, record_batches
from pyvae.errors import WrongValue
from pyvae.examples import batches_of
from pyvae.mixture.tensors import as_tensor

_READ_AGAIN = (
    "a fit reads its points several times: pass what begins anew with each for-loop, such as a "
    "DataLoader, a Dataset or a list of batches; partial_fit takes batches that come once"
)


class Stream:
    """Rows ``(N, D)`` of batches that can be read again, of which one at a time is held.

    It is read once as it is made, for the size, and then in order by slices; a slice before the
    present row begins anew.

    Parameters
    ----------
    batches
        Matrices ``(B, D)`` of one dtype on one device, or tuples or lists that begin with one.
    feature_names
        Of the columns, where they have names.

    Raises
    ------
    ValueError
        If there are none, they hold no numbers, or differ in more than their length.

    Attributes
    ----------
    shape, dtype, device
        As a tensor's.
    has_tensors
        Whether the batches are tensors, and so what is said of the rows.
    """

    def __init__(self, batches: Iterable[Any], feature_names: list[str] | None = None) -> None:
        self._batches, self.feature_names = batches, feature_names
        self._digests: list[int] = []
        self._why_in_order: str | None = None
        self._reader: Iterator[Tensor] | None = None
        self._held: Tensor | None = None
        self._at = 0
        count, first = 0, None
        for number, batch in enumerate(batches):
            rows = _matrix(batch, number)
            if first is None:
                first, self.has_tensors = rows[:0], isinstance(_first(batch), Tensor)
            _require_like(rows, first, number)
            self._digests.append(_digest(rows))
            count += len(rows)
        if first is None:
            raise WrongValue(f"X is a {type(batches).__name__} without batches; expected some")
        self.shape, self.dtype, self.device = (count, first.shape[1]), first.dtype, first.device

    def __len__(self) -> int:
        return self.shape[0]

    def __reduce__(self) -> tuple[Any, ...]:
        return Stream, (self._batches, self.feature_names)

    def keep_order(self, why: str) -> None:
        """Refuse from now on that batches come in another order than the first time.

        ``why`` names what goes by the order.
        """
        self._why_in_order = why

    def rows(self, index: slice | Tensor) -> Tensor:
        """Give some rows, in memory of their own; single ones in ascending order.

        Raises
        ------
        ValueError
            If the batches are not those of the first time.
        """
        if isinstance(index, Tensor):
            return self._picked(index.cpu())
        start, stop, _ = index.indices(len(self))
        if self._reader is None or start < self._at:
            self._reader, self._at = self._again(), 0
            self._held = next(self._reader)
        assert self._held is not None
        parts = [self._held[:0]]
        while self._at < stop:
            if not len(self._held):
                self._held = next(self._reader)
            until = start if self._at < start else stop
            part, self._held = (
                self._held[: until - self._at],
                self._held[until - self._at :],
            )
            if self._at >= start:
                parts.append(part)
            self._at += len(part)
        if self._at == len(self):
            for _ in self._reader:  # which refuses rows beyond the last
                pass
            self._reader = None
        return torch.cat(parts)

    def _picked(self, index: Tensor) -> Tensor:
        found, begin = [], 0
        for rows in self._again():
            inside = index[(index >= begin) & (index < begin + len(rows))]
            found.append(rows[(inside - begin).to(rows.device)])
            begin += len(rows)
        return torch.cat(found)

    def _again(self) -> Iterator[Tensor]:
        """Read the batches, and refuse what is not as the first time."""
        like = torch.empty(0, self.shape[1], dtype=self.dtype, device=self.device)
        count = 0
        for number, batch in enumerate(self._batches):
            rows = _matrix(batch, number)
            _require_like(rows, like, number)
            if self._why_in_order is not None:
                self._require_same(rows, number, self._why_in_order)
            count += len(rows)
            if count > len(self):
                break
            yield rows
        if count != len(self):
            number = f"more than {len(self)}" if count > len(self) else str(count)
            raise WrongValue(f"X had {len(self)} rows at first and has {number} now; {_READ_AGAIN}")

    def _require_same(self, rows: Tensor, number: int, why: str) -> None:
        digests = self._digests
        if number >= len(digests) or _digest(rows) != digests[number]:
            raise WrongValue(
                f"batch {number} (counted from 0) of X is not what it was at first, and {why} goes "
                "by the order of the rows: pass a DataLoader with shuffle=False, and nothing that "
                "draws at random"
            )


def opened(X: Any) -> Any:
    """Give points that come in batches as a :class:`Stream`, and all others as they are.

    Batches are those of a DataLoader, a Dataset, pyarrow's tables, files and datasets, a list or
    tuple of matrices, and of any other iterable that is no array.
    """
    if not is_batches(X):
        return X
    batches, names = record_batches(X) if is_arrow(X) else (batches_of(X), None)
    if isinstance(batches, Iterator):
        raise WrongValue(f"X is a {type(X).__name__}, which can be read once; {_READ_AGAIN}")
    return Stream(batches, names)


def batches_once(X: Any, as_it_is: Callable[[Any], bool] | None = None) -> Iterator[Any]:
    """Give the batches of points that come in such, a matrix or an array of each.

    But for those that ``as_it_is`` is true of.
    """
    batches = record_batches(X)[0] if is_arrow(X) else batches_of(X)
    for number, batch in enumerate(batches):
        if as_it_is is not None and as_it_is(batch):
            yield batch
            continue
        rows = _matrix(batch, number)
        yield rows if isinstance(_first(batch), Tensor) else rows.numpy()


def is_batches(X: Any) -> bool:
    """Tell whether points come in batches."""
    if isinstance(X, Dataset) or is_arrow(X):
        return True
    if isinstance(X, list | tuple):
        return len(X) > 0 and all(getattr(batch, "ndim", None) == 2 for batch in X)
    array = hasattr(X, "shape") or hasattr(X, "__array__") or hasattr(X, "__array_function__")
    others = str, bytes, dict, set, frozenset, range, Stream
    return isinstance(X, Iterable) and not array and not isinstance(X, others)


def _first(batch: Any) -> Any:
    return batch[0] if isinstance(batch, tuple | list) and len(batch) > 0 else batch


def _matrix(batch: Any, number: int) -> Tensor:
    """Give a batch in a floating dtype, as a matrix of real numbers."""
    found = _first(batch)
    try:
        rows = as_tensor(found) if isinstance(found, Tensor) else as_tensor(np.asarray(found))
    except (TypeError, ValueError):
        rows = None
    if rows is None or rows.ndim != 2 or rows.is_complex() or rows.layout != torch.strided:
        shape = getattr(found, "shape", None)
        what = type(found).__name__ + ("" if shape is None else f" of shape {tuple(shape)}")
        raise WrongValue(
            f"batch {number} (counted from 0) of X is a {what}; expected a matrix (B, D) of real "
            "numbers, or a tuple or list that begins with one"
        )
    if not rows.is_floating_point():
        return rows.double()
    return rows if rows.dtype in (torch.float32, torch.float64) else rows.float()


def _require_like(rows: Tensor, first: Tensor, number: int) -> None:
    for what, one, other in (
        ("columns", rows.shape[1], first.shape[1]),
        ("dtype", rows.dtype, first.dtype),
        ("device", rows.device, first.device),
    ):
        if one != other:
            raise WrongValue(
                f"batch {number} (counted from 0) of X has {what} {one}; expected {other}, as the "
                "first has"
            )


def _digest(rows: Tensor) -> int:
    return zlib.crc32(rows.cpu().contiguous().numpy().view(np.uint8).data)
