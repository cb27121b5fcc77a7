# SPDX-License-Identifier: MIT
"""The same values in other memory layouts."""

from __future__ import annotations

import torch
from torch import Tensor


def transposed(tensor: Tensor) -> Tensor:
    """Column-major in the last two dimensions."""
    return tensor.mT.contiguous().mT if tensor.ndim > 1 else strided(tensor)


def strided(tensor: Tensor) -> Tensor:
    """Every second element of every dimension, starting at the second."""
    buffer = torch.full([2 * size + 1 for size in tensor.shape], torch.nan, dtype=tensor.dtype)
    view = buffer[(slice(1, -1, 2),) * tensor.ndim] if tensor.ndim else buffer
    return view.copy_(tensor)


def unaligned(tensor: Tensor) -> Tensor:
    """Contiguous, but one element past what the allocator aligned."""
    buffer = torch.full((tensor.numel() + 1,), torch.nan, dtype=tensor.dtype)
    return buffer[1:].view(tensor.shape).copy_(tensor)


def repeated_first(tensor: Tensor, dim: int) -> Tensor:
    """Stride 0: the first slice of one dimension in the place of all."""
    return tensor.narrow(dim, 0, 1).expand_as(tensor)


LAYOUTS = {"transposed": transposed, "strided": strided, "unaligned": unaligned}
