# SPDX-License-Identifier: MIT
"""Columns that hold text: categories, which get numbers in their order."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence

import numpy as np

from pyvae.data.cells import is_missing, is_number, is_rounded, is_text, number
from pyvae.data.contents import Categories
from pyvae.data.labels import texts_of


def coded(cells: Sequence[str]) -> tuple[np.ndarray, tuple[str, ...]]:
    """Give texts as numbers of their categories, NaN for what is missing; and these, in order."""
    stripped = [cell.strip() for cell in cells]
    categories = tuple(sorted({cell for cell in stripped if not is_missing(cell)}))
    codes = {name: float(code) for code, name in enumerate(categories)}
    return np.array([codes.get(cell, np.nan) for cell in stripped], dtype=np.float64), categories


def written(values: Iterable[object]) -> list[str]:
    """Give numbers and texts as cells of a table have them; what is missing is an empty one."""
    found = []
    for value in values:
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        found.append("" if value is None or value != value else str(value))
    return found


def matrix_of(
    columns: Sequence[np.ndarray], texts: Collection[int]
) -> tuple[np.ndarray, Categories | None]:
    """Give columns side by side, some as numbers of categories: strings, and those of ``texts``."""
    found: list[np.ndarray] = []
    categories: list[tuple[str, ...] | None] = []
    for at, column in enumerate(columns):
        names = None
        if column.dtype.kind in "US":
            column, names = coded(texts_of(column))
        elif at in texts:
            column, names = coded(written(column.tolist()))
        found.append(column)
        categories.append(names)
    return np.stack(found, axis=1), any_of(categories)


def any_of(categories: Sequence[tuple[str, ...] | None]) -> Categories | None:
    """Give them, or None where no column holds text."""
    return None if all(names is None for names in categories) else tuple(categories)


class Cells:
    """Cells of a table's features, each kept once, of which some columns may be text.

    A column without a number is, and one that is told. One with both is refused, unless such are
    text as well (``mixed``).

    Parameters
    ----------
    decimal
        The decimal mark of numbers.
    told
        Features, by their numbers, that are text whatever they hold.
    mixed
        Whether columns of numbers and text are text.
    refuse
        What raises that a feature holds a cell that it may not: text among numbers, or an integer
        that float64 rounds.
    """

    def __init__(
        self,
        count: int,
        decimal: str,
        told: Iterable[int],
        mixed: bool,
        refuse: Callable[[int, str], None],
    ) -> None:
        self._decimal, self._told, self._mixed = decimal, frozenset(told), mixed
        self._refuse = refuse
        self._places: list[dict[str, int]] = [{} for _ in range(count)]

    def row(self, cells: Iterable[str]) -> list[float]:
        """Give the places of a row's cells among those that are kept."""
        pairs = zip(self._places, cells, strict=True)
        return [places.setdefault(cell, len(places)) for places, cell in pairs]

    def values(self, rows: np.ndarray) -> tuple[np.ndarray, Categories | None]:
        """Give the numbers of rows of such places, and the categories of columns of text."""
        found = np.empty(rows.shape)
        categories: list[tuple[str, ...] | None] = []
        for at, places in enumerate(self._places):
            distinct = list(places)
            if self._is_text(at, distinct):
                numbers, names = coded(distinct)
            else:
                read = (number(cell, self._decimal) for cell in distinct)
                numbers, names = np.array(list(read), dtype=np.float64), None
            found[:, at] = numbers[rows[:, at].astype(np.int64)]
            categories.append(names)
        return found, any_of(categories)

    def _is_text(self, at: int, cells: Sequence[str]) -> bool:
        if at in self._told:
            return True
        texts = [cell for cell in cells if is_text(cell, self._decimal)]
        others = [cell for cell in cells if is_number(cell, self._decimal)]
        if texts and (self._mixed or not others):
            return True
        refused = texts or [cell for cell in others if is_rounded(cell)]
        if refused:
            self._refuse(at, refused[0])
        return False
