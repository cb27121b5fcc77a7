# SPDX-License-Identifier: MIT
"""Labels that come in a table of text of their own."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import replace
from itertools import chain, islice
from pathlib import Path

from pyvae.data import labels
from pyvae.data.cells import is_number
from pyvae.data.columns import choose
from pyvae.data.dialect import Rows, dialect, reader
from pyvae.data.lines import table_lines
from pyvae.data.naming import naming
from pyvae.data.reading import LABEL_NAMES, Reading
from pyvae.errors import WrongValue

_HEAD = 100  # lines that a file's form is recognised from
_WHOLE_LINE = "\x1f"  # a mark that no file has: a line is one cell, in quotes or not


def read_labels(path: Path, reading: Reading, count: int) -> labels.Labels:
    """Read the labels of so many examples from a table of their own.

    They are its one column, or the one that a name or the caller tells.

    Raises
    ------
    ValueError
        If there are more of them, or it cannot be told which they are.
    """
    label_column = reading.label_column or LABEL_NAMES
    features = {"columns": None, "drop": (), "text": "refuse", "categorical": ()}
    own = replace(reading, label_column=label_column, **features)
    lines, own = table_lines(path, own)
    head = list(islice(lines, _HEAD))
    delimiter, decimal = _form(path, head, own)
    rows = _rows(path, reader(chain(head, lines), delimiter), count)
    header = naming(path, rows[:_HEAD], decimal, own).header
    # A line more than there are examples is the name of what follows.
    is_longer = len(rows) == count + 1 and not header
    header = header or (is_longer and reading.header is None)
    width = len(rows[0])
    at = _column(path, rows[0], header, own)
    short = next((row for row in rows[header:] if len(row) != width), None)
    if short is not None:
        raise WrongValue(f"{path}: a line has {len(short)} cells where the first has {width}")
    cells = [row[at].strip() for row in rows]
    if is_longer and (not header or _is_alike(cells[0], cells[1:], decimal)):
        ways = ", or say --header if line 1 names the column" if header else ""
        raise WrongValue(
            f"{path}: holds {len(rows)} labels ({cells[0][:80]!r} is the first) for {count} "
            f"examples; expected one label per example: take out the line that is none{ways}"
        )
    return labels.from_texts(path, cells[header:])


def _form(path: Path, head: list[str], reading: Reading) -> tuple[str, str]:
    """Return what parts the cells, and the decimal mark."""
    is_list = reading.delimiter is None and reading.told_label is None and _is_list(head)
    if is_list and ".txt" in path.suffixes:
        return _WHOLE_LINE, "."
    found = dialect(path, head, reading)
    return _WHOLE_LINE if is_list and found.delimiter == " " else found.delimiter, found.decimal


def _is_list(head: list[str]) -> bool:
    """Tell whether lines are names of classes, of one word or more, and no rows of cells."""
    lines = [line.strip() for line in head if line.strip()]
    words = [line.replace(",", " ").split() for line in lines]
    if not lines or any(mark in line for mark in ";\t|" for line in lines):
        return False
    if any(is_number(each[0]) for each in words if each):
        return False
    has_header = any(word.lower() in LABEL_NAMES for word in words[0]) and len(words[0]) > 1
    return not has_header and len(set(lines)) < len(lines)  # classes come again, and rows do not


def _rows(path: Path, found: Iterator[list[str]], count: int) -> Rows:
    every = (row for row in found if row)
    try:
        rows = list(islice(every, count + 1))
        more = sum(1 for _ in every)
    except csv.Error as error:
        raise WrongValue(f"{path}: {error}") from error
    if not rows:
        raise WrongValue(f"{path}: holds no labels")
    if more:
        raise WrongValue(
            f"{path}: holds {len(rows) + more} lines, which are more labels than the {count} "
            "examples"
        )
    return rows


def _column(path: Path, first: list[str], header: bool, reading: Reading) -> int:
    """Return which column holds the labels."""
    width = len(first)
    if width == 1:
        return 0
    names = [cell.strip() for cell in first] if header else None
    told = choose(str(path), names, width, reading).label
    if told is None:
        raise WrongValue(
            f"{path}: has {width} columns; say which holds the labels with --label-column"
        )
    return told


def _is_alike(first: str, below: list[str], decimal: str) -> bool:
    """Tell whether a first cell is a label as those below are: a number, or a name among them."""
    return first in below or all(is_number(cell, decimal) for cell in (first, *below))
