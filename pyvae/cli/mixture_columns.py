# SPDX-License-Identifier: MIT
"""Points as families of mixtures take them, and what a fitted one knows of its columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from pyvae.cli.errors import UserError

if TYPE_CHECKING:
    from pyvae.data import Data

_LISTED = 5  # categories in a message


class Column(NamedTuple):
    """A column of a mixture whose columns are independent, in every component.

    Attributes
    ----------
    family
        ``"gaussian"``, ``"bernoulli"`` or ``"categorical"``.
    values
        Means, or probabilities of a one, ``(K,)``; probabilities of categories, ``(K, C)``.
    categories
        Of a categorical one.
    """

    family: str
    values: np.ndarray
    categories: np.ndarray | None = None


def points_of(data: Data, rows: slice = slice(None), *, any_type: bool = False) -> np.ndarray:
    """Give points as a fit takes them: of a mapped file as they are, to be read by parts.

    ``any_type`` is of what takes numbers of any type, and text where data have some.
    """
    if data.categories is not None:
        return _with_texts(data, rows)
    stored = data.stored
    plain = data.scale == 1.0 and stored.ndim == 2
    taken = any_type and stored.dtype.kind in "biuf"
    if isinstance(stored, np.memmap) and plain and (taken or stored.dtype in (np.float32, "f8")):
        return stored[rows]
    return (data.x if rows == slice(None) else data.rows(rows)).numpy()


def columns_of(mixture: Any) -> list[Column]:
    """Give the columns of a fitted mixture that has such."""
    if not hasattr(mixture, "categories_"):
        return [Column("bernoulli", values) for values in mixture.probabilities_.T]
    if isinstance(mixture.categories_, list):
        pairs = zip(mixture.probabilities_, mixture.categories_, strict=True)
        return [Column("categorical", values, categories) for values, categories in pairs]
    means = iter(mixture.means_.T)
    return [
        Column(family, next(means) if family == "gaussian" else mixture.probabilities_[name],
               mixture.categories_.get(name))
        for name, family in mixture.columns_.items()
    ]  # fmt: skip


def texts_of(columns: Sequence[Column]) -> dict[int, tuple[str, ...]]:
    """Give the categories of the columns that were text in the fit, by their numbers."""
    return {
        at: tuple(column.categories.tolist())
        for at, column in enumerate(columns)
        if column.categories is not None and column.categories.dtype == object
    }


def require_categories(data: Data, texts: dict[int, tuple[str, ...]]) -> None:
    """Refuse text that a mixture has no category for.

    Raises
    ------
    UserError
        With the column, what it holds, and what was expected.
    """
    for at, names in enumerate(data.categories or ()):
        new = sorted(set(names or ()) - set(texts.get(at, ())))
        if not new:
            continue
        wanted = "numbers, as in the fit"
        if at in texts:
            some = ", ".join(map(repr, texts[at][:_LISTED])) + ", ..." * (len(texts[at]) > _LISTED)
            wanted = f"a category of the fit: {some}. Fit to data that have them all"
        raise UserError(
            f"{data.name}: column {name_of(data.columns, at)} holds {new[0][:80]!r}; expected "
            f"{wanted}"
        )


def name_of(names: Sequence[str] | None, at: int) -> str:
    """Give a column's name, or its number from 1."""
    return str(at + 1) if names is None else names[at]


def _with_texts(data: Data, rows: slice) -> np.ndarray:
    """Give numbers and texts, ``(n, D)``, None for what is missing of the latter."""
    assert data.categories is not None
    x = data.rows(rows).numpy()
    found = np.empty(x.shape, dtype=object)
    for at, names in enumerate(data.categories):
        if names is None:
            found[:, at] = x[:, at].tolist()
            continue
        kept = np.array([*names, None], dtype=object)
        found[:, at] = kept[np.where(np.isnan(x[:, at]), len(names), x[:, at]).astype(np.int64)]
    return found
