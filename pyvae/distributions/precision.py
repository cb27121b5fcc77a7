# SPDX-License-Identifier: MIT
"""In which precision a distribution computes: its own, whatever autocast does around it."""

from __future__ import annotations

import contextlib
from contextlib import AbstractContextManager

import torch
from torch import Tensor

_HALF = (torch.float16, torch.bfloat16)
# Asked once: the question itself cannot be traced by torch 2.10's compiler.
_AUTOCAST_DEVICES = frozenset(
    device for device in ("cpu", "cuda", "xpu", "mps") if torch.amp.is_autocast_available(device)
)


def outside_autocast(tensor: Tensor) -> AbstractContextManager[object]:
    """Matrix products on the tensor's device in the dtype of their arguments."""
    device = tensor.device.type
    if device in _AUTOCAST_DEVICES and torch.is_autocast_enabled(device):
        return torch.autocast(device, enabled=False)
    return contextlib.nullcontext()


def computing_dtype(*tensors: Tensor) -> torch.dtype:
    """The widest of the tensors' dtypes, and at least float32."""
    dtype = tensors[0].dtype
    for tensor in tensors[1:]:
        dtype = torch.promote_types(dtype, tensor.dtype)
    return torch.float32 if dtype in _HALF else dtype
