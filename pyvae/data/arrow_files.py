# SPDX-License-Identifier: MIT
"""Parquet and Arrow files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from pyvae import arrow
from pyvae.data import labels as labelling
from pyvae.data.columns import choose, text_features
from pyvae.data.contents import Contents
from pyvae.data.reading import Reading
from pyvae.data.texts import any_of, coded, written
from pyvae.errors import WrongValue

PARQUET, ARROW = (".parquet", ".pq"), (".arrow", ".feather")
# Encodings pack runs of one number into next to nothing; numbers that say something, into less.
_MOST_PACKED = 1 << 14


def read_arrow(path: Path, reading: Reading) -> Contents:
    """Read the columns of a file that are features, and the one of labels.

    A column of lists of one length is as many features; null is missing. Text is categories where
    it may be.

    Raises
    ------
    ValueError
        If pyarrow is not installed, the file is damaged, a feature is no number, or an integer
        would be rounded.
    """
    with _opened(path) as (schema, read):
        names = list(schema.names)
        features, label, notes = choose(str(path), names, len(names), reading)
        told = text_features(str(path), names, len(names), features, reading)
        texts = [
            i for at, i in enumerate(features)
            if at in told or (reading.keeps_text and arrow.is_text(schema.field(i).type))
        ]  # fmt: skip
        for i in features:
            if i not in texts and not arrow.is_numeric(schema.field(i).type):
                raise WrongValue(
                    f"{path}: column {names[i]!r} holds {schema.field(i).type}; expected numbers: "
                    f"{reading.ways_out(names[i])}"
                )
        table = read()
        table.validate(full=True)
        found = _features(path, table, features, texts)._replace(notes=notes)
        if label is None:
            return found
        called = f"column {names[label]!r}"
        cells = ["" if cell is None else str(cell) for cell in table.column(label).to_pylist()]
        labels = labelling.from_texts(f"{path}: {called}", cells)
    return found._replace(labels=labels, label_name=called)


def _features(path: Path, table: Any, features: Sequence[int], texts: Sequence[int]) -> Contents:
    """Give features in their order, those of text as numbers of categories."""
    numeric = table.select([i for i in features if i not in texts])
    dtype = np.dtype(np.float32 if arrow.single_holds(numeric.schema) else np.float64)
    parts, columns, categories = [], [], []
    for run, own in groupby(features, lambda i: i in texts):
        if run:
            for i in own:
                codes, names = coded(written(table.column(i).to_pylist()))
                parts.append(codes.astype(dtype)[:, None])
                columns.append(table.schema.names[i])
                categories.append(names)
            continue
        some = table.select(list(own))
        try:
            rows = [arrow.matrix(batch, dtype, exact=True) for batch in some.to_batches()]
        except WrongValue as error:
            raise WrongValue(f"{path}: {error}") from error
        called = arrow.names_of(some.schema)
        parts.append(np.concatenate([np.empty((0, len(called)), dtype), *rows]))
        columns += called
        categories += [None] * len(called)
    stored = parts[0] if len(parts) == 1 else np.concatenate(parts, 1)
    return Contents(stored, columns=tuple(columns), chosen=True, categories=any_of(categories))


@contextmanager
def _opened(path: Path) -> Iterator[tuple[Any, Any]]:
    """Open a file; gives its schema, and what reads all of it."""
    try:
        import pyarrow as pa
        import pyarrow.ipc
        import pyarrow.parquet
    except ImportError as error:
        raise WrongValue(
            f"{path}: {path.suffix} files are read by pyarrow, which is not installed: "
            "pip install 'pyvae[arrow]'"
        ) from error
    try:
        if path.suffix.lower() in PARQUET:
            with pyarrow.parquet.ParquetFile(path) as file:
                _require_size(path, file.metadata.num_rows * file.metadata.num_columns)
                yield file.schema_arrow, file.read
        else:
            with pa.memory_map(str(path)) as source, pyarrow.ipc.open_file(source) as file:
                yield file.schema, file.read_all
    except (pa.ArrowException, OSError, MemoryError) as error:
        reason = " ".join(str(error).split())[:200]
        raise WrongValue(f"{path}: damaged {path.suffix} file ({reason})") from error


def _require_size(path: Path, numbers: int) -> None:
    if numbers > _MOST_PACKED * path.stat().st_size:
        raise WrongValue(
            f"{path}: says that it holds {numbers} numbers in {path.stat().st_size} bytes; it is "
            "damaged, or all of its columns say the same in every row"
        )
