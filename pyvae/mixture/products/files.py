# SPDX-License-Identifier: MIT
"""A fitted mixture of products in a file of safetensors: its arrays, and in the header the rest.

As :mod:`pyvae.mixture.files`: nothing in it is executed, and what it says is compared with its form
before a number is read.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pyvae.errors import WrongValue
from pyvae.mixture.file_layout import plain, require_file, require_format
from pyvae.mixture.products.layout import DTYPES, FAMILIES, Column, Layout
from pyvae.mixture.products.product import Product, ProductParameters
from pyvae.mixture.products.reading import LIBRARIES
from pyvae.mixture.products.start import METHODS
from pyvae.storage import form, tensors
from pyvae.storage.form import Exactly, Fields, Form, Integer, Maybe, Place, Rows, Text, Truth
from pyvae.storage.reading import parsed_json
from pyvae.storage.writing import write_atomically

_FORMAT, _VERSION = "pyvae.mixture.products", 1
_MOST_COLUMNS = 1 << 24
# Of the constructor; where a fit starts and who takes part in it are its own affair.
SETTINGS: dict[str, Form] = {
    "tol": form.Real(0.0),
    "max_iter": Integer(0),
    "n_init": Integer(1),
    "init_params": Text(METHODS),
    "weight_prior": form.Real(1.0),
    "probability_prior": form.Real(1.0),
    "random_state": Maybe(Integer(0)),
    "warm_start": Truth(),
    "missing_values": Text(("refuse", "marginalize")),
}
_FACTS: dict[str, Form] = {
    "converged_": Truth(),
    "n_iter_": Integer(0),
    "lower_bound_": form.Real(finite=False),
    "lower_bounds_": Rows(lambda _: form.Real(finite=False)),
    "n_samples_seen_": form.Real(0.0),
}
_CATEGORIES: dict[str, Form] = {
    "bool": Truth(),
    "int64": Integer(most=2**63 - 1),
    "float64": form.Real(),
    "object": Text(),
}


@dataclass(frozen=True)
class _Name(Form):
    """A name of a column, or its number."""

    def taken(self, found: Any, place: Place) -> Any:
        return found if type(found) is str else Integer(0, _MOST_COLUMNS).taken(found, place)


_COLUMN = Fields(
    {
        "name": _Name(),
        "family": Text(FAMILIES),
        "dtype": Text(tuple(dict.fromkeys(DTYPES.values()))),
        "categories": Maybe(Rows(lambda _: form.Plain())),
    }
)


@dataclass(frozen=True)
class Stored:
    """What a file holds."""

    path: Path
    settings: dict[str, Any]
    facts: dict[str, Any]
    layout: Layout
    named: bool
    frame: str | None
    found: Mapping[str, Tensor]

    @property
    def weights(self) -> Tensor:
        """``(K,)``."""
        return self.found["weights"]

    def parameters(self, product: Product) -> ProductParameters:
        """Give the parameters of the mixture."""
        shapes = [block.shapes(len(self.weights)) for block, _ in product.blocks]
        blocks = tuple(tuple(self.found[name] for name in names) for names in shapes)
        return ProductParameters(self.weights, blocks)


def save(
    estimator: Any, p: ProductParameters, layout: Layout, settings: Mapping[str, Form], path: Path
) -> None:
    """Write a fitted estimator."""
    held = vars(estimator)
    said = {
        "format": _FORMAT,
        "version": _VERSION,
        "class": type(estimator).__name__,
        "settings": {name: plain(getattr(estimator, name)) for name in settings},
        "facts": {name: plain(held[name]) for name in _FACTS if name in held},
        "columns": described(layout),
        "named": "feature_names_in_" in held,
        "frame": held.get("frame_"),
    }
    named = {"weights": p.weights}
    for (block, _), own in zip(layout.blocks(1.0, 0.0), p.blocks, strict=True):
        named |= dict(zip(block.shapes(len(p.weights)), own, strict=True))
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, tensors.content(tensors.plain(named), json.dumps(said)))


def described(layout: Layout) -> list[dict[str, Any]]:
    """Say of columns what JSON can.

    Raises
    ------
    ValueError
        If categories are no texts, numbers or truth values.
    """
    return [
        {
            "name": column.name,
            "family": column.family,
            "dtype": column.dtype,
            "categories": _categories(column),
        }
        for column in layout.columns
    ]


def load(name: str, settings: Mapping[str, Form], path: Path) -> Stored:
    """Give what was written of an estimator of a class.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is none, or the file is damaged or holds something else.
    """
    require_file(path, f"{name}.save")
    expected = Fields(
        {
            "format": Exactly(_FORMAT),
            "version": Exactly(_VERSION),
            "class": Exactly(name),
            "settings": Fields(settings),
            "facts": Fields(optional=_FACTS),
            "columns": Rows(lambda _: _COLUMN),
            "named": Truth(),
            "frame": Maybe(Text(LIBRARIES)),
        }
    )
    with tensors.opened(path) as file:
        header, declared = tensors.header(path, file, f"{name}.save"), tensors.declared(file)
        parsed = parsed_json(header["config"], path)
        require_format(path, parsed, _FORMAT)
        said = expected.taken(parsed, Place(path))
        layout = _layout(path, said["columns"])
        _check(path, layout, declared)
        found = tensors.read(path, file, header["sha256"], declared)
    return Stored(
        path, said["settings"], said["facts"], layout, said["named"], said["frame"], found
    )


def _layout(path: Path, columns: list[dict[str, Any]]) -> Layout:
    if not columns or len({column["name"] for column in columns}) != len(columns):
        raise WrongValue(f"{path}: columns must be some, each of a name of its own")
    found = []
    for at, column in enumerate(columns):
        values, place = column["categories"], Place(path, ("columns", str(at), "categories"))
        if (values is None) == (column["family"] == "categorical"):
            place.refuse(values, "categories of a categorical column, and of no other")
        if values is not None:
            kind = _CATEGORIES[column["dtype"]]
            values = Rows(lambda _, kind=kind: kind).taken(values, place)
            if not values or any(b <= a for a, b in pairwise(values)):
                place.refuse(values, "one category or more, in order")
            values = np.array(values, dtype=column["dtype"])
        found.append(Column(column["name"], column["family"], column["dtype"], values))
    return Layout(tuple(found))


def _check(path: Path, layout: Layout, declared: dict[str, tensors.Declared]) -> None:
    """Refuse arrays that are not of such columns, by what is declared of them."""
    weights = declared["weights"].shape if "weights" in declared else ()
    if len(weights) != 1 or not weights[0]:
        raise WrongValue(f"{path}: weights has shape {weights}; expected (K,)")
    shapes: dict[str, tuple[int, ...]] = {"weights": weights}
    for block, _ in layout.blocks(1.0, 0.0):
        shapes |= block.shapes(weights[0])
    expected = {n: torch.empty(s, dtype=torch.float64, device="meta") for n, s in shapes.items()}
    reason = tensors.unlike(expected, declared, lambda _, wanted: (wanted.dtype,))
    if reason is not None:
        raise WrongValue(f"{path} holds no mixture of these columns: {reason}")


def _categories(column: Column) -> list[Any] | None:
    if column.categories is None:
        return None
    values = column.categories.tolist()
    if column.categories.dtype == object and not all(isinstance(value, str) for value in values):
        raise WrongValue(
            f"column {column.name!r} has categories that are no texts, numbers or truth values; "
            "only these have a place in a file"
        )
    return values
