# SPDX-License-Identifier: MIT
"""One function that turns a path or a name into data."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from pyvae.data.arrays import join, read_npy, read_npz
from pyvae.data.delimited import read_delimited
from pyvae.data.idx import find_idx, label_neighbour, read_idx
from pyvae.data.table import Data, sides
from pyvae.errors import NotFound, WrongValue

_SPLITS = ("train", "test", "all")
_SUPPORTED = (
    "'digits', a directory of IDX files, .npy, .npz, .csv, .tsv, or an IDX file "
    "(idx in its name, or .idx); all but .npy and .npz may end in .gz"
)


def digits() -> Data:
    """Return the 1,797 handwritten digits of 8x8 pixels that ship with scikit-learn, labelled.

    Source: Alpaydin & Kaynak (1998), Optical Recognition of Handwritten Digits, test part.

    Examples
    --------
    >>> data = digits()
    >>> tuple(data.x.shape), data.image_shape, float(data.x.max())
    ((1797, 64), (8, 8), 1.0)
    """
    # scikit-learn takes a second to import; files do not need it.
    from sklearn.datasets import load_digits

    pixels, classes = load_digits(return_X_y=True)
    labels = torch.from_numpy(np.asarray(classes, dtype=np.int64))
    images = np.asarray(pixels).reshape(-1, 8, 8)
    return Data(images, labels, (8, 8), "digits", scale=1 / 16, checked=True)


def load(source: str | Path, *, split: str = "train", labels: str | Path | None = None) -> Data:
    """Load data by path, or the embedded digits by name.

    Parameters
    ----------
    source
        ``"digits"``; a directory with MNIST's four IDX files; or one file: IDX, ``.npy``
        (memory-mapped), ``.npz``, ``.csv`` or ``.tsv``. IDX and text files may be gzipped.
    split
        ``"train"``, ``"test"`` or ``"all"``. A source without parts is all training data.
    labels
        A file with one integer per example, for a source that holds none.

    Raises
    ------
    FileNotFoundError
        If there is nothing at the path.
    ValueError
        If the file is of no supported kind, damaged or not numeric, or the labels do not fit; the
        message names the file and the byte or row.
    """
    if split not in _SPLITS:
        raise WrongValue(f"split is {split!r}; expected one of {', '.join(_SPLITS)}")
    data = _source(str(source), split)
    return data if labels is None else _with_labels(data, Path(labels).expanduser())


def _source(source: str, split: str) -> Data:
    path = Path(source).expanduser()
    if source == "digits" and not path.exists():
        return _one_part(digits(), split)
    if not path.exists():
        raise NotFound(f"{path}: no such file or directory; expected {_SUPPORTED}")
    return _idx_directory(path, split) if path.is_dir() else _file(path, split)


def _file(path: Path, split: str) -> Data:
    kind = _kind(path)
    if path.stat().st_size == 0:
        raise WrongValue(f"{path}: empty file (0 bytes)")
    if kind == "npz":
        return _build(path, *read_npz(path, split))
    if kind == "idx":
        neighbour = label_neighbour(path)
        values = read_idx(neighbour) if neighbour else None
        return _one_part(_build(path, read_idx(path), values, neighbour), split)
    if kind == "npy":
        # Left unchecked: rows are checked as they are read, so that loading maps and reads nothing.
        return _one_part(_build(path, read_npy(path), mapped=True), split)
    return _one_part(_build(path, *read_delimited(path)), split)


def _kind(path: Path) -> str:
    name = path.name.lower()
    plain = name.removesuffix(".gz")
    if plain.endswith((".csv", ".tsv")):
        return "csv"
    if name.endswith((".npy", ".npz")):
        return name[-3:]
    if re.search(r"idx\d?\b", plain):
        return "idx"
    raise WrongValue(f"{path}: unsupported kind of file; expected {_SUPPORTED}")


def _idx_directory(path: Path, split: str) -> Data:
    parts = []
    for part in ("train", "test") if split == "all" else (split,):
        images, labels = find_idx(path, part, "images"), find_idx(path, part, "labels")
        if images is None:
            raise NotFound(
                f"{path}: holds no {part} images; expected an IDX file named as MNIST's, "
                f"{'train' if part == 'train' else 't10k'}-images-idx3-ubyte or the same with .gz"
            )
        # Building each part by itself makes a label file of another length name its own part.
        whole = _build(images, read_idx(images), read_idx(labels) if labels else None, labels)
        parts.append((whole.stored, whole.labels.numpy() if whole.labels is not None else None))
    return _build(path, *join(path, parts))


def _build(
    path: Path,
    stored: np.ndarray,
    labels: np.ndarray | None = None,
    label_path: Path | None = None,
    *,
    mapped: bool = False,
) -> Data:
    if stored.ndim < 2:
        stored = stored.reshape(-1, 1)
    data = Data(
        stored,
        None if labels is None else _labels(label_path or path, labels, path, len(stored)),
        _image_shape(stored),
        str(path),
        _scale(stored),
    )
    return data if mapped else data.verified()


def _labels(label_path: Path, values: np.ndarray, path: Path, count: int) -> Tensor:
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.shape != (count,):
        raise WrongValue(
            f"{label_path}: labels of shape {values.shape} for the {count} examples of {path}; "
            "expected one label per example"
        )
    if values.dtype.kind not in "buif":
        raise WrongValue(f"{label_path}: labels of type {values.dtype}; expected integers")
    with np.errstate(invalid="ignore"):  # what no integer can hold differs from its code below
        codes = values.astype(np.int64) if np.isfinite(values).all() else np.zeros(count, np.int64)
    wrong = (codes != values) | (codes < 0)
    if wrong.any():
        row = int(np.argmax(wrong))
        raise WrongValue(
            f"{label_path}: label of row {row} (counted from 0) is {values[row]}; "
            "expected integers from 0 on"
        )
    return torch.from_numpy(codes)


def _with_labels(data: Data, path: Path) -> Data:
    if not path.exists():
        raise NotFound(f"{path}: no such label file")
    kind = _kind(path)
    if kind == "npz":
        raise WrongValue(f"{path}: labels come as IDX, .npy or .csv; put them into the data's .npz")
    if path.stat().st_size == 0:
        raise WrongValue(f"{path}: empty file (0 bytes)")
    if kind == "csv":
        values, column = read_delimited(path)
        values = values if column is None else column
    else:
        values = read_idx(path) if kind == "idx" else np.asarray(read_npy(path))
    return replace(data, labels=_labels(path, values, Path(data.name), len(data)))


def _one_part(data: Data, split: str) -> Data:
    if split == "test":
        raise WrongValue(f"{data.name}: is not split into parts; load it with split='train'")
    return data


def _image_shape(stored: np.ndarray) -> tuple[int, int] | None:
    sizes = [n for n in stored.shape[1:] if n > 1]
    if stored.ndim > 2 and len(sizes) == 2:
        return sizes[0], sizes[1]
    side = math.isqrt(stored.shape[1])
    # Flat rows of bytes, as published versions of MNIST hold them, are taken for square images.
    if stored.dtype.kind in "bu" and stored.ndim == 2 and side > 1 and side**2 == stored.shape[1]:
        return side, side
    return None


def _scale(stored: np.ndarray) -> float:
    """1/255 for bytes and for images of pixels from 0 to 255, unless all are 0 or 1 (binarised)."""
    step = max(1, (1 << 24) // max(1, stored[:1].size))
    parts = (np.asarray(stored[i : i + step]) for i in range(0, len(stored), step))
    if stored.dtype == np.uint8:
        pixels = any((part > 1).any() for part in parts)
    else:
        pixels = sides(stored.shape) > 1 and _are_pixels(parts)
    return 1 / 255 if pixels else 1.0


def _are_pixels(parts: Iterable[np.ndarray]) -> bool:
    """Tell whether numbers of any type are grey levels from 0 to 255: what bytes could hold.

    Levels between them (of images that were resized) are so where they reach the upper half. What
    begins within [0, 1] is scaled already, and is not read to its end.
    """
    largest, whole = 0.0, True
    for part in parts:
        if not ((part >= 0).all() and (part <= 255).all()):  # nor where one is NaN
            return False
        largest = max(largest, float(part.max()))
        if largest <= 1:
            return False
        whole = whole and bool((part == np.floor(part)).all())
    return whole or largest > 127
