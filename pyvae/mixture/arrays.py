# SPDX-License-Identifier: MIT
"""What the estimator is given, as rows of tensors: arrays, mapped files, streams; their checks."""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeGuard

import numpy as np
import torch
from sklearn.utils.validation import _check_sample_weight
from torch import Tensor

from pyvae.errors import WrongValue
from pyvae.mixture.streams import Stream
from pyvae.mixture.tensors import Array, as_tensor, numbers

__all__ = ["Array", "Source", "as_tensor", "numbers"]
Source = Tensor | np.memmap | Stream
_ROWS, _ROWS_ON_GPU = 2**16, 2**20  # looked at at a time; on a GPU each kernel has a price


@dataclass(frozen=True)
class Required:
    """What an estimator requires of points.

    Attributes
    ----------
    estimator
        Its name, for messages.
    least
        The fewest points it takes.
    allow_nan
        Whether NaN stands for what was not observed.
    dimension
        D of the fit; None at the fit itself, which takes any from one on.
    marginalizes
        Whether the estimator has a setting by which it allows NaN.
    """

    estimator: str
    least: int
    allow_nan: bool
    dimension: int | None
    marginalizes: bool = True


def is_source(X: Array) -> TypeGuard[Source]:
    """Tell whether points are read as they are; scikit-learn makes an array of all others."""
    if isinstance(X, np.memmap):
        return X.dtype in (np.float32, np.float64) and X.ndim == 2
    return isinstance(X, Tensor | Stream)


def read(X: Source, required: Required) -> Source:
    """Check points, and give them as a tensor, or as they are where they are read by chunks.

    Raises
    ------
    ValueError
        If they are no matrix of finite numbers (or NaN, where that is allowed), are too few, or
        have another number of coordinates than required.
    """
    if isinstance(X, Tensor):
        return _tensor(X, required)
    require_size(X, required)
    for some in parts(X):
        _require_finite(rows(X, some), required, some.start)
    return X


def require_size(X: Source | np.ndarray, required: Required) -> None:
    """Refuse too few points, or points of another dimension.

    Raises
    ------
    ValueError
        With scikit-learn's words.
    """
    count, dimension = X.shape
    if count < required.least or dimension == 0:
        raise WrongValue(
            f"Found array with {count} sample(s) and {dimension} feature(s) while a minimum of "
            f"{required.least} and 1 is required"
        )
    if required.dimension is not None and dimension != required.dimension:
        raise WrongValue(
            f"X has {dimension} features, but {required.estimator} is expecting "
            f"{required.dimension} features as input"
        )


def column_sums(source: Source, weight: Tensor | None) -> tuple[Tensor, Tensor]:
    """Give every coordinate's sum, and how many were observed, ``(D,)`` in float64.

    Of the rows that have a weight, each once.
    """
    total = torch.zeros(source.shape[1], dtype=torch.float64, device=like(source).device)
    observed = torch.zeros_like(total)
    for some in parts(source):
        part = rows(source, some).double()
        if weight is not None:
            part = part[weight[some] > 0]
        total += part.nansum(0)
        observed += (~part.isnan()).sum(0)
    return total, observed


def column_ranges(source: Source, weight: Tensor | None) -> tuple[Tensor, Tensor]:
    """Give every coordinate's least and largest observed value, ``(D,)`` in float64.

    Of the rows that have a weight; infinite where there is none.
    """
    device = like(source).device
    largest = torch.full((source.shape[1],), -torch.inf, dtype=torch.float64, device=device)
    least = -largest
    for some in parts(source):
        part = rows(source, some).double()
        if weight is not None:
            part = part[weight[some] > 0]
        if len(part):
            least = torch.minimum(least, part.nan_to_num(nan=torch.inf).amin(0))
            largest = torch.maximum(largest, part.nan_to_num(nan=-torch.inf).amax(0))
    return least, largest


def parts(source: Source) -> Iterator[slice]:
    """Give the rows that are looked at together, one part after the other."""
    step = _ROWS if like(source).is_cpu else _ROWS_ON_GPU
    yield from (slice(at, at + step) for at in range(0, len(source), step))


