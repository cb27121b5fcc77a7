# SPDX-License-Identifier: MIT
"""NumPy's .npy (memory-mapped) and .npz files."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

from pyvae.data.headers import MOST_PACKED, check_size, npy_header, size_of
from pyvae.errors import WrongValue

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
    with path.open("rb") as file:
        header = npy_header(str(path), file)
        check_real(str(path), header.dtype)
        check_size(str(path), header, size_of(file))
    return np.load(path, mmap_mode="r")


def read_npz(path: Path, split: str) -> tuple[np.ndarray, np.ndarray | None]:
    """Read the examples and labels of one split from a ``.npz`` file.

    The arrays are found by name: ``x`` and ``y`` (or ``labels``), with ``_train``, ``_test``,
    ``_val`` behind them where the file holds several parts.

    Raises
    ------
    ValueError
        If the file is damaged, an array is longer or shorter than its header or the archive's
        directory says, or is of no real numbers, or there is none for the split.
    """
    with _opened(path) as (archive, members):
        pairs = _pairs(path, list(members), split)
        arrays = {
            name: _member(path, archive, name, members[name])
            for name in dict.fromkeys(name for pair in pairs for name in pair if name)
        }
    return join(path, [(arrays[x], arrays[y] if y else None) for x, y in pairs])


def read_arrays(path: Path, *names: str) -> list[np.ndarray]:
    """Read the arrays of these names from a ``.npz`` file.

    Raises
    ------
    ValueError
        If one is missing, and as :func:`read_npz`.
    """
    with _opened(path) as (archive, members):
        missing = [name for name in names if name not in members]
        if missing:
            raise WrongValue(f"{path}: holds no array {', '.join(map(repr, missing))}")
        return [_member(path, archive, name, members[name]) for name in names]


@contextmanager
def _opened(path: Path) -> Iterator[tuple[zipfile.ZipFile, dict[str, zipfile.ZipInfo]]]:
    """Open an archive, with its members by the names of their arrays."""
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive, {_array_name(member): member for member in archive.infolist()}
    except (WrongValue, FileNotFoundError):
        raise
    except Exception as error:  # a damaged archive raises almost any
        reason = " ".join(str(error).split())[:200]
        raise WrongValue(f"{path}: damaged .npz file ({reason})") from error


def _array_name(member: zipfile.ZipInfo) -> str:
    return member.filename.removesuffix(".npy")


def _member(path: Path, archive: zipfile.ZipFile, name: str, member: zipfile.ZipInfo) -> np.ndarray:
    """Read an array that its header, the archive's directory and the file's length agree on."""
    called = f"{path}: array {name!r}"
    packing = {zipfile.ZIP_STORED: 1, zipfile.ZIP_DEFLATED: MOST_PACKED}.get(member.compress_type)
    if packing is None:
        raise WrongValue(f"{called} is packed in a way that NumPy does not write; save it again")
    if member.file_size > packing * min(member.compress_size, path.stat().st_size):
        raise WrongValue(
            f"{called} takes {member.file_size} bytes by the archive's directory, more than "
            f"{member.compress_size} packed ones can hold"
        )
    with archive.open(member) as file:
        header = npy_header(called, file)  # type: ignore[arg-type]
        if header.dtype.hasobject:
            raise WrongValue(f"{called}: Object arrays are not read; expected arrays of numbers")
        check_real(called, header.dtype)
        check_size(called, header, member.file_size, "archive's member")
    with archive.open(member) as file:
        return np.lib.format.read_array(file, allow_pickle=False)


def join(
    path: Path, parts: list[tuple[np.ndarray, np.ndarray | None]]
) -> tuple[np.ndarray, np.ndarray | None]:
    """Put the parts of a data set one after the other; labels only where all parts have them."""
    if len(parts) == 1:
        return parts[0]
    if len({x.shape[1:] for x, _ in parts}) > 1:
        raise WrongValue(
            f"{path}: the parts' examples have different shapes, "
            f"{' and '.join(str(x.shape[1:]) for x, _ in parts)}; load one split"
        )
    labels = [y for _, y in parts if y is not None]
    return (
        np.concatenate([x for x, _ in parts]),
        np.concatenate(labels) if len(labels) == len(parts) else None,
    )


def check_real(name: str, dtype: np.dtype) -> None:
    """Refuse a type that is not a real number."""
    if dtype.kind not in "buif":
        raise WrongValue(
            f"{name}: holds numbers of type {dtype}; expected booleans, integers or floats"
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
        raise WrongValue(
            f"{path}: no examples for split {split!r} among its arrays "
            f"{', '.join(names) or '(none)'}; expected x, or x_{split}, and y or labels"
        )
    return found


def _spelled(names: tuple[str, ...], part: str) -> list[str]:
    return [spelling for n in names for spelling in (f"{n}_{part}", f"{part}_{n}")]
