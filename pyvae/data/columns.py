# SPDX-License-Identifier: MIT
"""Which columns of a table are features, and which one holds labels."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from pyvae.data.reading import Column, Reading
from pyvae.errors import WrongValue

_LISTED = 20


class Columns(NamedTuple):
    """Columns by their numbers from 0, and what to say of those that nobody named."""

    features: tuple[int, ...]
    label: int | None
    notes: tuple[str, ...] = ()


def choose(where: str, names: Sequence[str] | None, width: int, reading: Reading) -> Columns:
    """Choose the columns of a table of so many, by what is told or by their names.

    Raises
    ------
    ValueError
        If a column that is told is not there, or no feature is left,
        or one is told twice.
    """

    def found(columns: Iterable[Column]) -> list[int]:
        return [find(where, column, names, width) for column in columns]

    dropped = set(found(reading.drop))
    chosen = None if reading.columns is None else found(reading.columns)
    if chosen is not None and len(set(chosen)) < len(chosen):
        (twice, *_) = (i for i in chosen if chosen.count(i) > 1)
        raise WrongValue(
            f"{where}: columns takes {column_name(twice, names)} twice; expected each column once"
        )
    by_name = _expected(where, names, width, reading)
    chosen = chosen or by_name
    notes: tuple[str, ...] = ()
    if reading.told_label is not None:
        (label,) = found([reading.told_label])
    else:
        taken = dropped | set(chosen or ())
        label = None if width == 1 else _by_name(names, reading.label_candidates, taken)
        if label is not None and names:
            notes = (
                f"labels: column {names[label]!r} (not used in training); --no-label-column keeps "
                "it as a feature",
            )
        elif reading.label_candidates and reading.rules > 1:
            notes = _doubtful(names, taken)
    kept = range(width) if chosen is None else chosen
    features = tuple(dict.fromkeys(i for i in kept if i not in dropped and i != label))
    if not features:
        raise WrongValue(f"{where}: no column is left to be a feature")
    if by_name is not None:
        beside = [column_name(i, names) for i in range(width) if i not in {*features, label}]
        if beside:
            notes = (*notes, f"left out, as the model has none of that name: {_listed(beside)}")
    return Columns(features, label, notes)


def _expected(
    where: str, names: Sequence[str] | None, width: int, reading: Reading
) -> list[int] | None:
    """Return the columns of the names that are expected; None where nothing has names."""
    if names is None or reading.expected is None or reading.columns is not None or reading.drop:
        return None
    called = [name or f"column {i + 1}" for i, name in enumerate(names)]
    absent = [name for name in reading.expected if name not in called]
    if absent:
        raise WrongValue(
            f"{where}: has no column {_listed(absent)}, which the model takes; its columns are "
            f"{_listed(called)}. If they go by other names, --columns lists them in the model's "
            "order"
        )
    return [find(where, name, called, width) for name in reading.expected]


def text_features(
    where: str,
    names: Sequence[str] | None,
    width: int,
    features: Sequence[int],
    reading: Reading,
) -> frozenset[int]:
    """Return which features, by their numbers among them, are told to be text.

    Raises
    ------
    ValueError
        If a column that is told is not there.
    """
    told = {find(where, column, names, width) for column in reading.categorical}
    by_column = {at for at, column in enumerate(features) if column in told}
    return frozenset(by_column.union(reading.text_features))


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:_LISTED]) + ", ..." * (len(names) > _LISTED)


def find(where: str, column: Column, names: Sequence[str] | None, width: int) -> int:
    """Return a column by its name, or by its number from 1.

    Raises
    ------
    ValueError
        If there is none, or several of the name.
    """
    same = [i for i, name in enumerate(names or ()) if name == column]
    if len(same) > 1:
        numbers = ", ".join(str(i + 1) for i in same)
        raise WrongValue(f"{where}: columns {numbers} are all named {column!r}; say its number")
    if same:
        return same[0]
    number = int(column) if isinstance(column, int) or _is_count(column) else 0
    if 1 <= number <= width:
        return number - 1
    there = f"its columns are {_listed(names)}" if names else "its columns have no names"
    raise WrongValue(f"{where}: has no column {column!r}; {there}, or 1 to {width} by number")


def column_name(index: int, names: Sequence[str] | None) -> str:
    """Say a column's number from 1, and its name where it has one."""
    name = names[index] if names else ""
    return f"column {index + 1}" + (f" ({name})" if name else "")


def _by_name(names: Sequence[str] | None, candidates: Sequence[str], taken: set[int]) -> int | None:
    lower = [name.lower() for name in names or ()]
    there = (lower.index(name) for name in candidates if name in lower)
    return next((index for index in there if index not in taken), None)


def _doubtful(names: Sequence[str] | None, taken: set[int]) -> tuple[str, ...]:
    """Say of a column ``y`` that it is a feature; beside ``x`` it is a coordinate."""
    lower = [name.lower() for name in names or ()]
    if "y" not in lower or "x" in lower or len(lower) == 1 or lower.index("y") in taken:
        return ()
    name = (names or ())[lower.index("y")]
    return (f"column {name!r} is a feature; --label-column {name} takes it for labels",)


def _is_count(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 10
