# SPDX-License-Identifier: MIT
"""The columns of a table: their families, and the numbers that stand for their values."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from numbers import Real
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pyvae.errors import WrongValue
from pyvae.mixture import arrays
from pyvae.mixture.products.block import Block
from pyvae.mixture.products.discrete import Binary, Categories
from pyvae.mixture.products.gaussian import Gaussians
from pyvae.mixture.products.reading import Given

FAMILIES = ("gaussian", "bernoulli", "categorical")
DTYPES = {"b": "bool", "i": "int64", "u": "int64", "f": "float64", "O": "object"}
_ROWS = 2**16  # looked at at a time
_LISTED = 5  # categories in a message


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes
    ----------
    name
        In messages, and of frames.
    family
        One of ``FAMILIES``.
    dtype
        Of what is drawn.
    categories
        Of a categorical one, in order; a code is a number of one of them.
    threshold
        Of a Bernoulli one, above which a number is taken for one; None takes zeros and ones alone.
    """

    name: Any
    family: str
    dtype: str = "float64"
    categories: np.ndarray | None = None
    threshold: float | None = None

    @cached_property
    def codes(self) -> dict[Any, int]:
        """The code of every category."""
        assert self.categories is not None
        return {value: code for code, value in enumerate(self.categories.tolist())}

    @cached_property
    def is_coded(self) -> bool:
        """Whether the values are what stands for them."""
        if self.categories is None:
            return self.threshold is None
        numeric = self.categories.dtype.kind in "iuf"
        return numeric and np.array_equal(self.categories, np.arange(len(self.categories)))

    def decoded(self, codes: np.ndarray) -> np.ndarray:
        """Give the values that numbers stand for."""
        if self.categories is not None:
            return self.categories[codes.astype(np.int64)]
        return codes.astype(self.dtype) if self.family == "bernoulli" else codes

    def encoded(self, values: np.ndarray) -> Tensor:
        """Give the numbers that stand for values ``(N,)``, NaN for what is missing."""
        if values.dtype != object:
            return self.encoded_numbers(arrays.as_tensor(values), 0)
        found = np.full(len(values), np.nan)
        for at, value in enumerate(values):
            if value is None:
                continue
            code = self._code(value) if self.categories is not None else value
            if not isinstance(code, Real):
                self.refuse(value, at, self._wanted)
            found[at] = code
        numbers = arrays.as_tensor(found)
        return numbers if self.categories is not None else self.encoded_numbers(numbers, 0)

    def _code(self, value: object) -> int | None:
        try:
            return self.codes.get(value)
        except TypeError:  # of what has no hash, as lists
            return None

    def encoded_numbers(self, values: Tensor, first: int) -> Tensor:
        """Give the numbers that stand for others, of rows from ``first`` on."""
        found = values.double()
        if self.family == "bernoulli":
            found, allowed = _ones(found, self.threshold)
        elif self.categories is None:
            allowed = ~found.isinf()
        elif self.categories.dtype.kind not in "biuf":
            allowed = torch.zeros_like(found, dtype=torch.bool)
        else:
            # Integers keep all their digits.
            whole = not values.is_floating_point() and self.categories.dtype.kind in "biu"
            own = arrays.as_tensor(self.categories).to(values.device)
            own, values = (part.long() if whole else part.double() for part in (own, values))
            codes = torch.searchsorted(own, values.contiguous()).clamp_max(len(own) - 1)
            allowed = own[codes] == values
            found = torch.where(found.isnan(), found, codes.double())
        wrong = ~(allowed | found.isnan())
        if wrong.any():
            at = int(wrong.int().argmax())
            self.refuse(values[at].item(), first + at, self._wanted)
        return found

    def refuse(self, value: object, row: int, wanted: str) -> None:
        """Raise that a value has no place here."""
        raise WrongValue(
            f"column {self.name!r} holds {value!r} in row {row} (counted from 0); expected {wanted}"
        )

    @property
    def _wanted(self) -> str:
        if self.family == "gaussian" or self.threshold is not None:
            return "finite numbers"
        if self.categories is None:
            return (
                "zeros and ones; binarise it, as by X > 0.5 (`pyvae fit-mixture --binarize 0.5`), "
                "or take another family"
            )
        some = ", ".join(map(repr, self.categories[:_LISTED].tolist()))
        more = ", ..." * (len(self.categories) > _LISTED)
        return f"a category of the fit: {some}{more}. Fit to data that have them all"


