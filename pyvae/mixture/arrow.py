# SPDX-License-Identifier: MIT
"""Tables of Apache Arrow, in memory or in Parquet and Arrow files, as batches of rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from pyvae.errors import WrongValue


def is_arrow(X: Any) -> bool:
    """Tell whether these are pyarrow's: a table, a file, a dataset, a scanner, a reader."""
    return type(X).__module__.partition(".")[0] == "pyarrow" and _schema(X) is not None


def record_batches(X: Any) -> tuple[Iterable[np.ndarray], list[str] | None]:
    """Give the rows of such as matrices, and the names of their columns.

    A column of lists of one length, as embeddings are kept, is as many columns. Null is NaN.

    Raises
    ------
    ValueError
        If a column holds no numbers.
    """
    import pyarrow as pa

    schema = _schema(X)
    names: list[str] = []
    for field in schema:
        vector = pa.types.is_fixed_size_list(field.type)
        held = field.type.value_type if vector else field.type
        if not any(
            is_kind(held)
            for is_kind in (
                pa.types.is_floating, pa.types.is_integer, pa.types.is_boolean, pa.types.is_decimal,
            )
        ):  # fmt: skip
            raise WrongValue(
                f"column {field.name!r} of X holds {field.type}; expected numbers: leave it out, "
                "by X.select(names) of a table or scanner(columns=names) of a dataset"
            )
        many = [f"{field.name}_{i}" for i in range(field.type.list_size)] if vector else []
        names += many if vector else [field.name]
    if isinstance(X, pa.RecordBatchReader):
        return (_matrix(batch) for batch in X), names
    return _Batches(X), names


class _Batches:
    """Batches of a table or file, which can be read again."""

    def __init__(self, X: Any) -> None:
        self._X = X

    def __iter__(self) -> Iterator[np.ndarray]:
        if hasattr(self._X, "iter_batches"):
            batches = self._X.iter_batches()
        elif hasattr(self._X, "to_batches"):
            batches = self._X.to_batches()
        else:
            batches = [self._X]
        return (_matrix(batch) for batch in batches)


def _schema(X: Any) -> Any:
    for name in ("projected_schema", "schema_arrow", "schema"):
        if hasattr(X, name):
            return getattr(X, name)
    return None


def _matrix(batch: Any) -> np.ndarray:
    """Give a record batch as a matrix, in float32 where all columns are, else in float64."""
    import pyarrow as pa

    types = [field.type for field in batch.schema]
    held = [t.value_type if pa.types.is_fixed_size_list(t) else t for t in types]
    single = all(pa.types.is_float32(t) or pa.types.is_float16(t) for t in held)
    number = pa.float32() if single else pa.float64()
    columns = []
    for column in batch.columns:
        if pa.types.is_fixed_size_list(column.type):
            if column.null_count:
                raise WrongValue("a row of a column of lists is null; expected a list in each")
            values, width = column.flatten(), column.type.list_size
        else:
            values, width = column, 1
        array = values.cast(number, safe=False).to_numpy(zero_copy_only=False)
        columns.append(array.reshape(len(batch), width))
    return np.concatenate(columns, 1) if columns else np.empty((len(batch), 0))