def rows(source: Source, index: slice | Tensor) -> Tensor:
    """Give some rows, one after the other in memory, however they are stored."""
    if isinstance(source, Stream):
        return source.rows(index)
    if isinstance(source, Tensor):
        found = source[index.to(source.device) if isinstance(index, Tensor) else index]
        return found.contiguous()
    if isinstance(index, Tensor):
        return torch.from_numpy(np.array(source[index.cpu().numpy()], order="C"))
    part = source[index]
    found = torch.from_numpy(np.array(part, order="C"))
    if isinstance(part, np.memmap):
        _let_go(part)
    return found


def _let_go(part: np.memmap) -> None:
    """Take the pages of rows that were read from what counts as the process's memory.

    They stay in the system's cache as long as there is room. A private map may hold changes, which
    would be lost.
    """
    owner: Any = part
    while isinstance(owner, np.ndarray):
        owner = owner.base
    advice = getattr(mmap, "MADV_DONTNEED", None)
    held = isinstance(owner, mmap.mmap) and part.flags.c_contiguous and part.mode != "c"
    if advice is None or not held:
        return
    begin = part.ctypes.data - np.frombuffer(owner, dtype=np.uint8).ctypes.data
    first, last = (at // mmap.PAGESIZE * mmap.PAGESIZE for at in (begin, begin + part.nbytes))
    if last > first:
        owner.madvise(advice, first, last - first)


def as_given(example: Array, result: Tensor) -> Array:
    """Give a result as a tensor where the example has such, and as an array (a number) if not."""
    tensors = isinstance(example, Tensor) or (isinstance(example, Stream) and example.has_tensors)
    return result if tensors else result.cpu().numpy()[()]


def like(source: Source) -> Tensor:
    """Give an empty tensor of the same dtype on the same device."""
    if isinstance(source, Tensor):
        return source.new_empty(0)
    if isinstance(source, Stream):
        return torch.empty(0, dtype=source.dtype, device=source.device)
    return torch.from_numpy(np.empty(0, dtype=source.dtype))


def read_weight(weight: Array | None, source: Source) -> Tensor | None:
    """Check weights ``(N,)``, and give them in the dtype of the points.

    Raises
    ------
    ValueError
        If they have another shape, are negative or not finite, or all zero.
    """
    if weight is None:
        return None
    if isinstance(source, Stream):
        source.keep_order("sample_weight")
    if isinstance(weight, Tensor):
        found = weight.detach()
        if found.shape != (len(source),):
            raise WrongValue(
                f"sample_weight has shape {tuple(found.shape)}; expected ({len(source)},)"
            )
    else:
        shaped = np.empty((len(source), 1), dtype=np.float64)
        found = as_tensor(_check_sample_weight(weight, shaped))
    found = found.to(like(source))
    if not (found >= 0).all() or not found.isfinite().all():
        raise WrongValue("sample_weight must be finite and not negative")
    if not found.sum() > 0:
        raise WrongValue("sample_weight is zero for every point; expected some above zero")
    return found


def _tensor(X: Tensor, required: Required) -> Tensor:
    if X.ndim != 2:
        raise WrongValue(f"X has shape {tuple(X.shape)}; expected points (N, D)")
    if X.is_complex():
        raise WrongValue(f"X is of {X.dtype}; expected real numbers")
    require_size(X, required)
    X = X.detach()
    if not X.is_floating_point():
        X = X.double()
    elif X.dtype not in (torch.float32, torch.float64):
        X = X.float()
    _require_finite(X, required, 0)
    return X


def _require_finite(part: Tensor, required: Required, first: int) -> None:
    wrong = part.isinf() if required.allow_nan else ~part.isfinite()
    if wrong.any():
        row = first + int(wrong.any(1).int().argmax())
        way_out = '; missing_values="marginalize" takes NaN for unobserved'
        raise WrongValue(
            f"X holds {'infinity' if required.allow_nan else 'NaN or infinity'} in row {row} "
            f"(counted from 0){way_out * (required.marginalizes and not required.allow_nan)}"
        )
