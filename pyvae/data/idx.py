# SPDX-License-Identifier: MIT
"""IDX, the format of MNIST's files: a magic number, the sizes, the numbers, all big-endian."""

from __future__ import annotations

import gzip
import re
import struct
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from pyvae.data.headers import MOST_PACKED, Header, check_size, checked_shape, size_of
from pyvae.data.lines import DAMAGED_GZIP, damaged_gzip
from pyvae.errors import WrongValue

if TYPE_CHECKING:
    from pathlib import Path

# Third byte of the magic number -> type, as http://yann.lecun.com/exdb/mnist described them.
_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_MAX_RANK = 8


def read_idx(path: Path) -> np.ndarray:
    """Read an IDX file, gzipped or not, as an array of its own type and shape.

    Raises
    ------
    ValueError
        If the file is damaged, has another magic number, or is longer or shorter than its header
        says; the message names the byte.
    """
    packed = path.suffix.lower() == ".gz"
    try:
        with path.open("rb") as file:
            size = size_of(file)
            if not packed:
                return _array(path, file, size)
            with gzip.GzipFile(fileobj=file) as unpacked:
                return _array(path, unpacked, None, MOST_PACKED * size)  # type: ignore[arg-type]
    except DAMAGED_GZIP as error:
        raise damaged_gzip(path, error) from error


def _array(path: Path, file: BinaryIO, size: int | None, most: int | None = None) -> np.ndarray:
    """Read header and numbers of a file of a length, or of at most so many bytes unpacked."""
    name, header = str(path), _header(path, file)
    what = "unpacked file" if size is None else "file"
    if most is not None and header.promised > most:
        raise WrongValue(
            f"{path}: the header promises shape {header.shape}, {header.promised} bytes in all, "
            f"and no more than {most} can be unpacked"
        )
    if size is not None:
        check_size(name, header, size, what)
    content = file.read(header.promised - header.length)
    length = header.length + len(content) + len(file.read(1))
    check_size(name, header, length, what)
    array = np.frombuffer(content, dtype=header.dtype).reshape(header.shape)
    return array.astype(header.dtype.newbyteorder("="), copy=False)


def _header(path: Path, file: BinaryIO) -> Header:
    start = file.read(4)
    if len(start) < 4:
        raise WrongValue(f"{path}: ends at byte {len(start)}, inside the 4 bytes of the header")
    zero, code, rank = struct.unpack(">HBB", start)
    if zero != 0 or code not in _TYPES or not 1 <= rank <= _MAX_RANK:
        raise WrongValue(
            f"{path}: bytes 0 to 3 are 0x{start.hex()}, no IDX magic number; expected "
            "0x0000, a type from 0x08 to 0x0e and a rank, as 0x00000803 for images"
        )
    length, sizes = 4 + 4 * rank, file.read(4 * rank)
    if len(sizes) < 4 * rank:
        raise WrongValue(
            f"{path}: ends at byte {4 + len(sizes)}, inside the {length} bytes of the header"
        )
    shape = checked_shape(str(path), struct.unpack(f">{rank}I", sizes))
    return Header(shape, np.dtype(_TYPES[code]), length)


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
