# SPDX-License-Identifier: MIT
"""Whether the first line of a table names its columns."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from pyvae.data.cells import is_fraction, is_integer, is_missing, is_number, is_text
from pyvae.data.dialect import Rows, columns_of
from pyvae.data.reading import Reading
from pyvae.errors import WrongValue

UNNAMED = ("", "Unnamed: 0")  # what pandas writes and reads above its index
_ROWS_OF_FRACTIONS = 3  # that make integers above them stand out


class Naming(NamedTuple):
    """Whether the first line is a header, and what to say where it might be otherwise."""

    header: bool
    note: str = ""


def naming(path: Path, rows: Rows, decimal: str, reading: Reading) -> Naming:
    """Recognise a header by what stands under it, where it is not told.

    Names are text over numbers. Numbers may be names: 0, 1, ..., as pandas writes columns without
    names, where what stands below is written otherwise.

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
        return Naming(over_numbers)
    return _numeric(path, first, below, decimal) if below else Naming(False)


def _numeric(path: Path, first: list[str], below: list[tuple[str, ...]], decimal: str) -> Naming:
    """Look at a first line that holds numbers."""
    indexed = first[0].strip() in UNNAMED and len(first) > 1
    kinds = [_kind(cells, decimal) for cells in below]
    # Text over text may be a name or a value: it tells nothing.
    told = [i for i, kind in enumerate(kinds) if kind != "text" or not is_text(first[i], decimal)]
    told = told[1:] if indexed else told
    texts = [i for i in told if is_text(first[i], decimal)]  # over numbers
    told = [i for i in told if i not in texts]
    names, below = [first[i].strip() for i in told], [below[i] for i in told]
    if not all(is_integer(name) for name in names):
        return Naming(False)
    counted = names == [str(i) for i in range(len(names))]
    written = ",".join(first)[:80]
    if counted and (indexed or (texts and len(names) > 1)):
        return Naming(True)
    if texts:
        return Naming(False)
    kinds = [kinds[i] for i in told]
    stands_out = all(kind != "integers" for kind in kinds)
    if counted and stands_out:
        return Naming(
            True, f"line 1 ({written}) is taken for names of columns; --no-header reads it as a row"
        )
    if len(names) == 1 or len(set(names)) < len(names):
        return Naming(False)
    outside = any(
        kind == "text" or not _in_range(float(name), cells, decimal)
        for name, cells, kind in zip(names, below, kinds, strict=True)
    )
    if (counted and outside) or (stands_out and len(below[0]) >= _ROWS_OF_FRACTIONS):
        raise WrongValue(
            f"{path}: line 1 ({written}) may be names of columns or a row of numbers; say "
            "which with --header or --no-header"
        )
    if counted:
        return Naming(
            False, f"line 1 ({written}) is taken for a row of numbers; --header takes it for names"
        )
    return Naming(False)


def _kind(cells: tuple[str, ...], decimal: str) -> str:
    """Tell how a column is written: text, fractions throughout, or integers among them."""
    seen = [cell for cell in cells if not is_missing(cell)]
    if any(not is_number(cell, decimal) for cell in seen):
        return "text"
    return "fractions" if seen and all(is_fraction(cell) for cell in seen) else "integers"


def _in_range(value: float, cells: tuple[str, ...], decimal: str) -> bool:
    mark = "." if decimal == "." else ","
    seen = [float(c.replace(mark, ".")) for c in cells if is_number(c, decimal)]
    return not seen or min(seen) <= value <= max(seen)


def _taken_by_python(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
