# SPDX-License-Identifier: MIT
"""How a table is written, recognised from its first lines: what parts cells, the decimal mark."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from pyvae.data.cells import has_decimal_comma, is_integer, is_missing, is_number
from pyvae.data.lines import is_comment
from pyvae.data.reading import DELIMITERS, Reading
from pyvae.errors import WrongValue

Rows = list[list[str]]
_PICKED = 3  # numbers in order that are no chance


class Dialect(NamedTuple):
    """What stands between the cells, " " for any white space, and the decimal mark."""

    delimiter: str
    decimal: str
    decimal_is_told: bool


class _Fit(NamedTuple):
    """How badly a file's first lines fit a dialect; the least fits best."""

    torn: int  # columns of text that another delimiter would part
    text: int  # columns that hold text
    numbers: int  # columns of numbers, times -1
    dialect: Dialect


def reader(lines: Iterable[str], delimiter: str) -> Any:
    """Part lines into cells, as :func:`csv.reader` does; white space counts once."""
    if delimiter != " ":
        return csv.reader(lines, delimiter=delimiter)
    plain = (line.replace("\t", " ").strip() for line in lines)
    return csv.reader(plain, delimiter=" ", skipinitialspace=True)


def dialect(path: Path, head: list[str], reading: Reading) -> Dialect:
    """Recognise what is not told, by which of the ways to read ``head`` gives columns of numbers.

    Raises
    ------
    ValueError
        If two ways do so equally well.
    """
    told = reading.delimiter
    if told is None and ".tsv" in path.suffixes and head and "\t" in head[0]:
        told = "\t"
    candidates = [told] if told else [d for d in DELIMITERS if d != reading.decimal]
    fits = [fit for d in candidates if (fit := _best_fit(head, d, candidates, reading))]
    if told:
        decimal = fits[0].dialect.decimal if fits else reading.decimal or "."
        return Dialect(told, decimal, reading.decimal is not None)
    if not fits:  # a title may stand above the table
        fits = [fit for d in candidates if (fit := _best_fit(head[1:], d, candidates, reading))]
    if not fits:
        return _of_the_first_line(path, head, candidates, reading)
    least = min(fit[:3] for fit in fits)
    best = [fit.dialect for fit in fits if fit[:3] == least]
    # A tab is white space too, and a line of cells and spaces has both: the mark is the closer one.
    marks = [found for found in best if found.delimiter != " "] or best
    if len(marks) > 1:
        raise _ambiguous(path, [found.delimiter for found in marks])
    return marks[0]


def columns_of(rows: Rows) -> Iterator[tuple[str, ...]]:
    """Give the cells of each column."""
    return zip(*rows, strict=True)


def _best_fit(head: list[str], delimiter: str, others: list[str], reading: Reading) -> _Fit | None:
    """Return how well a delimiter fits, with the decimal mark that fits better; None if not."""
    rows = sample(head, delimiter)
    if not rows or len({len(row) for row in rows}) > 1:
        return None
    if len(rows[0]) == 1 and reading.delimiter is None:
        return None
    marks = [reading.decimal] if reading.decimal else [".", ","] if delimiter != "," else ["."]
    body = rows[1:] or rows
    return min(
        (_fit(body, delimiter, mark, others, reading) for mark in marks), key=lambda f: f[:3]
    )


def _fit(body: Rows, delimiter: str, decimal: str, others: list[str], reading: Reading) -> _Fit:
    torn = text = numbers = 0
    recognised = decimal == "," and reading.decimal is None
    for cells in columns_of(body):
        seen = [cell for cell in cells if not is_missing(cell)]
        wrong = [cell for cell in seen if not _is_number(cell, decimal, recognised)]
        text += bool(wrong)
        numbers += bool(seen) and not wrong
        torn += any(
            d in cell.strip() for cell in wrong for d in others if d not in (delimiter, " ")
        )
    return _Fit(torn, text, -numbers, Dialect(delimiter, decimal, reading.decimal is not None))


def _is_number(cell: str, decimal: str, recognised: bool) -> bool:
    """Tell whether a cell is a number; of one with a comma that nobody told of, more is asked."""
    if recognised and "," in cell and not has_decimal_comma(cell):
        return False
    return is_number(cell, decimal)


def sample(head: list[str], delimiter: str) -> Rows:
    """Return the rows of a file's first lines, without empty ones; what is no table ends them.

    A header may lack the name of the column of row names, as R writes it, or the last delimiter.
    """
    rows = []
    try:
        for cells in reader(head, delimiter):
            if cells:
                rows.append(cells)
    except csv.Error:
        pass
    return _even(rows)


def _even(rows: Rows) -> Rows:
    """Give lines as many cells as the table has, where what lacks or is too much is nothing."""
    if len({len(row) for row in rows}) < 2:
        return rows
    first, width = rows[0], len(rows[0])
    body = [row for row in rows[1:] if len(row) == width or not is_comment(row[0])]
    longer = [row for row in body if len(row) == width + 1]
    if not any(row[-1].strip() for row in longer):
        return [first, *(row[:width] if len(row) == width + 1 else row for row in body)]
    is_named = width > 1 and not any(is_number(cell) or is_number(cell, ",") for cell in first)
    if is_named and len(longer) == len(body) and _name_rows([row[0].strip() for row in body]):
        return [["", *first], *body]
    return [first, *body]


def _name_rows(cells: list[str]) -> bool:
    """Tell whether a column is sure to hold names of rows, or numbers that count them."""
    if len(set(cells)) < len(cells) or not all(map(is_integer, cells)):
        return len(set(cells)) == len(cells) and not any(
            is_missing(cell) or is_number(cell) or is_number(cell, ",") for cell in cells
        )
    numbers = [int(cell) for cell in cells]
    # Rows that were picked out of more keep their numbers, and their order.
    return numbers == list(range(1, len(cells) + 1)) or (
        len(cells) >= _PICKED and numbers == sorted(numbers)
    )


def _of_the_first_line(
    path: Path, head: list[str], candidates: list[str], reading: Reading
) -> Dialect:
    """Take what the first line holds, where lines differ in their cells: that is told later."""
    first = head[0].strip() if head else ""
    found = [d for d in candidates if d in first]
    if len(found) > 1:
        found = [d for d in found if d != " "]
    if len(found) > 1:
        raise _ambiguous(path, found)
    delimiter = found[0] if found else ";" if reading.decimal == "," else ","
    return Dialect(delimiter, reading.decimal or ".", reading.decimal is not None)


def _ambiguous(path: Path, delimiters: list[str]) -> WrongValue:
    listed = " or ".join(f"{DELIMITERS[mark]} ({mark!r})" for mark in delimiters)
    return WrongValue(
        f"{path}: cells may be parted by {listed}; say which, as --delimiter "
        f"{DELIMITERS[delimiters[0]]}"
    )
