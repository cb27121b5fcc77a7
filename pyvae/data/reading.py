# SPDX-License-Identifier: MIT
"""What the caller says of a source: which columns, how a table is written, what is missing."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass

from pyvae.errors import WrongType, WrongValue

# Names of columns that say by themselves that these are labels. `y` does not: beside `x` it is a
# coordinate.
LABEL_NAMES = ("label", "labels", "class", "target")
# The rules by which what is not said is recognised. 1: a column `y` held labels, a first line was
# the names of the columns where Python took none of its cells for a number, the unnamed column of
# pandas' index was a feature, and arrays had no channels.
RULES = 2
DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "pipe", " ": "whitespace"}
_SPELLED = {name: mark for mark, name in DELIMITERS.items()} | {"\\t": "\t", "space": " "}
_KEPT = ("refuse", "keep")  # what may be done with what is no number

Column = str | int


@dataclass(frozen=True)
class Reading:
    """How a source is read; the arguments of :func:`pyvae.data.load`, where they are described.

    Raises
    ------
    TypeError, ValueError
        If an argument is none of what is described there.
    """

    label_column: Column | Sequence[str] | None = LABEL_NAMES
    columns: Sequence[Column] | None = None
    drop: Sequence[Column] = ()
    delimiter: str | None = None
    decimal: str | None = None
    header: bool | None = None
    missing: str = "refuse"
    expected: tuple[str, ...] | None = None
    rules: int = RULES
    unlabelled: str = "refuse"
    text: str | Sequence[int] = "refuse"
    categorical: Sequence[Column] = ()

    def __post_init__(self) -> None:
        delimiter = self.delimiter
        if delimiter is not None:
            delimiter = _SPELLED.get(delimiter, delimiter)
            if delimiter not in DELIMITERS:
                listed = ", ".join(DELIMITERS.values())
                raise WrongValue(
                    f"delimiter is {self.delimiter!r}; expected one of {listed}, or the mark itself"
                )
            object.__setattr__(self, "delimiter", delimiter)
        if self.decimal not in (None, ".", ","):
            raise WrongValue(f"decimal is {self.decimal!r}; expected '.' or ','")
        if delimiter == self.decimal == ",":
            raise WrongValue("delimiter and decimal are both ','; expected different marks")
        choices = {"missing": _KEPT, "unlabelled": _KEPT, "text": (*_KEPT, "mixed")}
        for name, words in choices.items():
            told = getattr(self, name)
            if (isinstance(told, str) or name != "text") and told not in words:
                raise WrongValue(f"{name} is {told!r}; expected one of {', '.join(words)}")
        if self.rules not in range(1, RULES + 1):
            raise WrongValue(f"rules is {self.rules!r}; expected a number from 1 to {RULES}")
        for name in ("columns", "drop", "categorical"):
            object.__setattr__(self, name, _columns(name, getattr(self, name)))
        if self.columns is not None and not self.columns:
            raise WrongValue("columns names none; leave it out to take all")

    @property
    def label_candidates(self) -> tuple[str, ...]:
        """Names of which the first that is there holds labels; () where one column is told."""
        told = self.label_column
        if told is None or isinstance(told, str | int):
            return ()
        return tuple(told)

    @property
    def told_label(self) -> Column | None:
        """The column that the caller says holds labels."""
        told = self.label_column
        return told if isinstance(told, str | int) else None

    def ways_out(self, column: str) -> str:
        """Say what can be done with a column of text."""
        if self.label_column is None:  # whoever reads has no use for labels
            return f"--drop {column} leaves it out"
        return f"--drop {column} leaves it out, --label-column {column} takes it for labels"

    @property
    def keeps_missing(self) -> bool:
        """Whether NaN stands for what was not observed."""
        return self.missing == "keep"

    @property
    def keeps_unlabelled(self) -> bool:
        """Whether a label may be missing."""
        return self.unlabelled == "keep"

    @property
    def chooses(self) -> bool:
        """Whether the caller says which columns are features, or what they are."""
        return self.columns is not None or bool(self.drop or self.categorical or self.text_features)

    @property
    def keeps_text(self) -> bool:
        """Whether columns of text are categories."""
        return self.text != "refuse"

    @property
    def text_features(self) -> tuple[int, ...]:
        """Features, by their numbers from 0, that are text whatever they hold."""
        return () if isinstance(self.text, str) else tuple(self.text)


def listed_columns(text: str | None) -> tuple[str, ...]:
    """Split names or numbers of columns as a line of CSV: a name with a comma is quoted.

    Parameters
    ----------
    text
        A line as ``age,"height, cm",3``; None is no column.

    Returns
    -------
    The names or numbers, as they stand.
    """
    if not text:
        return ()
    return tuple(cell.strip() for cell in next(csv.reader([text], skipinitialspace=True)))


def _columns(name: str, value: object) -> tuple[Column, ...] | None:
    if value is None:
        return None
    found = (value,) if isinstance(value, str | int) else tuple(value)  # type: ignore[arg-type]
    for column in found:
        if isinstance(column, bool) or not isinstance(column, str | int):
            raise WrongType(
                f"{name} holds {column!r}; expected names of columns, or numbers from 1"
            )
    return found
