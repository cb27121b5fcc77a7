# SPDX-License-Identifier: MIT
"""Cells of a table: what is a number, what is missing, what is text."""

from __future__ import annotations

import math
import re

# What stands for a missing value, whatever its case: the marks of R, Excel, SQL, pandas and Weka.
MISSING = frozenset(
    ("", "na", "n/a", "<na>", "#n/a", "#na", "#n/a n/a", "nan", "-nan", "+nan", "null", "none",
     "1.#ind", "-1.#ind", "1.#qnan", "-1.#qnan", "?")
)  # fmt: skip
# Of these characters Python's float and NumPy read nothing but decimal numbers: no underscores, no
# words, no digits of other alphabets.
PLAIN = re.compile(r"[0-9.eE+\- ]*", re.ASCII)
_INTEGER = re.compile(r"[+-]?[0-9]+")
# A comma that stands between digits, as decimal commas do.
_COMMA = re.compile(r"[+-]?[0-9]+,[0-9]+([eE][+-]?[0-9]+)?")
# Numbers whose decimal marks may as well part the thousands.
_THOUSANDS = {
    mark: re.compile(rf"[+-]?[1-9][0-9]{{0,2}}(\{mark}[0-9]{{3}})+") for mark in (",", ".")
}
_WRITTEN_AS_FRACTION = re.compile(r"[.,eE]")
_EXACT = 1 << 53  # up to which float64 holds every integer


def is_missing(cell: str) -> bool:
    """Tell whether a cell stands for a missing value."""
    return cell.strip().lower() in MISSING


def number(cell: str, decimal: str = ".") -> float | None:
    """Read a finite decimal number; None for anything else."""
    cell = cell.strip()
    if decimal == ",":
        if "." in cell:
            return None
        cell = cell.replace(",", ".")
    if not PLAIN.fullmatch(cell) or " " in cell:
        return None
    try:
        value = float(cell)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def is_number(cell: str, decimal: str = ".") -> bool:
    """Tell whether a cell is a finite decimal number."""
    return number(cell, decimal) is not None


def is_text(cell: str, decimal: str = ".") -> bool:
    """Tell whether a cell is neither a number nor missing."""
    return not is_missing(cell) and not is_number(cell, decimal)


def is_integer(cell: str) -> bool:
    """Tell whether a cell is written as an integer."""
    return _INTEGER.fullmatch(cell.strip()) is not None


def is_fraction(cell: str) -> bool:
    """Tell whether a number is written with a decimal mark or an exponent."""
    return _WRITTEN_AS_FRACTION.search(cell) is not None


def has_decimal_comma(cell: str) -> bool:
    """Tell whether a cell looks like a number with a decimal comma."""
    return _COMMA.fullmatch(cell.strip()) is not None


def may_part_thousands(cell: str, mark: str) -> bool:
    """Tell whether the decimal mark of a number may as well stand between thousands."""
    return _THOUSANDS[mark].fullmatch(cell.strip()) is not None


def is_rounded(cell: str) -> bool:
    """Tell whether a cell is an integer that float64 has no room for."""
    if not is_integer(cell) or len(cell.strip()) < 16:
        return False
    value = int(cell) if len(cell) < 400 else _EXACT + 1
    return abs(value) > _EXACT and (len(cell) >= 400 or int(float(cell)) != value)
