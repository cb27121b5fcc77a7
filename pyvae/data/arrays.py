# SPDX-License-Identifier: MIT
"""NumPy's .npy (memory-mapped) and .npz files."""

from __future__ import annotations

import math
import zipfile
import zlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

_X = ("x", "X", "data", "images", "features", "arr_0")
_LABELS = ("labels", "label", "y", "Y", "targets", "target", "arr_1")
_PARTS = {"train": ("train",), "test": ("test",), "validation": ("validation", "valid", "val")}


def read_npy(path: Path) -> np.ndarray:
    """Map a ``.npy`` file of real numbers into memory without reading it.

    Raises
    ------
    ValueError
        If the header is damaged, the type is not a real number, or the file is longer or shorter
        than its header says.
    """
    try:
        with path.open("rb") as file:
            version = np.lib.format.read_magic(file)
            read_header = (
                np.lib.format.read_array_header_1_0
                if version == (1, 0)
                else np.lib.format.read_array_header_2_0
            )
            shape, _, dtype = read_header(file)
            header = file.tell()
    except Exception as error:  # the header is a Python literal: a damaged one raises almost any
        raise ValueError(f"{path}: no readable .npy header at byte 0 ({error})") from error
    check_real(path, dtype)
    size, expected = path.stat().st_size, header + dtype.itemsize * math.prod(shape)
    if size != expected:
        raise ValueError(
            f"{path}: the header promises shape {shape} of {dtype}, {expected} bytes in all, "
            f"but the file {'ends at' if size < expected else 'goes on to'} byte {size}"
        )
    if math.prod(shape) == 0:  # an empty range cannot be mapped
        return np.empty(shape, dtype)
    return np.load(path, mmap_mode="r")


def read_npz(path: Path, split: str) -> tuple[np.ndarray, np.ndarray | None]:
    """Read the examples and labels of one split from a ``.npz`` file.

    The arrays are found by name: ``x`` and ``y`` (or ``labels``), with ``_train``, ``_test``,
    ``_val`` behind them where the file holds several parts.
    """
    try:
        # numpy.load takes a file without a zip's end record for a pickle, and says so.
        with path.open("rb") as file, zipfile.ZipFile(file), np.load(path) as archive:
            pairs = _pairs(path, list(archive.files), split)
            arrays = {name: archive[name] for pair in pairs for name in pair if name}
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError) as error:
        raise ValueError(f"{path}: damaged .npz file ({error})") from error
    except ValueError as error:
        if str(error).startswith(str(path)):
            raise
        raise ValueError(f"{path}: {error}; expected arrays of numbers") from error
    parts = [(arrays[x], arrays[y] if y else None) for x, y in pairs]
    for x, y in parts:
        for array in (x, y):
            if array is not None and not isinstance(
                array, np.ndarray
            ):  # numpy hands over raw bytes
                raise ValueError(f"{path}: damaged .npz file (a member is no array)")
        check_real(path, x.dtype)
    return join(path, parts)


def join(
    path: Path, parts: list[tuple[np.ndarray, np.ndarray | None]]
) -> tuple[np.ndarray, np.ndarray | None]:
    """Put the parts of a data set one after the other; labels only where all parts have them."""
    if len(parts) == 1:
        return parts[0]
    if len({x.shape[1:] for x, _ in parts}) > 1:
        raise ValueError(
            f"{path}: the parts' examples have different shapes, "
            f"{' and '.join(str(x.shape[1:]) for x, _ in parts)}; load one split"
        )
    labels = [y for _, y in parts if y is not None]
    return (
        np.concatenate([x for x, _ in parts]),
        np.concatenate(labels) if len(labels) == len(parts) else None,
    )


def check_real(path: Path, dtype: np.dtype) -> None:
    """Refuse a type that is not a real number."""
    if dtype.kind not in "buif":
        raise ValueError(
            f"{path}: holds numbers of type {dtype}; expected booleans, integers or floats"
        )


def _pairs(path: Path, names: list[str], split: str) -> list[tuple[str, str | None]]:
    """Names of (examples, labels) of each part of ``split``."""
    parts = list(_PARTS) if split == "all" else [split]
    found = [
        (x, next((n for n in _spelled(_LABELS, suffix) if n in names), None))
        for part in parts
        for suffix in _PARTS[part]
        for x in _spelled(_X, suffix)
        if x in names
    ]
    if not found and split in ("train", "all"):
        found = [(x, next((n for n in _LABELS if n in names), None)) for x in _X if x in names][:1]
    if not found:
        raise ValueError(
            f"{path}: no examples for split {split!r} among its arrays "
            f"{', '.join(names) or '(none)'}; expected x, or x_{split}, and y or labels"
        )
    return found


def _spelled(names: tuple[str, ...], part: str) -> list[str]:
    return [spelling for n in names for spelling in (f"{n}_{part}", f"{part}_{n}")]
