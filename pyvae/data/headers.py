# SPDX-License-Identifier: MIT
"""What a file's header promises, held against what the file can hold, before memory is taken."""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

import numpy as np

from pyvae.errors import WrongValue

if TYPE_CHECKING:
    pass

# deflate, of gzip and zip, packs no more than 1,032 bytes into one.
MOST_PACKED = 1032
_MOST_DIMENSIONS = 32


class Header(NamedTuple):
    """Shape and type of an array, and the bytes that stand before its numbers."""

    shape: tuple[int, ...]
    dtype: np.dtype
    length: int

    @property
    def promised(self) -> int:
        """Bytes of the whole file."""
        return self.length + self.dtype.itemsize * math.prod(self.shape)


def npy_header(name: str, file: BinaryIO) -> Header:
    """Read the header of a ``.npy`` file; ``name`` is what messages call it."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            version = np.lib.format.read_magic(file)
            read_header = (
                np.lib.format.read_array_header_1_0
                if version == (1, 0)
                else np.lib.format.read_array_header_2_0
            )
            shape, _, dtype = read_header(file)
            length = file.tell()
    except Exception as error:  # the header is a Python literal: a damaged one raises almost any
        reason = " ".join(str(error).split())[:200]
        raise WrongValue(f"{name}: no readable .npy header at byte 0 ({reason})") from error
    return Header(checked_shape(name, shape), dtype, length)


def checked_shape(name: str, shape: Sequence[object]) -> tuple[int, ...]:
    """Return a shape that an array can have and that holds a number, or raise."""
    sizes = tuple(size for size in shape if type(size) is int and size >= 0)
    if len(sizes) < len(shape) or len(shape) > _MOST_DIMENSIONS:
        raise WrongValue(
            f"{name}: the header promises shape {str(tuple(shape))[:200]}, which no array has"
        )
    if 0 in sizes:
        raise WrongValue(
            f"{name}: holds no numbers (shape {sizes}); at least one example with one feature is "
            "needed"
        )
    return sizes


def check_size(name: str, header: Header, size: int, what: str = "file") -> None:
    """Raise where a file is longer or shorter than its header says."""
    if size != header.promised:
        raise WrongValue(
            f"{name}: the header promises shape {header.shape} of {header.dtype}, "
            f"{header.promised} bytes in all, but the {what} "
            f"{'ends at' if size < header.promised else 'goes on to'} byte {size}"
        )


def size_of(file: BinaryIO) -> int:
    """Return the length of an open file."""
    return os.fstat(file.fileno()).st_size
