# SPDX-License-Identifier: MIT
"""Numbers of any kind as tensors: the one door from arrays to torch."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

Array = Any  # whatever scikit-learn takes as an array, or a torch tensor


def as_tensor(values: Array) -> Tensor:
    """Give numbers as a tensor.

    The tensor has the array's memory where torch can have it. Memory that must not be written to,
    runs backwards, is not aligned (a field of a packed record) or is of another byte order is
    copied.
    """
    if isinstance(values, Tensor):
        return values.detach()
    array = np.asarray(values)
    strides_fit = all(stride >= 0 and stride % array.itemsize == 0 for stride in array.strides)
    flags, native = array.flags, array.dtype.isnative
    if not (flags.writeable and flags.aligned and native and strides_fit):
        array = np.array(array, dtype=array.dtype.newbyteorder("="), order="C")
    return torch.from_numpy(array)


def to_host(*values: Tensor) -> list[float]:
    """Give numbers ``()`` of one device in one copy: a GPU is waited for once, not for each."""
    return torch.stack(values).tolist()


def numbers(values: Array, device: torch.device | None = None) -> Tensor:
    """Give parameters, however they are stored, in float64 and one after the other in memory."""
    if isinstance(values, Tensor):
        return values.detach().to(device, torch.float64).contiguous()
    if isinstance(values, tuple) and any(isinstance(value, Tensor) for value in values):
        return torch.stack([numbers(value, device) for value in values])
    return as_tensor(np.asarray(values, dtype=np.float64)).to(device).contiguous()
