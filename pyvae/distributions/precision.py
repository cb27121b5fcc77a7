# SPDX-License-Identifier: MIT
"""In which precision a distribution computes: its own, whatever autocast does around it."""

from __future__ import annotations

import contextlib
from contextlib import AbstractContextManager

import torch
from torch import Tensor

from pyvae.ops.modes import HALF, is_casting


def outside_autocast(tensor: Tensor) -> AbstractContextManager[object]:
    """Matrix products on the tensor's device in the dtype of their arguments."""
    if is_casting(tensor):
        return torch.autocast(tensor.device.type, enabled=False)
    return contextlib.nullcontext()


def computing_dtype(*tensors: Tensor) -> torch.dtype:
    """The widest of the tensors' dtypes, and at least float32."""
    dtype = tensors[0].dtype
    for tensor in tensors[1:]:
        dtype = torch.promote_types(dtype, tensor.dtype)
    return torch.float32 if dtype in HALF else dtype
