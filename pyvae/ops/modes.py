# SPDX-License-Identifier: MIT
"""Who else has a hand in a call: autocast, the compiler, a transform of ``torch.func``."""

from __future__ import annotations

import torch
from torch import Tensor
from torch._C._functorch import peek_interpreter_stack

HALF = (torch.float16, torch.bfloat16)
# Asked once: the question itself cannot be traced by torch 2.10's compiler.
_AUTOCAST_DEVICES = frozenset(
    device for device in ("cpu", "cuda", "xpu", "mps") if torch.amp.is_autocast_available(device)
)


def is_casting(tensor: object) -> bool:
    """Whether autocast is on for the tensor's device."""
    device = tensor.device.type if isinstance(tensor, Tensor) else "cpu"
    return device in _AUTOCAST_DEVICES and torch.is_autocast_enabled(device)


def in_transform() -> bool:
    """Whether a transform of ``torch.func`` is at work, ``vmap`` included."""
    return peek_interpreter_stack() is not None


def is_plain() -> bool:
    """Whether nobody is: no transform, and nobody who compiles."""
    return not torch.compiler.is_compiling() and not in_transform()
