# SPDX-License-Identifier: MIT
"""What an estimator of tables is given: a matrix of numbers, or columns of whatever they hold."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any, TypeAlias

import numpy as np
from sklearn.utils.validation import validate_data
from torch import Tensor

from pyvae.errors import WrongValue
from pyvae.mixture import arrays
from pyvae.mixture.arrays import Array, Required, Source
from pyvae.mixture.streams import Stream, opened

LIBRARIES = ("pandas", "polars")
# Columns are arrays of numbers or truth values, where NaN is what is missing, or of objects, where
# None is.
Given: TypeAlias = Source | list[np.ndarray]


def library(X: Array) -> str | None:
    """Name the library that a frame is of; None, of what is no frame."""
    name = type(X).__module__.partition(".")[0]
    return name if name in LIBRARIES and type(X).__name__ == "DataFrame" else None


def frame(name: str, columns: Mapping[Any, np.ndarray], like: Array | None = None) -> Any:
    """Give a frame of a library, with the labels of another where that has some."""
    found = importlib.import_module(name).DataFrame(dict(columns))
    if like is not None and name == "pandas":
        found.index, found.columns = like.index, like.columns
    return found


def read(
    estimator: Any, X: Array, *, fits: bool, least: int, allow_nan: bool, labels: bool
) -> Given:
    """Check points; those of a new fit say how many columns an estimator has, and their names.

    ``labels`` tells whether columns may hold something else than numbers. What is missing in a
    frame, a tensor or a file is left to who knows the columns.

    Raises
    ------
    ValueError
        If they are no table, are too few, or have other columns than those of the fit.
    """
    X = opened(X)
    if isinstance(X, Stream) and not fits:
        X.keep_order("what is said of each point")
    if isinstance(X, Tensor | Stream) or (isinstance(X, np.memmap) and X.dtype.kind in "biuf"):
        return _matrix(estimator, X, fits=fits, least=least)
    table: Any = X
    if library(X) is not None:
        if len(set(table.columns)) < table.shape[1]:
            raise WrongValue("X has columns of the same name; give each a name of its own")
        validate_data(estimator, table, reset=fits, skip_check_array=True)
        arrays.require_size(X, Required(type(estimator).__name__, least, True, None))
        return [
            _column(series, str(name))
            for name, series in zip(table.columns, _series(X), strict=True)
        ]
    checked: Any = validate_data(
        estimator,
        table,
        reset=fits,
        dtype=None if labels else "numeric",
        ensure_all_finite="allow-nan" if allow_nan else True,
        ensure_min_samples=least,
    )
    if checked.dtype.kind in "biuf":
        return arrays.as_tensor(checked.astype(_torchs(checked.dtype), copy=False))
    return [_column(checked[:, at], str(at)) for at in range(checked.shape[1])]


def names(estimator: Any) -> list[Any]:
    """Give the names of the columns of the fit, or their numbers."""
    found = vars(estimator).get("feature_names_in_")
    return list(range(estimator.n_features_in_)) if found is None else [str(n) for n in found]


def _matrix(estimator: Any, X: Source, *, fits: bool, least: int) -> Source:
    dimension = None if fits else estimator.n_features_in_
    if len(X.shape) != 2:
        raise WrongValue(f"X has shape {tuple(X.shape)}; expected points (N, D)")
    if isinstance(X, Tensor) and X.is_complex():
        raise WrongValue(f"X is of {X.dtype}; expected real numbers")
    arrays.require_size(X, Required(type(estimator).__name__, least, True, dimension))
    if fits:
        estimator.n_features_in_ = X.shape[1]
        vars(estimator).pop("feature_names_in_", None)  # of an earlier fit
    return X.detach() if isinstance(X, Tensor) else X


def _series(X: Any) -> Sequence[Any]:
    if library(X) == "polars":
        return X.get_columns()
    return [X.iloc[:, at] for at in range(X.shape[1])]


def _column(series: Any, name: str) -> np.ndarray:
    """Give a column as an array of numbers, of truth values, or of objects."""
    labels = str(getattr(series, "dtype", "")).startswith(("category", "Categorical", "Enum"))
    values = series.to_numpy() if hasattr(series, "to_numpy") else np.asarray(series)
    if values.dtype.kind in "mMcV":
        raise WrongValue(
            f"column {name!r} is of {values.dtype}; expected numbers, truth values or labels: make "
            "numbers of it, or leave it out"
        )
    if values.dtype.kind in "biuf" and not labels:
        return values.astype(_torchs(values.dtype), copy=False)
    return _objects(values.astype(object), labels=labels)


def _objects(values: np.ndarray, *, labels: bool) -> np.ndarray:
    absent = np.fromiter((_is_absent(value) for value in values), dtype=bool, count=len(values))
    rest = values[~absent]
    types = (bool, np.bool_)
    truths = all(isinstance(value, types) for value in rest)
    numbers = all(isinstance(value, Real) and not isinstance(value, types) for value in rest)
    if len(rest) and not labels and (truths or numbers):
        if truths and not absent.any():
            return values.astype(bool)
        found = np.full(len(values), np.nan)
        found[~absent] = rest.astype(np.float64)
        return found
    found = values.copy()
    found[absent] = None
    return found


def _is_absent(value: object) -> bool:
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(value, float | np.floating) and bool(value != value)


def _torchs(dtype: np.dtype) -> np.dtype:
    """Give a dtype that torch has all it needs for, and that holds the same numbers."""
    if dtype.kind == "u" and dtype.itemsize > 1:
        return np.dtype(np.int64)
    return (
        np.dtype(np.float64)
        if dtype.kind == "f" and dtype.itemsize > 8
        else dtype.newbyteorder("=")
    )
