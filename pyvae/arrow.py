# SPDX-License-Identifier: MIT
"""Columns of Apache Arrow as matrices: what pyarrow has in memory, in files and in datasets."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from pyvae.errors import WrongValue


def is_arrow(X: Any) -> bool:
    """Tell whether these are pyarrow's: a table, a file, a dataset, a scanner, a reader."""
    return type(X).__module__.partition(".")[0] == "pyarrow" and schema_of(X) is not None


def schema_of(X: Any) -> Any:
    """Give the names and types of columns, None of what has none."""
    for name in ("projected_schema", "schema_arrow", "schema"):
        if hasattr(X, name):
            return getattr(X, name)
    return None


def is_numeric(kind: Any) -> bool:
    """Tell whether a column of this type is numbers, or lists of them, all of one length."""
    import pyarrow as pa

    kind = kind.value_type if pa.types.is_fixed_size_list(kind) else kind
    types = pa.types
    return any(
        holds(kind)
        for holds in (types.is_floating, types.is_integer, types.is_boolean, types.is_decimal)
    )


def is_text(kind: Any) -> bool:
    """Tell whether a column of this type is text, or a dictionary of such."""
    import pyarrow as pa

    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    return pa.types.is_string(kind) or pa.types.is_large_string(kind)


def names_of(schema: Any) -> list[str]:
    """Give the names of the matrix' columns: of one of lists, its own with a number behind it."""
    import pyarrow as pa

    names: list[str] = []
    for field in schema:
        vector = pa.types.is_fixed_size_list(field.type)
        many = [f"{field.name}_{i}" for i in range(field.type.list_size)] if vector else []
        names += many if vector else [field.name]
    return names


def record_batches(X: Any) -> tuple[Iterable[np.ndarray], list[str]]:
    """Give the rows of such as matrices, and the names of their columns.

    Raises
    ------
    ValueError
        If a column holds no numbers.
    """
    import pyarrow as pa

    schema = schema_of(X)
    for field in schema:
        if not is_numeric(field.type):
            raise WrongValue(
                f"column {field.name!r} of X holds {field.type}; expected numbers: leave it out, "
                "by X.select(names) of a table or scanner(columns=names) of a dataset"
            )
    single = all(pa.types.is_float32(kind) or pa.types.is_float16(kind) for kind in _held(schema))
    dtype = np.dtype(np.float32 if single else np.float64)
    if isinstance(X, pa.RecordBatchReader):
        return (matrix(batch, dtype) for batch in X), names_of(schema)
    return _Batches(X, dtype), names_of(schema)


class _Batches:
    """Batches of a table or file, which can be read again."""

    def __init__(self, X: Any, dtype: np.dtype) -> None:
        self._X, self._dtype = X, dtype

    def __iter__(self) -> Iterator[np.ndarray]:
        if hasattr(self._X, "iter_batches"):
            batches = self._X.iter_batches()
        elif hasattr(self._X, "to_batches"):
            batches = self._X.to_batches()
        else:
            batches = [self._X]
        return (matrix(batch, self._dtype) for batch in batches)


def matrix(batch: Any, dtype: np.dtype, *, exact: bool = False) -> np.ndarray:
    """Give the numbers of a record batch, one row each; null is NaN.

    Raises
    ------
    ValueError
        If a list is null, or, where they are to be ``exact``, an integer has more digits than the
        dtype.
    """
    import pyarrow as pa

    columns = [np.empty((len(batch), 0), dtype)]
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        values, width = column, 1
        if pa.types.is_fixed_size_list(column.type):
            if column.null_count:
                raise WrongValue(f"a list of column {name!r} is null; expected one in each row")
            values, width = column.flatten(), column.type.list_size
        try:
            values = values.cast(pa.from_numpy_dtype(dtype), safe=exact)
        except pa.ArrowInvalid as error:
            raise WrongValue(f"column {name!r}: {error}") from error
        columns.append(values.to_numpy(zero_copy_only=False).reshape(len(batch), width))
    return np.concatenate(columns, 1)


def single_holds(schema: Any) -> bool:
    """Tell whether float32 holds every number of these types."""
    import pyarrow as pa

    types = pa.types
    small = (
        types.is_float32, types.is_float16, types.is_boolean,
        types.is_int8, types.is_int16, types.is_uint8, types.is_uint16,
    )  # fmt: skip
    return all(any(holds(kind) for holds in small) for kind in _held(schema))


def _held(schema: Any) -> list[Any]:
    import pyarrow as pa

    types = [field.type for field in schema]
    return [kind.value_type if pa.types.is_fixed_size_list(kind) else kind for kind in types]
