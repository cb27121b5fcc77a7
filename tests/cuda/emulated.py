# SPDX-License-Identifier: MIT
"""The CUDA kernels on the emulated device, as ops on CPU tensors."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

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


def evaluate(name: str, x: NDArray[np.floating]) -> NDArray[np.floating]:
    """Return a primitive of csrc/math, as ``pyvae._C.evaluate`` does for the CPU."""
    x, y = np.ascontiguousarray(x), np.empty_like(x)
    function = ctypes.CDLL(str(load())).pyvae_emulated_evaluate
    function.restype = ctypes.c_bool
    pointers = (ctypes.c_void_p(array.ctypes.data) for array in (x, y))
    known = function(name.encode(), x.itemsize == 8, *pointers, ctypes.c_int64(x.size))
    assert known, name
    return y


class _Tuning(ctypes.Structure):
    """``CudaTuning`` of csrc/cuda/tuning.h."""

    _fields_ = tuple(
        (name, ctypes.c_int64)
        for name in (
            "wide_tile_work",
            "one_part_points",
            "chunk_bytes",
            "sparse_share",
            "screened_work",
            "screened_row",
            "screened_share",
            "sum_blocks",
            "row_threads",
        )
    )


@contextmanager
def everything_is_large(*, sparse: bool = False, screened_share: int = -1) -> Iterator[None]:
    """Take the kernels for large problems, sums in parts and in turns, at every size.

    Every chunk of points is visited by its survivors, or none. A call is screened where so many in
    1024 groups of components are near the best of a point.
    """
    tuning = _Tuning.in_dll(ctypes.CDLL(str(load())), "pyvae_cuda_tuning")
    before = _Tuning.from_buffer_copy(tuning)
    tuning.wide_tile_work = tuning.one_part_points = tuning.chunk_bytes = tuning.row_threads = 0
    tuning.sparse_share = 1024 if sparse else -1024
    tuning.screened_work = tuning.screened_row = 0
    tuning.screened_share = screened_share
    tuning.sum_blocks = 3
    try:
        yield
    finally:
        ctypes.pointer(tuning)[0] = before
