# SPDX-License-Identifier: MIT
"""The CUDA kernels on the emulated device, as ops on CPU tensors."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import torch

from tests.building import build

FOLDER = Path(__file__).parent


@cache
def load() -> Path:
    """Build the library and register ``torch.ops.pyvae_emulated``."""
    torch_folder = str(Path(torch.__file__).parent)
    folder = build(FOLDER, "cuda/emulated", PYVAE_TORCH_DIR=torch_folder)
    library = folder / "libpyvae_emulated.so"
    torch.ops.load_library(library)
    return library


class _Tuning(ctypes.Structure):
    """``CudaTuning`` of csrc/cuda/tuning.h."""

    _fields_ = (("large_tile_work", ctypes.c_int64), ("one_part_points", ctypes.c_int64))


@contextmanager
def everything_is_large() -> Iterator[None]:
    """Take the kernels for large problems, and sums in parts, at every size."""
    tuning = _Tuning.in_dll(ctypes.CDLL(str(load())), "pyvae_cuda_tuning")
    before = tuning.large_tile_work, tuning.one_part_points
    tuning.large_tile_work = tuning.one_part_points = 0
    try:
        yield
    finally:
        tuning.large_tile_work, tuning.one_part_points = before
