# SPDX-License-Identifier: MIT
"""Which coordinates are meant: by number, by name, by a mask or a slice."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from torch import Tensor

from pyvae.errors import WrongType, WrongValue

Columns = Any  # an index or a name, a sequence or an array of them, a slice, or a mask (D,)
_WAY_OUT = "give numbers, names, a slice, or a mask of one truth value a column"


def column_indices(
    columns: Columns, dimension: int, caller: str, names: Sequence[str] | None = None
) -> list[int]:
    """Give the coordinates that are meant, as numbers from 0 on, in the order given.

    Parameters
    ----------
    columns
        What numpy takes as an index of the last axis, and names where there are any. A single
        number or name stands for a list of one.
    dimension
        How many coordinates there are.
    caller
        The method, for messages.
    names
        Of the coordinates.

    Raises
    ------
    TypeError
        If it is nothing of the kind.
    ValueError
        If a number or a name is of no coordinate, one is named twice, or a mask has another length.

    Examples
    --------
    >>> column_indices([-1, 0], 3, "marginal")
    [2, 0]
    >>> column_indices([True, False, True], 3, "marginal")
    [0, 2]
    >>> column_indices("b", 2, "marginal", ["a", "b"])
    [1]
    """
    if isinstance(columns, slice):
        return list(range(dimension))[columns]
    entries = _entries(columns, caller)
    if any(isinstance(entry, bool | np.bool_) for entry in entries):
        return _masked(entries, dimension, caller)
    found = [_index(entry, dimension, caller, names) for entry in entries]
    twice = sorted({index for index in found if found.count(index) > 1})
    if twice:
        raise WrongValue(
            f"{caller}: column(s) {', '.join(map(str, twice))} are named more than once in "
            f"{entries}; name each once: a copy beside its original has no density"
        )
    return found


def others(columns: Sequence[int], dimension: int) -> list[int]:
    """Give the coordinates that are not among these, in their order."""
    named = set(columns)
    return [index for index in range(dimension) if index not in named]


def require_some(columns: Sequence[int], dimension: int, caller: str) -> None:
    """Refuse no columns at all, where something is to be left of a mixture.

    Raises
    ------
    ValueError
        If there are none.
    """
    if not columns:
        raise WrongValue(
            f"{caller}: none of the {dimension} columns is left; a mixture has at least one. "
            "For the density of all of them, there are log_prob and score_samples"
        )


def _entries(columns: Columns, caller: str) -> list[Any]:
    if isinstance(columns, str | int | np.integer | np.bool_):
        return [columns]
    if isinstance(columns, Tensor | np.ndarray):
        if columns.ndim > 1:
            raise WrongValue(
                f"{caller}: columns have shape {tuple(columns.shape)}; expected one dimension"
            )
        found = columns.tolist()
        return found if isinstance(found, list) else [found]
    try:
        return list(columns)
    except TypeError:
        raise WrongType(f"{caller}: columns are a {type(columns).__name__}; {_WAY_OUT}") from None


def _masked(entries: list[Any], dimension: int, caller: str) -> list[int]:
    if not all(isinstance(entry, bool | np.bool_) for entry in entries):
        raise WrongType(f"{caller}: columns mix truth values with others; {_WAY_OUT}")
    if len(entries) != dimension:
        raise WrongValue(
            f"{caller}: the mask has {len(entries)} truth values, and there are {dimension} columns"
        )
    return [index for index, taken in enumerate(entries) if taken]


def _index(entry: Any, dimension: int, caller: str, names: Sequence[str] | None) -> int:
    if isinstance(entry, str):
        if names is None:
            raise WrongValue(
                f"{caller}: column {entry!r}, and the columns have no names; number them from 0 "
                "on, or fit to a table with names"
            )
        if entry not in names:
            raise WrongValue(f"{caller}: no column is called {entry!r}; there are {_listed(names)}")
        return list(names).index(entry)
    if not isinstance(entry, int | np.integer):
        raise WrongType(f"{caller}: column {entry!r} is a {type(entry).__name__}; {_WAY_OUT}")
    if not -dimension <= entry < dimension:
        raise WrongValue(
            f"{caller}: column {entry} is out of range; there are {dimension}, numbered from 0 to "
            f"{dimension - 1}, or from -{dimension} to -1"
        )
    return int(entry) % dimension


def _listed(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names[:8])) + ", ..." * (len(names) > 8)
