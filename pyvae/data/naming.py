# SPDX-License-Identifier: MIT
"""Whether the first line of a table names its columns."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from pyvae.data.cells import is_fraction, is_integer, is_missing, is_number, is_text, number
from pyvae.data.dialect import Rows, columns_of
from pyvae.data.reading import Reading
from pyvae.errors import WrongValue

UNNAMED = ("", "Unnamed: 0")  # what pandas and R write, and pandas reads, above row numbers
_ROWS_OF_FRACTIONS = 3  # that make integers above them stand out
_ROWS_BELOW, _ROWS_BELOW_TWO = 3, 8  # that a line differs from, of three columns or more, and two
_CHANCE = 1000.0  # one in so many rows of random integers may count in equal steps unasked


class Naming(NamedTuple):
    """Whether the first line is a header, and what to say where it might be otherwise."""

    header: bool
    note: str = ""


def naming(path: Path, rows: Rows, decimal: str, reading: Reading) -> Naming:
    """Recognise a header by what stands under it, where it is not told.

    Names are text over numbers. Numbers may be names: 0, 1, ..., as pandas writes columns without
    names, where what stands below is written otherwise; and numbers in order, beside a name that
    is text or above row numbers. Elsewhere numbers that stand out from those below are asked about.

    Raises
    ------
    ValueError
        If the first line is as good as a row as it is as names.
    """
    if reading.header is not None:
        return Naming(reading.header)
    if not rows:
        return Naming(False)
    if reading.rules == 1:
        return Naming(not any(_taken_by_python(cell) for cell in rows[0]))
    first = rows[0]
    below = list(columns_of([row for row in rows[1:] if len(row) == len(first)]))
    if not any(is_number(cell, decimal) for cell in first):
        texts = [i for i, cell in enumerate(first) if is_text(cell, decimal)]
        if not below:
            return Naming(bool(texts))
        over_numbers = any(not any(is_text(c, decimal) for c in below[i]) for i in texts)
        if reading.keeps_text and not over_numbers:
            return _over_texts(path, first, below)
        return Naming(over_numbers)
    return _numeric(path, first, below, decimal) if below else Naming(False)


def _over_texts(path: Path, first: list[str], below: list[tuple[str, ...]]) -> Naming:
    """Tell names from values where all columns hold text: values come again, and names do not.

    Raises
    ------
    ValueError
        If no column has a value that comes again.
    """
    names = [name.strip() for name in first]
    columns = [[cell.strip() for cell in cells] for cells in below]
    written = ",".join(first)[:80]
    if len(set(names)) < len(names) or any(map(list.__contains__, columns, names)):
        return Naming(False, f"line 1 ({written}) is taken for a row; --header takes it for names")
    if any(len(set(cells)) < len(cells) for cells in columns):
        return Naming(True, f"{_taken(written)} it as a row")
    raise WrongValue(
        f"{path}: line 1 ({written}) may be names of columns or a row; say which with --header or "
        "--no-header"
    )


def _taken(written: str) -> str:
    return f"line 1 ({written}) is taken for names of columns; --no-header reads"


def _numeric(path: Path, first: list[str], below: list[tuple[str, ...]], decimal: str) -> Naming:
    """Look at a first line that holds numbers."""
    indexed = is_index(first[0], below[0]) and len(first) > 1
    kinds = [_kind(cells, decimal) for cells in below]
    # Text over text may be a name or a value: it tells nothing.
    told = [i for i, kind in enumerate(kinds) if kind != "text" or not is_text(first[i], decimal)]
    told = told[1:] if indexed else told
    texts = [i for i in told if is_text(first[i], decimal)]  # over numbers
    told = [i for i in told if i not in texts]
    names, below = [first[i].strip() for i in told], [below[i] for i in told]
    if not all(is_number(name, decimal) for name in names):
        return Naming(False)
    counted = names == [str(i) for i in range(len(names))]
    written = ",".join(first)[:80]
    if counted and (indexed or (texts and len(names) > 1)):
        return Naming(True)
    taken = f"{_taken(written)} it as a row"
    values = [_value(name, decimal) for name in names]
    is_named = any(letter.isalpha() for i in texts for letter in first[i])
    if len(set(values)) == len(values) and (
        (indexed and not texts) or (is_named and _is_monotone(values))
    ):
        return Naming(True, taken)
    if texts or len(set(names)) < len(names):
        return Naming(False)
    kinds = [kinds[i] for i in told]
    stands_out = all(kind != "integers" for kind in kinds) and all(map(is_integer, names))
    if counted and stands_out:
        return Naming(True, taken)
    if len(names) == 1:
        return Naming(False)
    if counted:
        doubtful = not _counts(below, decimal) and any(
            kind == "text" or not _in_range(value, cells, decimal)
            for value, cells, kind in zip(values, below, kinds, strict=True)
        )
    else:
        doubtful = stands_out and len(below[0]) >= _ROWS_OF_FRACTIONS
    if doubtful or ("text" not in kinds and _differs(values, below, decimal)):
        raise WrongValue(
            f"{path}: line 1 ({written}) may be names of columns or a row of numbers; say "
            "which with --header or --no-header"
        )
    row = f"line 1 ({written}) is taken for a row of numbers; --header takes it for names"
    return Naming(False, row if counted else "")


def is_index(name: str, below: Sequence[str]) -> bool:
    """Tell whether a first column is one of row numbers, as pandas and R write without a name."""
    cells = [cell.strip() for cell in below]
    return name.strip() in UNNAMED and all(map(is_integer, cells)) and len(set(cells)) == len(cells)


def _differs(values: list[float], below: list[tuple[str, ...]], decimal: str) -> bool:
    """Tell whether a first line is in order, and otherwise as no line below it.

    Either each of its numbers is outside of those below, and most are farther away than these are
    from each other; or it counts in equal steps where no other does so, in columns wide enough for
    that to be no chance.
    """
    columns = [
        np.array([_value(cell, decimal) for cell in cells if is_number(cell, decimal)])
        for cells in below
    ]
    rows = min(map(len, columns))
    if rows < _ROWS_BELOW or not _is_monotone(values):
        return False
    low, high = (np.array([f(cells) for cells in columns]) for f in (np.min, np.max))
    gaps = np.maximum(low - values, values - high)
    # Few rows are far from each other by chance, or where they are sorted.
    needed = 1.0 if rows < _ROWS_BELOW_TWO else 0.6
    is_far = gaps.min() > 0 and np.mean(gaps > high - low) >= needed
    if is_far and rows >= (_ROWS_BELOW_TWO if len(values) == 2 else _ROWS_BELOW):
        return True
    if len(values) < 3 or len({len(cells) for cells in columns}) > 1:
        return False
    step = values[1] - values[0]
    steps = np.diff(np.stack(columns, 1), axis=1)
    others = np.isclose(steps, steps[:, :1]).all(1)
    widths = np.log((high - low)[2:] / abs(step) + 1)
    is_rare = widths.sum() > np.log(_CHANCE)
    return bool(np.allclose(np.diff(values), step) and not others.any() and is_rare)


def _counts(below: list[tuple[str, ...]], decimal: str) -> bool:
    """Tell whether all of several lines count by one, as 0, 1, ... above them does."""
    lines = [[number(cell, decimal) for cell in line] for line in zip(*below, strict=True)]
    return len(lines) > 1 and all(
        None not in line and np.all(np.diff(line) == 1)  # type: ignore[arg-type]
        for line in lines
    )


def _is_monotone(values: list[float]) -> bool:
    steps = np.diff(values)
    return len(values) > 1 and bool((steps > 0).all() or (steps < 0).all())


def _value(cell: str, decimal: str) -> float:
    value = number(cell, decimal)
    assert value is not None
    return value


def _kind(cells: tuple[str, ...], decimal: str) -> str:
    """Tell how a column is written: text, fractions throughout, or integers among them."""
    seen = [cell for cell in cells if not is_missing(cell)]
    if any(not is_number(cell, decimal) for cell in seen):
        return "text"
    return "fractions" if seen and all(is_fraction(cell) for cell in seen) else "integers"


def _in_range(value: float, cells: tuple[str, ...], decimal: str) -> bool:
    seen = [_value(cell, decimal) for cell in cells if is_number(cell, decimal)]
    return not seen or min(seen) <= value <= max(seen)


def _taken_by_python(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
