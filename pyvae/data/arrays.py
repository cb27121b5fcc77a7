# SPDX-License-Identifier: MIT
"""NumPy's .npy (memory-mapped) and .npz files."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from pyvae.data.columns import choose, text_features
from pyvae.data.contents import Contents, join
from pyvae.data.headers import MOST_PACKED, check_size, npy_header, size_of
from pyvae.data.labels import from_array
from pyvae.data.reading import LABEL_NAMES, Reading
from pyvae.data.texts import matrix_of
from pyvae.errors import WrongValue

Members = dict[str, zipfile.ZipInfo]
_X = ("x", "X", "data", "images", "features", "arr_0")
_LABELS = ("labels", "label", "y", "Y", "targets", "target", "arr_1")
_PARTS = {"train": ("train",), "test": ("test",), "validation": ("validation", "valid", "val")}


def read_npy(path: Path, *, text: bool = False) -> np.ndarray:
    """Map a ``.npy`` file of real numbers, or of ``text`` too, into memory without reading it.

    Raises
    ------
    ValueError
        If the header is damaged, the type is not a real number, or the file is longer or shorter
        than its header says.
    """
    with path.open("rb") as file:
        header = npy_header(str(path), file)
        if not (text and header.dtype.kind in "US"):
            check_real(str(path), header.dtype)
        check_size(str(path), header, size_of(file))
    return np.load(path, mmap_mode="r")


def read_npz(path: Path, split: str, reading: Reading) -> Contents:
    """Read the examples and labels of one split from a ``.npz`` file.

    The arrays are found by name: ``x`` and ``y`` (or ``labels``), with ``_train``, ``_test``,
    ``_val`` behind them where the file holds several parts. Where all arrays are of one dimension
    and equally long, they are the columns of a table.

    Raises
    ------
    ValueError
        If the file is damaged, an array is longer or shorter than its header or the archive's
        directory says, or is of no real numbers, or there is none for the split.
    """
    with _opened(path) as (archive, members):
        lengths = _lengths(path, archive, members) if reading.rules > 1 else None
        if lengths is not None and not any(_is_part(name) for name in members):
            return _table(path, archive, members, lengths, reading)
        parts = [
            _contents(path, archive, members, *pair)
            for pair in _pairs(path, list(members), split, reading)
        ]
    found = join(path, parts)
    if reading.label_column is None:
        unused = [name for name in members if name in _LABELS or _is_part(name, _LABELS)]
        if unused:
            found = found._replace(notes=(f"left out, as labels: {', '.join(unused)}",))
    return found


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


def _contents(
    path: Path, archive: zipfile.ZipFile, members: Members, x: str, y: str | None
) -> Contents:
    stored = _member(path, archive, x, members[x])
    if y is None:
        return Contents(stored)
    values = _member(path, archive, y, members[y], text=True)
    return Contents(stored, from_array(f"{path}: array {y!r}", values), label_name=f"array {y!r}")


def _lengths(path: Path, archive: zipfile.ZipFile, members: Members) -> int | None:
    """Return the length of all arrays where they are columns: of one dimension, equally long."""
    shapes = set()
    for name, member in members.items():
        with archive.open(member) as file:
            shapes.add(npy_header(f"{path}: array {name!r}", file).shape)  # type: ignore[arg-type]
    (shape,) = shapes if len(shapes) == 1 else ((),)
    return shape[0] if len(shape) == 1 and len(members) > 1 else None


def _table(
    path: Path, archive: zipfile.ZipFile, members: Members, count: int, reading: Reading
) -> Contents:
    names = list(members)
    features, label, notes = choose(str(path), names, len(names), reading)
    columns = [_member(path, archive, names[i], members[names[i]], text=True) for i in features]
    for i, column in zip(features, columns, strict=True):
        if column.dtype.kind in "US" and not reading.keeps_text:
            raise WrongValue(
                f"{path}: array {names[i]!r} holds text ({str(column[0])[:80]!r}); expected "
                f"numbers: {reading.ways_out(names[i])}"
            )
    told = text_features(str(path), names, len(names), features, reading)
    stored, categories = matrix_of(columns, told)
    kept = tuple(names[i] for i in features)
    found = Contents(
        stored.reshape(count, -1), columns=kept, notes=notes, chosen=True, categories=categories
    )
    if label is None:
        return found
    called = f"array {names[label]!r}"
    values = _member(path, archive, names[label], members[names[label]], text=True)
    return found._replace(labels=from_array(f"{path}: {called}", values), label_name=called)


def _array_name(member: zipfile.ZipInfo) -> str:
    return member.filename.removesuffix(".npy")


def _member(
    path: Path, archive: zipfile.ZipFile, name: str, member: zipfile.ZipInfo, *, text: bool = False
) -> np.ndarray:
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
        if not (text and header.dtype.kind in "US"):
            check_real(called, header.dtype)
        check_size(called, header, member.file_size, "archive's member")
    with archive.open(member) as file:
        return np.lib.format.read_array(file, allow_pickle=False)


def check_real(name: str, dtype: np.dtype) -> None:
    """Refuse a type that is not a real number."""
    if dtype.kind not in "buif":
        raise WrongValue(
            f"{name}: holds numbers of type {dtype}; expected booleans, integers or floats"
        )


def _pairs(
    path: Path, names: list[str], split: str, reading: Reading
) -> list[tuple[str, str | None]]:
    """Names of (examples, labels) of each part of ``split``."""
    labels = _label_names(path, names, reading)
    parts = list(_PARTS) if split == "all" else [split]
    found = [
        (x, next((n for n in _spelled(labels, suffix) if n in names), None))
        for part in parts
        for suffix in _PARTS[part]
        for x in _spelled(_X, suffix)
        if x in names
    ]
    if not found and split in ("train", "all"):
        found = [(x, next((n for n in labels if n in names), None)) for x in _X if x in names][:1]
    if not found:
        raise WrongValue(
            f"{path}: no examples for split {split!r} among its arrays "
            f"{', '.join(names) or '(none)'}; expected x, or x_{split}, and y or labels"
        )
    return found


def _label_names(path: Path, names: list[str], reading: Reading) -> tuple[str, ...]:
    """Return what an array of labels may be called."""
    told = reading.told_label
    if told is None:
        own = tuple(n for n in reading.label_candidates if n not in LABEL_NAMES)
        return (*own, *_LABELS) if reading.label_candidates else ()
    if not any(told == name or _is_part(name, (str(told),)) for name in names):
        raise WrongValue(f"{path}: has no array {told!r} of labels; its arrays are {names}")
    return (str(told),)


def _is_part(name: str, names: tuple[str, ...] = (*_X, *_LABELS)) -> bool:
    """Tell whether an array is called so, of one of several parts."""
    return any(name in _spelled(names, part) for parts in _PARTS.values() for part in parts)


def _spelled(names: tuple[str, ...], part: str) -> list[str]:
    return [spelling for n in names for spelling in (f"{n}_{part}", f"{part}_{n}")]
