# SPDX-License-Identifier: MIT
"""Labels: integers from 0 on, or names of classes, which get numbers in their order."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from pyvae.data.cells import is_integer, is_missing, number
from pyvae.errors import WrongValue


class Labels(NamedTuple):
    """What a file holds, one value an example; ``classes`` where they are numbers of names."""

    values: np.ndarray
    classes: tuple[str, ...] | None = None


def from_array(where: str | Path, values: np.ndarray) -> Labels:
    """Take labels from an array of numbers or of strings; ``where`` is what messages call it."""
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.dtype.kind == "S":
        values = np.char.decode(values, "utf-8", "replace")
    if values.dtype.kind != "U" or values.ndim != 1:
        return Labels(values)
    return from_texts(where, [str(value) for value in values])


def from_texts(where: str | Path, cells: Sequence[str]) -> Labels:
    """Take labels from cells of a table: numbers where all are, names of classes otherwise.

    Raises
    ------
    ValueError
        If one is missing.
    """
    names = sorted({cell.strip() for cell in cells})
    missing = {name for name in names if is_missing(name)}
    if missing:
        row = next(i for i, cell in enumerate(cells) if cell.strip() in missing)
        raise WrongValue(
            f"{where}: label of row {row} (counted from 0) is missing ({cells[row]!r}); expected a "
            "number or the name of a class: drop such rows, or say --no-label-column"
        )
    if all(is_integer(name) and len(name) < 19 for name in names):
        values = {name: int(name) for name in names}
        return Labels(np.array([values[cell.strip()] for cell in cells], dtype=np.int64))
    numbers = {name: number(name) for name in names}
    if None not in numbers.values():
        return Labels(np.array([numbers[cell.strip()] for cell in cells], dtype=np.float64))
    return numbered([cell.strip() for cell in cells])


def joined(parts: Sequence[Labels]) -> Labels:
    """Put labels one after the other, with one number for a name that several parts have."""
    if all(part.classes is None for part in parts):
        return Labels(np.concatenate([part.values for part in parts]))
    return numbered([name for part in parts for name in _texts(part)])


def numbered(names: Sequence[str]) -> Labels:
    """Give names of classes numbers in their sorted order."""
    classes = tuple(sorted(set(names)))
    codes = {name: code for code, name in enumerate(classes)}
    return Labels(np.array([codes[name] for name in names], dtype=np.int64), classes)


def _texts(labels: Labels) -> list[str]:
    values = labels.values.tolist()
    classes = labels.classes
    return [str(value) if classes is None else classes[value] for value in values]


def checked(where: str | Path, labels: Labels, source: str | Path, count: int) -> Tensor:
    """Return the labels of so many examples of a source, ``(N,)`` int64.

    Raises
    ------
    ValueError
        If there is another number of them, or one is no integer from 0 on, or missing.
    """
    values = labels.values
    if values.shape != (count,):
        raise WrongValue(
            f"{where}: labels of shape {values.shape} for the {count} examples of {source}; "
            "expected one label per example, or say --no-label-column"
        )
    if values.dtype.kind not in "buif":
        raise WrongValue(f"{where}: labels of type {values.dtype}; expected integers or strings")
    with np.errstate(invalid="ignore"):  # what no integer can hold differs from its code below
        codes = values.astype(np.int64) if np.isfinite(values).all() else np.zeros(count, np.int64)
    wrong = (codes != values) | (codes < 0)
    if wrong.any():
        row = int(np.argmax(wrong))
        raise WrongValue(
            f"{where}: label of row {row} (counted from 0) is {values[row]}; expected integers "
            "from 0 on, or names of classes; --no-label-column takes no labels"
        )
    return torch.from_numpy(codes)
