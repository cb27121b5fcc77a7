# SPDX-License-Identifier: MIT
"""Images and tables as the networks take them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, IterableDataset

from pyvae.errors import WrongType, WrongValue
from pyvae.examples import batches_of, image_shape

_ROUNDING = 16.0  # units in the last place of a mean that rounding may show as a deviation
_FORMS = "images (N, H, W) or (N, C, H, W), or a table (N, D)"


def gathered(X: Any) -> Any:
    """Give the examples of a map-style ``Dataset`` as a tensor, and anything else as it came.

    Of items that are tuples or lists it takes the first. Rows that are images, as they say of
    themselves (``pyvae.data.Data``), come in their shape.

    Raises
    ------
    TypeError
        If it is a loader or a stream, which have no order to give labels in.
    ValueError
        If items cannot be stacked, or images have another number of pixels than rows have.
    """
    if isinstance(X, DataLoader | IterableDataset):
        raise WrongType(
            f"X is a {type(X).__name__}, whose examples have no fixed order; expected an array, a "
            "tensor or a map-style Dataset, such as a loader's: loader.dataset"
        )
    if not isinstance(X, Dataset):
        return X
    x = torch.cat(list(batches_of(X))) if len(X) > 0 else torch.empty(0, 0)  # type: ignore[arg-type]
    shape = image_shape(X)
    if shape is None or x.ndim != 2:
        return x
    if math.prod(shape) != x.shape[1]:
        raise WrongValue(
            f"X has rows of {x.shape[1]} numbers; expected {math.prod(shape)}, as its image_shape "
            f"is {shape}"
        )
    return x.reshape(len(x), *shape)


def as_examples(X: Any, like: tuple[int, ...] | None = None) -> Tensor:
    """Give images as ``(N, C, H, W)`` and tables as ``(N, D)``, in float32, or float64 of such.

    Parameters
    ----------
    X
        An array or a tensor.
    like
        The shape of an example at the fit, ``(C, H, W)`` or ``(D,)``.

    Raises
    ------
    ValueError
        If it is neither, is not finite, or holds other examples.
    """
    x = X.detach() if isinstance(X, Tensor) else _as_tensor(np.asarray(X))
    if x.layout != torch.strided:
        raise WrongValue(f"X is a {x.layout} tensor; expected a dense one: X.to_dense()")
    if x.ndim not in (2, 3, 4) or 0 in x.shape[1:]:
        raise WrongValue(f"X has shape {tuple(x.shape)}; expected {_FORMS}")
    if x.is_complex():
        raise WrongValue(f"Complex data not supported: X is {x.dtype}; expected real numbers")
    x = x if x.dtype == torch.float64 else x.float()
    x = x[:, None] if x.ndim == 3 else x
    if not bool(x.isfinite().all()):
        raise WrongValue("X contains NaN or infinity: leave these examples out, or fill them in")
    if like is not None and tuple(x.shape[1:]) != like:
        raise WrongValue(f"X has examples of shape {tuple(x.shape[1:])}; the fit had {like}")
    return x


def _as_tensor(array: np.ndarray) -> Tensor:
    """Give an array's numbers; integers too large for float32 in float64."""
    if array.dtype.kind not in "biufcOUS":
        raise WrongValue(f"X holds {array.dtype}; expected numbers")
    if (array.dtype.kind in "iu" and array.dtype.itemsize > 2) or array.dtype.kind in "OUS":
        array = array.astype(np.float64)
    native = array.astype(array.dtype.newbyteorder("="), copy=False)
    return torch.from_numpy(np.require(native, requirements=["C", "A", "W"]))


@dataclass(frozen=True)
class Scaling:
    """Makes examples of a scale: a table's columns standard, images' pixels from zero to one."""

    centre: Tensor
    scale: Tensor

    @classmethod
    def of(cls, x: Tensor) -> Scaling:
        """Learn it from examples; what does not vary, beyond rounding, is only centred."""
        if x.ndim == 4:
            smallest, largest = x.aminmax()
            most = torch.maximum(smallest.abs(), largest.abs())
            return cls(smallest, _where_any(largest - smallest, _rounding(most)))
        size = _where_any(x.abs().amax(0), torch.zeros_like(x[0]))  # whose square may be no number
        mean, deviation = x.mean(0), size * (x / size).std(0, correction=0)
        return cls(mean, _where_any(deviation, _rounding(mean.abs())))

    def __call__(self, x: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
        """Apply it; the differences are in the dtype of x, the result in the one that is asked."""
        return ((x - self.centre.to(x)) / self.scale.to(x)).to(dtype)


def _rounding(size: Tensor) -> Tensor:
    return _ROUNDING * torch.finfo(size.dtype).eps * size


def _where_any(scale: Tensor, rounding: Tensor) -> Tensor:
    return torch.where(scale > rounding, scale, torch.ones_like(scale))
