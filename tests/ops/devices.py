# SPDX-License-Identifier: MIT
"""Where the op tests run: on the CPU, on a GPU, or what a GPU would run, on the CPU.

That is the CUDA kernels on an emulated GPU, and the matrix products that take over from them.

A test marked ``every_device`` runs once for each that there is. It draws on the CPU and compares
there; only the op itself sees the device.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

import pytest
import torch
from torch import Tensor

from pyvae.ops import _cuda, products
from pyvae.ops.op import Op
from tests.cuda import emulated
from tests.ops.draws import Size

CPU, EMULATED, PRODUCTS, GPU = "cpu", "emulated-cuda", "products", "cuda"
_current = CPU
_PRODUCTS = [name for name in products.__dict__ if name.endswith("_tril")]


def available() -> list[str]:
    """The devices of this machine; the emulated one may turn out to lack its tools."""
    return [CPU, EMULATED, PRODUCTS, *([GPU] if torch.cuda.is_available() else [])]


def current() -> str:
    return _current


def has(name: str, op: str) -> bool:
    """Tell whether an op, or a form of it, is run by other code there than elsewhere."""
    return name != PRODUCTS or any(op.startswith(function) for function in _PRODUCTS)


@contextmanager
def running_on(name: str) -> Iterator[None]:
    """Run the ops there; skips the test where the emulation cannot be built."""
    global _current
    patch = pytest.MonkeyPatch()
    if name == EMULATED:
        emulated.load()
        _replace(patch, lambda name: getattr(torch.ops.pyvae_emulated, name).default)
    elif name == PRODUCTS:
        _replace(patch, lambda name: getattr(products, name, None))
    _current = name
    try:
        yield
    finally:
        _current = CPU
        patch.undo()


def some(sizes: Sequence[Size]) -> Sequence[Size]:
    """All of them, or a part where a call takes long."""
    return sizes[::7] if _current == EMULATED else sizes


def takes(op: str, size: Size) -> bool:
    """Tell whether the device is given this size.

    A GPU leaves large factors to the products, and a factor each for very many components takes
    the emulation long.
    """
    if _current != EMULATED or not has(PRODUCTS, op):
        return True
    return size["d"] <= _cuda.LARGEST_FUSED_PAIR and size["k"] <= 1000


def moved(tensor: Tensor) -> Tensor:
    """The tensor as the op is to see it: the same strides on the device."""
    return _Move.apply(tensor) if _current == GPU else tensor


def returned(tensor: Tensor) -> Tensor:
    return tensor.cpu() if _current == GPU else tensor


def _replace(patch: pytest.MonkeyPatch, kernel_of: Callable[[str], Any]) -> None:
    """Give every op other kernels, where there are some, by their names."""
    for op in _ops():
        for attribute in ("kernel", "backward_kernel"):
            kernel = getattr(op, attribute, None)
            replacement = kernel_of(kernel._opname) if kernel else None
            if replacement:
                patch.setattr(op, attribute, replacement)


@cache
def _ops() -> list[Op]:
    # No lazy module of torch is to be asked, as `isinstance` would.
    return [op for op in gc.get_objects() if issubclass(type(op), Op)]


class _Move(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, tensor: Tensor) -> Tensor:
        shape, stride = tensor.shape, tensor.stride()
        if not tensor.numel():
            return tensor.to(GPU)
        last = sum((size - 1) * step for size, step in zip(shape, stride, strict=True))
        return tensor.as_strided((last + 1,), (1,)).to(GPU).as_strided(shape, stride)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return gradient.cpu()
