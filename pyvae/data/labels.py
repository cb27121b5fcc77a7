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

UNKNOWN = -1  # a label that is missing


class Labels(NamedTuple):
    """What a file holds, one value an example; ``classes`` where they are numbers of names.

    ``absent`` says which label is missing, where one is.
    """

    values: np.ndarray
    classes: tuple[str, ...] | None = None
    absent: str = ""


def from_array(where: str | Path, values: np.ndarray) -> Labels:
    """Take labels from an array of numbers or of strings; ``where`` is what messages call it."""
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.dtype.kind not in "US" or values.ndim != 1:
        return Labels(values)
    return from_texts(where, texts_of(values))


def texts_of(values: np.ndarray) -> list[str]:
    """Give the strings of an array, ``(N,)``."""
    if values.dtype.kind == "S":
        values = np.char.decode(values, "utf-8", "replace")
    return [str(value) for value in values]


def from_texts(where: str | Path, cells: Sequence[str]) -> Labels:
    """Take labels from cells of a table: numbers where all are, names of classes otherwise."""
    stripped = [cell.strip() for cell in cells]
    missing = {name for name in set(stripped) if is_missing(name)}
    names, absent = set(stripped) - missing, ""
    if missing:
        row = next(i for i, name in enumerate(stripped) if name in missing)
        absent = (
            f"{where}: label of row {row} (counted from 0) is missing ({cells[row]!r}); expected a "
            "number or the name of a class: drop such rows, or say --no-label-column"
        )
    unknown = dict.fromkeys(missing, UNKNOWN)
    if all(is_integer(name) and len(name) < 19 for name in names):
        values = {name: int(name) for name in names} | unknown
        return Labels(np.array([values[name] for name in stripped], dtype=np.int64), absent=absent)
    numbers = {name: number(name) for name in names} | unknown
    if None not in numbers.values():
        found = np.array([numbers[name] for name in stripped], dtype=np.float64)
        return Labels(found, absent=absent)
    return numbered([None if name in missing else name for name in stripped], absent)


def joined(parts: Sequence[Labels]) -> Labels:
    """Put labels one after the other, with one number for a name that several parts have."""
    absent = next((part.absent for part in parts if part.absent), "")
    if all(part.classes is None for part in parts):
        return Labels(np.concatenate([part.values for part in parts]), absent=absent)
    return numbered([name for part in parts for name in _texts(part)], absent)


def numbered(names: Sequence[str | None], absent: str = "") -> Labels:
    """Give names of classes numbers in their sorted order; None is missing."""
    classes = tuple(sorted({name for name in names if name is not None}))
    codes: dict[str | None, int] = {name: code for code, name in enumerate(classes)}
    codes[None] = UNKNOWN
    return Labels(np.array([codes[name] for name in names], dtype=np.int64), classes, absent)


def _texts(labels: Labels) -> list[str | None]:
    values = labels.values.tolist()
    classes = labels.classes
    if classes is None:
        return [str(value) for value in values]
    return [None if value == UNKNOWN else classes[value] for value in values]


def partly_known(labels: Labels) -> Labels:
    """Take NaN and the name -1 for labels that are missing, and allow such."""
    values, classes = labels.values, labels.classes
    if classes is not None and str(UNKNOWN) in classes:
        at = classes.index(str(UNKNOWN))
        values = np.where(values == at, UNKNOWN, values - (values > at))
        classes = (*classes[:at], *classes[at + 1 :])
    if values.dtype.kind == "f":
        values = np.where(np.isnan(values), UNKNOWN, values)
    return Labels(values, classes)


def checked(
    where: str | Path, labels: Labels, source: str | Path, count: int, *, least: int = 0
) -> Tensor:
    """Return the labels of so many examples of a source, ``(N,)`` int64.

    Raises
    ------
    ValueError
        If there is another number of them, or one is no integer from ``least`` on, or missing.
    """
    if labels.absent:
        raise WrongValue(labels.absent)
    values = labels.values
    if values.shape != (count,):
        raise WrongValue(
            f"{where}: labels of shape {values.shape} for the {count} examples of {source}; "
            f"expected one label per example{', or say --no-label-column' * (least == 0)}"
        )
    if values.dtype.kind not in "buif":
        raise WrongValue(f"{where}: labels of type {values.dtype}; expected integers or strings")
    with np.errstate(invalid="ignore"):  # what no integer can hold differs from its code below
        codes = values.astype(np.int64) if np.isfinite(values).all() else np.zeros(count, np.int64)
    wrong = (codes != values) | (codes < least)
    if wrong.any():
        row = int(np.argmax(wrong))
        ways = ", or names of classes; --no-label-column takes no labels"
        if least == UNKNOWN:
            ways = ", or names of classes; -1, or nothing, is unknown"
        raise WrongValue(
            f"{where}: label of row {row} (counted from 0) is {values[row]}; expected integers "
            f"from 0 on{ways}"
        )
    return torch.from_numpy(codes)
