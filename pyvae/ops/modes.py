# SPDX-License-Identifier: MIT
"""Who else has a hand in a call.

Autocast and TF32, the compiler, transforms, forward-mode derivatives.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor
from torch._C._functorch import (
    get_unwrapped,
    is_functorch_wrapped_tensor,
    peek_interpreter_stack,
)
from torch.autograd import forward_ad

HALF = (torch.float16, torch.bfloat16)
# Asked once: the question itself cannot be traced by torch 2.10's compiler.
_AUTOCAST_DEVICES = frozenset(
    device for device in ("cpu", "cuda", "xpu", "mps") if torch.amp.is_autocast_available(device)
)


# Whether autocast is on for any device: quicker to ask. Not to be traced.
is_any_casting = torch._C._is_any_autocast_enabled


def is_casting(tensor: object) -> bool:
    """Whether autocast is on for the tensor's device."""
    device = tensor.device.type if isinstance(tensor, Tensor) else "cpu"
    return device in _AUTOCAST_DEVICES and torch.is_autocast_enabled(device)


_tf32 = threading.Lock()
_without_tf32 = 0  # how many callers have it switched off


@contextmanager
def full_precision(device: str) -> Iterator[None]:
    """Let products of float32 be of float32: neither autocast nor TF32 rounds their factors.

    The switch of TF32 is the process's: the first caller turns it, and the last one turns it back.
    """
    global _without_tf32
    matmul = torch.backends.cuda.matmul
    with _tf32:
        turns = _without_tf32 > 0 or matmul.fp32_precision == "tf32"
        if turns:
            _without_tf32 += 1
            matmul.fp32_precision = "ieee"
    try:
        with torch.autocast(device, enabled=False):
            yield
    finally:
        with _tf32:
            _without_tf32 -= turns
            if turns and not _without_tf32:
                matmul.fp32_precision = "tf32"


def in_transform() -> bool:
    """Whether a transform of ``torch.func`` is at work, ``vmap`` included, or dual tensors are."""
    return peek_interpreter_stack() is not None or forward_ad._current_level >= 0


def is_plain() -> bool:
    """Whether nobody is: no transform, and nobody who compiles."""
    return not torch.compiler.is_compiling() and not in_transform()


def is_traced() -> bool:
    """Whether ``torch.jit`` traces: sizes are tensors then, and to compare them is to fix them."""
    return torch.jit.is_tracing()  # type: ignore[attr-defined]


def writes_program() -> bool:
    """Whether a graph is written that is for batches of any size: exported or traced.

    Nothing in it may depend on the size of the batch that happens to be at hand.
    """
    return torch.compiler.is_exporting() or is_traced()


def readable(tensor: Tensor) -> Tensor | None:
    """The tensor, where its values may be read; None where a graph is written or there are none.

    A transform of ``torch.func`` lets nobody read what it maps over: there it is the tensor that
    holds all that is mapped over.
    """
    if torch.compiler.is_compiling() or writes_program():
        return None
    while is_functorch_wrapped_tensor(tensor):
        tensor = get_unwrapped(tensor)
    # Fake tensors, and whatever else answers for itself what an operation gives.
    own, plain = (getattr(kind, "__torch_dispatch__", None) for kind in (type(tensor), Tensor))
    stands_in = own is not plain
    return None if stands_in or tensor.is_meta else tensor