@dataclass(frozen=True)
class Layout:
    """The columns of a table, in their order."""

    columns: tuple[Column, ...]

    def of(self, family: str) -> list[int]:
        """Give the numbers of the columns of a family."""
        return [at for at, column in enumerate(self.columns) if column.family == family]

    def blocks(
        self, probability_prior: float, variance_prior: float
    ) -> list[tuple[Block, list[int]]]:
        """Give a block for every family that there is, with the numbers of its columns."""
        found: list[tuple[Block, list[int]]] = []
        if gaussian := self.of("gaussian"):
            names = [self.columns[at].name for at in gaussian]
            found.append((Gaussians(names, variance_prior), gaussian))
        if bernoulli := self.of("bernoulli"):
            found.append((Binary(len(bernoulli), probability_prior), bernoulli))
        if categorical := self.of("categorical"):
            columns = [self.columns[at] for at in categorical]
            sizes = [len(c.categories) for c in columns if c.categories is not None]
            found.append((Categories(sizes, probability_prior), categorical))
        return found

    def encoded(self, given: Given, *, missing: bool) -> tuple[arrays.Source, bool]:
        """Check a table, and give what its rows are read from.

        That is the table itself where its numbers are what stands for its values, or it is a file;
        the second result tells whether it is still to be encoded by :meth:`encode`.

        Raises
        ------
        ValueError
            If a value has no place in its column, or is missing and may not be.
        """
        if isinstance(given, list):
            found = [c.encoded(v) for c, v in zip(self.columns, given, strict=True)]
            matrix = torch.stack(found, 1)
            self._require(matrix, 0, missing=missing)
            return matrix, False
        coded = all(column.is_coded for column in self.columns)
        parts = []
        for at in range(0, len(given), _ROWS):
            part = self.encode(arrays.rows(given, slice(at, at + _ROWS)), at)
            self._require(part, at, missing=missing)
            if not coded and isinstance(given, Tensor):
                parts.append(part)
        return (torch.cat(parts), False) if parts else (given, not coded)

    def encode(self, x: Tensor, first: int = 0) -> Tensor:
        """Give the numbers that stand for those of some rows, ``(n, D)`` in float64."""
        if self._is_binary:
            found, allowed = _ones(x.double(), self.columns[0].threshold)
            wrong = ~(allowed | found.isnan())
            if wrong.any():
                row, column = wrong.nonzero()[0].tolist()
                self.columns[column].encoded_numbers(x[row, column][None], first + row)
            return found
        columns = [
            c.encoded_numbers(values, first) for c, values in zip(self.columns, x.T, strict=True)
        ]
        return torch.stack(columns, 1)

    def _require(self, x: Tensor, first: int, *, missing: bool) -> None:
        """Refuse what is missing, where it may not be."""
        if not missing and x.isnan().any():
            row, column = x.isnan().nonzero()[0].tolist()
            wanted = 'a value; missing_values="marginalize" takes NaN for unobserved'
            self.columns[column].refuse(float("nan"), first + row, wanted)

    @cached_property
    def _is_binary(self) -> bool:
        return all(column.family == "bernoulli" for column in self.columns)


def _ones(x: Tensor, threshold: float | None) -> tuple[Tensor, Tensor]:
    """Give numbers as zeros and ones, and where they have such."""
    if threshold is None:
        return x, (x == 0) | (x == 1)
    return torch.where(x.isnan(), x, (x > threshold).double()), ~x.isinf()


def binary(names: Sequence[Any], threshold: float | None) -> Layout:
    """Give the layout of columns that are all of zeros and ones."""
    return Layout(tuple(Column(name, "bernoulli", threshold=threshold) for name in names))


def categorical(name: Any, categories: np.ndarray) -> Column:
    """Give a column of categories, which are in order."""
    dtype = DTYPES[categories.dtype.kind]
    return Column(name, "categorical", dtype, categories.astype(dtype, copy=False))


def learnt_categories(given: Given, column: int, name: object) -> np.ndarray:
    """Give the values of a column in order, without what is missing.

    Raises
    ------
    ValueError
        If there is none, or they have no order.
    """
    if isinstance(given, list):
        values = given[column]
        if values.dtype == object:
            found = told_categories([value for value in values if value is not None], name)
        else:
            found = np.unique(values)
    else:
        starts = range(0, len(given), _ROWS)
        parts = (arrays.rows(given, slice(at, at + _ROWS))[:, column] for at in starts)
        own = [np.unique(part.cpu().numpy()) for part in parts]
        found = np.unique(np.concatenate(own))
    found = found[~np.isnan(found)] if found.dtype.kind == "f" else found
    if not len(found):
        raise WrongValue(f"column {name!r} holds nothing but what is missing: leave it out")
    return found


def told_categories(values: Iterable[Any], name: object) -> np.ndarray:
    """Give categories in order, each once.

    Raises
    ------
    ValueError
        If there is none, or they have no order.
    """
    values = values.tolist() if isinstance(values, np.ndarray) else values
    try:
        ordered = sorted(set(values))
    except TypeError:
        kinds = ", ".join(sorted({type(value).__name__ for value in values}))
        raise WrongValue(
            f"column {name!r} holds values of {kinds}, which have no order among them: make texts "
            "of all"
        ) from None
    if len({isinstance(value, bool | np.bool_) for value in ordered}) == 1:
        kind = np.asarray(ordered).dtype
        if kind.kind in "bif":
            return np.asarray(ordered, dtype=DTYPES[kind.kind])
    found = np.empty(len(ordered), dtype=object)
    found[:] = ordered
    return found


def chosen(given: Given, column: int, name: object, family: str | None) -> Column:
    """Give a column of a family, or of the one that its values are of."""
    values = given[column] if isinstance(given, list) else None
    kind = "O" if values is not None and values.dtype == object else "f"
    if family is None:
        family = "categorical" if kind == "O" else "gaussian"
        family = "bernoulli" if kind != "O" and _is_binary(given, column) else family
    if family == "categorical":
        return categorical(name, learnt_categories(given, column, name))
    if family == "bernoulli" and values is not None:
        return Column(name, family, DTYPES[values.dtype.kind])
    return Column(name, family)


def _is_binary(given: Given, column: int) -> bool:
    """Tell whether all numbers of a column are 0 or 1."""
    if isinstance(given, list):
        values = given[column]
        return bool(((values == 0) | (values == 1) | (values != values)).all())
    for at in range(0, len(given), _ROWS):
        part = arrays.rows(given, slice(at, at + _ROWS))[:, column].double()
        if not ((part == 0) | (part == 1) | part.isnan()).all():
            return False
    return True
