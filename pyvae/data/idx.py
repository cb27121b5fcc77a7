# SPDX-License-Identifier: MIT
"""IDX, the format of MNIST's files: a magic number, the sizes, the numbers, all big-endian."""

from __future__ import annotations

import gzip
import math
import re
import struct
import zlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

# Third byte of the magic number -> type, as http://yann.lecun.com/exdb/mnist described them.
_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_MAX_RANK = 8


def read_bytes(path: Path) -> bytes:
    """Return a file's content, unpacked where its name ends in ``.gz``."""
    if path.suffix.lower() != ".gz":
        return path.read_bytes()
    try:
        with gzip.open(path) as file:
            return file.read()
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise ValueError(
            f"{path}: damaged gzip file of {path.stat().st_size} bytes ({error}); fetch it again"
        ) from error


def read_idx(path: Path) -> np.ndarray:
    """Read an IDX file, gzipped or not, as an array of its own type and shape.

    Raises
    ------
    ValueError
        If the file is damaged, has another magic number, or is longer or shorter than its header
        says; the message names the byte.
    """
    content = read_bytes(path)
    if len(content) < 4:
        raise ValueError(f"{path}: ends at byte {len(content)}, inside the 4 bytes of the header")
    zero, code, rank = struct.unpack(">HBB", content[:4])
    if zero != 0 or code not in _TYPES or not 1 <= rank <= _MAX_RANK:
        raise ValueError(
            f"{path}: bytes 0 to 3 are 0x{content[:4].hex()}, no IDX magic number; expected "
            "0x0000, a type from 0x08 to 0x0e and a rank, as 0x00000803 for images"
        )
    header = 4 + 4 * rank
    if len(content) < header:
        raise ValueError(
            f"{path}: ends at byte {len(content)}, inside the {header} bytes of the header"
        )
    shape = struct.unpack(f">{rank}I", content[4:header])
    dtype = np.dtype(_TYPES[code])
    expected = header + dtype.itemsize * math.prod(shape)
    if len(content) != expected:
        raise ValueError(
            f"{path}: the header promises shape {shape}, {expected} bytes in all, but the "
            f"{'unpacked ' if path.suffix.lower() == '.gz' else ''}file "
            f"{'ends at' if len(content) < expected else 'goes on to'} byte {len(content)}"
        )
    array = np.frombuffer(content, dtype=dtype, offset=header).reshape(shape)
    return array.astype(dtype.newbyteorder("="), copy=False)


def find_idx(directory: Path, part: str, content: str) -> Path | None:
    """Find MNIST's file of a part ("train" or "test") by its published name, or None."""
    prefix = {"train": "train", "test": "(t10k|test)"}[part]
    pattern = re.compile(rf"{prefix}-{content}[-.]idx\d-ubyte(\.gz)?")
    found = sorted(path for path in directory.iterdir() if pattern.fullmatch(path.name))
    return found[0] if found else None


def label_neighbour(path: Path) -> Path | None:
    """Return the label file that lies beside an image file under MNIST's names, or None."""
    stem = path.name.removesuffix(".gz")
    if "-images" not in stem:
        return None
    name = stem.replace("-images", "-labels").replace("idx3", "idx1")
    candidates = (path.with_name(name), path.with_name(name + ".gz"))
    return next((c for c in candidates if c.exists()), None)
