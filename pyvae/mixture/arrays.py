# SPDX-License-Identifier: MIT
"""What the estimator is given, as tensors: arrays, tensors, mapped files, and their checks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeGuard

import numpy as np
import torch
from sklearn.utils.validation import _check_sample_weight
from torch import Tensor

Array = Any  # whatever scikit-learn takes as an array, or a torch tensor
Source = Tensor | np.memmap
_ROWS = 2**16  # of a mapped file, checked at a time


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
    """

    estimator: str
    least: int
    allow_nan: bool
    dimension: int | None


def is_source(X: Array) -> TypeGuard[Source]:
    """Tell whether points are read as they are; scikit-learn makes an array of all others."""
    if isinstance(X, np.memmap):
        return X.dtype in (np.float32, np.float64) and X.ndim == 2
    return isinstance(X, Tensor)


def read(X: Source, required: Required) -> Source:
    """Check points, and give them as a tensor, or as they are where they are mapped from a file.

    Raises
    ------
    ValueError
        If they are no matrix of finite numbers (or NaN, where that is allowed), are too few, or
        have another number of coordinates than required.
    """
    if isinstance(X, Tensor):
        return _tensor(X, required)
    _require_size(X, required)
    for at in range(0, len(X), _ROWS):
        _require_finite(torch.from_numpy(np.array(X[at : at + _ROWS])), required.allow_nan, at)
    return X


def as_tensor(array: np.ndarray) -> Tensor:
    """Give a tensor of the same memory, or of a copy where that must not be written to."""
    return torch.from_numpy(array if array.flags.writeable else array.copy())


def as_given(example: Array, result: Tensor) -> Array:
    """Give a result as a tensor where the example is one, and as an array otherwise."""
    return result if isinstance(example, Tensor) else result.cpu().numpy()


def like(source: Source) -> Tensor:
    """Give an empty tensor of the same dtype on the same device."""
    if isinstance(source, Tensor):
        return source.new_empty(0)
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
    if isinstance(weight, Tensor):
        found = weight.detach()
        if found.shape != (len(source),):
            raise ValueError(
                f"sample_weight has shape {tuple(found.shape)}; expected ({len(source)},)"
            )
    else:
        shaped = np.empty((len(source), 1), dtype=np.float64)
        found = torch.from_numpy(np.array(_check_sample_weight(weight, shaped)))
    found = found.to(like(source))
    if not (found >= 0).all() or not found.isfinite().all():
        raise ValueError("sample_weight must be finite and not negative")
    if not found.sum() > 0:
        raise ValueError("sample_weight is zero for every point; expected some above zero")
    return found


def _tensor(X: Tensor, required: Required) -> Tensor:
    if X.ndim != 2:
        raise ValueError(f"X has shape {tuple(X.shape)}; expected points (N, D)")
    if X.is_complex():
        raise ValueError(f"X is of {X.dtype}; expected real numbers")
    _require_size(X, required)
    X = X.detach()
    if not X.is_floating_point():
        X = X.double()
    elif X.dtype not in (torch.float32, torch.float64):
        X = X.float()
    _require_finite(X, required.allow_nan, 0)
    return X


def _require_size(X: Source, required: Required) -> None:
    count, dimension = X.shape
    if count < required.least or dimension == 0:
        raise ValueError(
            f"Found array with {count} sample(s) and {dimension} feature(s) while a minimum of "
            f"{required.least} and 1 is required"
        )
    if required.dimension is not None and dimension != required.dimension:
        raise ValueError(
            f"X has {dimension} features, but {required.estimator} is expecting "
            f"{required.dimension} features as input"
        )


def _require_finite(rows: Tensor, allow_nan: bool, first: int) -> None:
    wrong = rows.isinf() if allow_nan else ~rows.isfinite()
    if wrong.any():
        row = first + int(wrong.any(1).int().argmax())
        way_out = "" if allow_nan else '; missing_values="marginalize" takes NaN for unobserved'
        raise ValueError(
            f"X holds {'infinity' if allow_nan else 'NaN or infinity'} in row {row} (counted from "
            f"0){way_out}"
        )
