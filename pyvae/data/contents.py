# SPDX-License-Identifier: MIT
"""What a reader finds in a source, before it becomes data."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from pyvae.data.labels import Labels, joined
from pyvae.errors import WrongValue

# Of every feature the names of what its numbers count, where it holds text; None elsewhere.
Categories = tuple[tuple[str, ...] | None, ...]


class Contents(NamedTuple):
    """Features ``(N, ...)`` as they are stored, and what goes with them."""

    stored: np.ndarray
    labels: Labels | None = None
    columns: tuple[str, ...] | None = None
    label_name: str | None = None
    notes: tuple[str, ...] = ()
    scale: float | None = None  # that of the type, where a reader knows no better
    chosen: bool = False  # whether the columns are those that the caller told
    categories: Categories | None = None


def unsplit(where: str | Path) -> WrongValue:
    """Say that a source has no part for tests."""
    return WrongValue(
        f"{where}: is not split into parts; load it with --split train (in Python split='train')"
    )


def join(path: Path, parts: Sequence[Contents]) -> Contents:
    """Put the parts of a data set one after the other; labels only where all parts have them."""
    if len(parts) == 1:
        return parts[0]
    shapes = [part.stored.shape[1:] for part in parts]
    if len(set(shapes)) > 1:
        raise WrongValue(
            f"{path}: the parts' examples have different shapes, "
            f"{' and '.join(map(str, shapes))}; load one split, as --split train"
        )
    labels = [part.labels for part in parts if part.labels is not None]
    notes = tuple(dict.fromkeys(note for part in parts for note in part.notes))
    return parts[0]._replace(
        stored=np.concatenate([part.stored for part in parts]),
        labels=joined(labels) if len(labels) == len(parts) else None,
        notes=notes,
    )
