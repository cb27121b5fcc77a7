# SPDX-License-Identifier: MIT
"""Tables of text: CSV and its relatives, with or without a header line."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from itertools import chain, islice
from pathlib import Path

import numpy as np

from pyvae.data import advice, labels
from pyvae.data import cells as kinds
from pyvae.data.columns import Columns, choose, column_name, text_features
from pyvae.data.contents import Contents
from pyvae.data.dialect import Dialect, dialect, reader, sample
from pyvae.data.lines import is_comment, table_lines
from pyvae.data.naming import UNNAMED, naming
from pyvae.data.reading import DELIMITERS, Reading
from pyvae.data.texts import Cells
from pyvae.errors import WrongValue

_HEAD = 100  # lines that a file's form is recognised from
_CELLS = 1 << 18  # that are made an array at a time
_INDEX_LEFT_OUT = (
    "column 1 has no name and numbers the rows: it is left out; --columns 1,2 and so on keeps it"
)
_INDEX_KEPT = "column 1 has no name and is a feature; --drop 1 leaves it out"
_EXACT = 2.0**53  # up to which float64 holds every integer


def read_delimited(path: Path, reading: Reading) -> Contents:
    """Read a table of numbers, gzipped or not, in the least precision that holds all of them.

    Raises
    ------
    ValueError
        If a cell is no finite number or a line has another number of cells, the message names
        line and column; or if the form of the table cannot be told.
    """
    lines, reading = table_lines(path, reading)
    try:
        head = list(islice(lines, _HEAD))
        found = dialect(path, head, reading)
        rows = sample(head, found.delimiter)
        named = naming(path, rows, found.decimal, reading)
        parsed = _Parser(path, found, rows, named.header, reading)
        parsed.read(reader(chain(head, lines), found.delimiter))
        return parsed.table((*_said_of(found, reading), *filter(None, [named.note])))
    except MemoryError:
        size = path.stat().st_size
        raise WrongValue(
            f"{path}: what its {size} bytes hold does not fit into memory; save it as .npy, which "
            "is mapped"
        ) from None


class _Parser:
    """Reads the rows of a table whose form is known."""

    def __init__(
        self, path: Path, form: Dialect, rows: list[list[str]], header: bool, reading: Reading
    ) -> None:
        if len(rows) <= header:
            raise WrongValue(f"{path}: holds no row of numbers")
        self.path, self.form, self.header, self.reading = path, form, header, reading
        self.width = len(rows[0])
        self.names = _names(rows[0]) if header else None
        self.chosen: Columns = choose(str(path), self.names, self.width, reading)
        self.in_order = self.chosen.features == tuple(range(self.width))
        self.parts: list[np.ndarray] = []
        self.texts: list[str] = []
        self.seen: dict[str, str] = {}  # a label of many examples is kept once
        self.rows = rows
        self.cells = self._kept_cells() if reading.keeps_text else None
        self.doubtful: str | None = None  # the first number whose mark may part thousands
        # Points do so where commas would be decimal, and part no cells.
        self.decided = form.decimal_is_told or (form.decimal == "." and form.delimiter != ";")
        self.first: int | None = None  # the line of the first row

    def read(self, found: csv.reader) -> None:  # type: ignore[valid-type]
        """Read all rows."""
        waiting: list[list[float]] = []
        try:
            for cells in self._body(found):
                waiting.append(self._row(found.line_num, cells))
                if len(waiting) * self.width >= _CELLS:
                    self._keep(waiting)
                    waiting = []
        except csv.Error as error:
            raise WrongValue(
                f'{self.path}: line {found.line_num}: {error}; a quote (") before it may not be '
                "closed"
            ) from error
        if waiting:
            self._keep(waiting)
        if not self.parts:
            raise WrongValue(f"{self.path}: holds no row of numbers")
        if not self.decided and self.doubtful is not None:
            mark = self.form.decimal
            name = "comma" if mark == "," else "point"
            raise WrongValue(
                f"{self.path}: numbers such as {self.doubtful!r} may have a decimal {name} or a "
                f"{name} between thousands; for the former say --decimal '{mark}'; write the "
                f"latter without {name}s"
            )

    def _body(self, found: csv.reader) -> Iterator[list[str]]:  # type: ignore[valid-type]
        """Give the rows below the header, without comments among them, each of the same width."""
        for cells in islice(filter(None, found), int(self.header), None):
            if len(cells) == self.width:
                yield cells
            elif not is_comment(cells[0]):
                yield self._fitted(found.line_num, cells)

    def table(self, notes: Sequence[str]) -> Contents:
        """Return what was read."""
        values, names, categories = np.concatenate(self.parts), self.names, None
        if self.cells is not None:
            values, categories = self.cells.values(values)
        features, label, said = self.chosen
        if self._is_unnamed():
            index = values[:, 0]
            if np.array_equal(index, np.trunc(index)):
                is_index = len(np.unique(index)) == len(index)
                if is_index:
                    values, features = values[:, 1:], features[1:]
                    categories = None if categories is None else categories[1:]
                said = (*said, _INDEX_LEFT_OUT if is_index else _INDEX_KEPT)
        columns = None if names is None else tuple(names[i] or f"column {i + 1}" for i in features)
        return Contents(
            smallest(values),
            labels.from_texts(self.path, self.texts) if label is not None else None,
            columns,
            None if label is None else column_name(label, names),
            (*notes, *said),
            chosen=True,
            categories=categories,
        )

    def _kept_cells(self) -> Cells:
        """Give what keeps cells, of which some may be text."""
        features, reading = self.chosen.features, self.reading
        told = text_features(str(self.path), self.names, self.width, features, reading)
        mixed = reading.text == "mixed"
        return Cells(len(features), self.form.decimal, told, mixed, self._refuse_text)

    def _refuse_text(self, feature: int, cell: str) -> None:
        index = self.chosen.features[feature]
        name, place = self._called(index), f"{self.path}: {column_name(index, self.names)}"
        if kinds.is_rounded(cell):
            raise self._rounded(place, cell)
        # Of positions the caller knows which are text, and has no option.
        told = isinstance(self.reading.text, str)
        ways = advice.of_cell(cell, self.form) or (
            f"--categorical {name} takes all for text, " * told + self.reading.ways_out(name)
        )
        raise WrongValue(
            f"{place} holds numbers, and {cell[:80]!r}; expected finite numbers, or text alone: "
            f"{ways}"
        )

    def _is_unnamed(self) -> bool:
        """Tell whether the first column has no name and nobody asked for it."""
        features, reading = self.chosen.features, self.reading
        unnamed = features[0] == 0 and self.names is not None and self.names[0] in UNNAMED
        return unnamed and len(features) > 1 and reading.rules > 1 and reading.columns is None

    def _keep(self, rows: list[list[float]]) -> None:
        self.parts.append(np.array(rows, dtype=np.float64))

    def _fitted(self, line: int, cells: list[str]) -> list[str]:
        """Take the mark off that a line ends in and the first does not."""
        if len(cells) == self.width + 1 and not cells[-1].strip():
            return cells[:-1]
        raise WrongValue(
            f"{self.path}: line {line} has {len(cells)} cells where the first has "
            f"{self.width}{advice.of_width(cells, self.rows) or self._other_delimiter()}"
        )

    def _row(self, line: int, cells: list[str]) -> list[float]:
        self.first = self.first or line
        features, label, _ = self.chosen
        if label is not None:
            self.texts.append(self.seen.setdefault(cells[label], cells[label]))
        picked = cells if self.in_order else [cells[i] for i in features]
        if not self.decided:
            self._decide(picked)
        if self.cells is not None:
            absent = next((i for i in features if kinds.is_missing(cells[i])), None)
            if absent is not None:
                self._missing(line, absent, cells[absent])
            return self.cells.row(picked)
        if self.form.decimal == "." and kinds.PLAIN.fullmatch("".join(picked)):
            try:
                row = [float(cell) for cell in picked]
            except ValueError:
                pass
            else:
                # Beyond these are integers that float64 rounds, and infinity.
                if min(row) > -_EXACT and max(row) < _EXACT:
                    return row
        return [self._number(line, i, cells[i]) for i in features]

    def _number(self, line: int, index: int, cell: str) -> float:
        if kinds.is_missing(cell):
            return self._missing(line, index, cell)
        value = kinds.number(cell, self.form.decimal)
        if value is None:
            raise WrongValue(f"{self._place(line, index)} is {self._refused(cell, line, index)}")
        if kinds.is_rounded(cell):
            raise self._rounded(self._place(line, index), cell)
        return value

    def _missing(self, line: int, index: int, cell: str) -> float:
        """Give what stands for a missing cell, where there may be some."""
        if self.reading.keeps_missing:
            return np.nan
        wanted = "a value" if self.reading.keeps_text else "a finite number"
        raise WrongValue(
            f"{self._place(line, index)} is missing ({cell!r}); expected {wanted}. Drop "
            f"such rows, fill them in, or leave the column out (--drop {self._called(index)}); "
            "`pyvae fit-mixture --missing marginalize` (in Python missing='keep') takes them "
            "as they are"
        )

    def _rounded(self, place: str, cell: str) -> WrongValue:
        return WrongValue(
            f"{place} is {cell[:80]}, an integer beyond 2**53 that float64 rounds; subtract what "
            "all have in common, or --drop the column"
        )

    def _decide(self, cells: list[str]) -> None:
        """Take a number with the mark where no thousands are parted for one that is decimal."""
        mark = self.form.decimal
        for cell in cells:
            if mark in cell and kinds.is_number(cell, mark):
                if not kinds.may_part_thousands(cell, mark):
                    self.decided = True
                elif self.doubtful is None:
                    self.doubtful = cell.strip()[:80]

    def _refused(self, cell: str, line: int, index: int) -> str:
        """Say what a cell holds, what was expected, and the ways out."""
        name = self._called(index)
        ways = self.reading.ways_out(name)
        is_first = line == self.first and self.reading.header is None and not self.header
        below = [row[index] for row in self.rows[1:] if len(row) == self.width]
        seen = advice.of_cell(cell, self.form) or (
            advice.of_first_line(below, self.form) if is_first else None
        )
        if seen is not None:
            ways = seen
        elif is_first:
            ways += f", --header takes line {line} for names"
        expected = "a finite number"
        if self.form.decimal == ",":
            expected += " with a decimal comma"
        return f"{cell[:80]!r}; expected {expected}: {ways}"

    def _called(self, index: int) -> str:
        """Return what a column may be named by in an option."""
        return (self.names[index] if self.names else "") or str(index + 1)

    def _place(self, line: int, index: int) -> str:
        return f"{self.path}: line {line}, {column_name(index, self.names)}"

    def _other_delimiter(self) -> str:
        if self.reading.delimiter is not None or self.width > 1:
            return ""
        return (
            f" (parted by {DELIMITERS[self.form.delimiter]}; --delimiter names another, --decimal "
            "',' reads decimal commas)"
        )


def smallest(values: np.ndarray) -> np.ndarray:
    """Return float64 numbers as float32 where that holds every one of them exactly."""
    with np.errstate(over="ignore"):
        narrow = values.astype(np.float32)
    return narrow if np.array_equal(narrow, values, equal_nan=True) else values


def _said_of(form: Dialect, reading: Reading) -> list[str]:
    """Say a form that is not what a file named .csv promises."""
    if form.decimal == "," and reading.decimal is None:
        return [
            f"read with decimal commas, and {DELIMITERS[form.delimiter]} between cells; --decimal "
            "and --delimiter say otherwise"
        ]
    return []


def _names(cells: list[str]) -> list[str]:
    return [cell.strip() for cell in cells]
