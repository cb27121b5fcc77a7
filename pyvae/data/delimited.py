# SPDX-License-Identifier: MIT
"""CSV and TSV files of numbers, with or without a header line."""

from __future__ import annotations

import csv
import io
import math
from typing import TYPE_CHECKING

import numpy as np

from pyvae.data.idx import read_bytes
from pyvae.errors import WrongValue

if TYPE_CHECKING:
    from pathlib import Path

_LABEL_COLUMNS = ("label", "labels", "class", "target", "y")


def read_delimited(path: Path) -> tuple[np.ndarray, np.ndarray | None]:
    """Read a CSV (or tab-separated ``.tsv``) file, gzipped or not.

    A first line without any number is the header. A column named label, labels, class, target or
    y holds the labels; all others are features.

    Raises
    ------
    ValueError
        If a cell is no finite number or a line has another number of cells; the message names
        line and column.
    """
    content = read_bytes(path)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise WrongValue(
            f"{path}: byte {error.start} is no UTF-8 text; save the table as UTF-8"
        ) from error
    delimiter = "\t" if ".tsv" in path.suffixes else ","
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    header: list[str] | None = None
    width = 0
    values: list[np.ndarray] = []
    try:
        for cells in reader:
            if not cells:
                continue
            if width == 0:
                width = len(cells)
                if not any(_is_number(cell) for cell in cells):
                    header = [cell.strip() for cell in cells]
                    continue
            values.append(_row(path, reader.line_num, cells, width, header))
    except csv.Error as error:
        raise WrongValue(f"{path}: line {reader.line_num}: {error}") from error
    if not values:
        raise WrongValue(f"{path}: holds no row of numbers")
    return _split_labels(np.stack(values), header)


def _row(
    path: Path, line: int, cells: list[str], width: int, header: list[str] | None
) -> np.ndarray:
    if len(cells) != width:
        raise WrongValue(f"{path}: line {line} has {len(cells)} cells where the first has {width}")
    try:
        row = np.array(cells, dtype=np.float64)
        if np.isfinite(row).all():
            return row
    except ValueError:
        pass
    wrong = (i for i, c in enumerate(cells) if not _is_number(c) or not math.isfinite(float(c)))
    at = next(wrong, 0)  # what Python takes for a number and NumPy does not, as 1_0
    column = f"{at + 1}" + (f" ({header[at]})" if header else "")
    raise WrongValue(
        f"{path}: line {line}, column {column} is {cells[at][:80]!r}; expected a finite number"
    )


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _split_labels(
    values: np.ndarray, header: list[str] | None
) -> tuple[np.ndarray, np.ndarray | None]:
    names = [name.lower() for name in header or []]
    column = next((names.index(name) for name in _LABEL_COLUMNS if name in names), None)
    if column is None or values.shape[1] == 1:
        return values, None
    return np.delete(values, column, axis=1), values[:, column]
