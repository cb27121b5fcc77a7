# SPDX-License-Identifier: MIT
"""The components of a fitted mixture, for the terminal."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from pyvae.cli.mixture_columns import Column, columns_of, name_of
from pyvae.cli.terminal import say, show, table
from pyvae.data.texts import written

if TYPE_CHECKING:
    from rich.console import Console

    from pyvae.cli.mixture_options import Options
    from pyvae.data import Data

_LISTED = 30  # components of the table
_COLUMNS = 6  # features of it
_DESCRIBED = 20  # columns whose families are told
# What the table says of a feature, as a heading and in words.
_SHOWN = {
    "gaussian": ("mean", "of numbers the mean"),
    "bernoulli": ("P(1)", "of zeros and ones the probability of a one"),
    "categorical": ("mode", "of categories the most probable"),
}


def show_components(
    console: Console,
    options: Options,
    mixture: Any,
    components: np.ndarray,
    names: tuple[str, ...] | None,
    classes: tuple[str, ...] | None,
    log_likelihood: float,
) -> None:
    """Print a title, and a line a component, the heaviest first."""
    k, counts = len(mixture.weights_), np.bincount(components[components >= 0])
    counts = np.pad(counts, (0, k - len(counts)))
    family = options.of
    words = [family.words] * (options.family != "gaussian")
    words += [mixture.covariance_type] if family.has_covariances else []
    say(
        console,
        f"{k} component{'s' * (k != 1)}, {', '.join(words)}: {log_likelihood:.4f} nats a point "
        f"after {mixture.n_iter_} iterations",
    )
    columns: dict[str, list[str]] = {
        "weight": [f"{weight:.4f}" for weight in mixture.weights_],
        "points": [f"{count:,}" for count in counts],
    }
    if classes is not None:
        named = [*classes, *[""] * (k - len(classes))]
        columns = {"class": named, **columns}
    if "degrees_of_freedom" in family.takes:
        columns["d.f."] = [f"{value:.3g}" for value in mixture.degrees_of_freedom_]
    features = _means(mixture) if family.has_covariances else columns_of(mixture)
    _show_table(console, mixture, columns, features, names, int((components < 0).sum()))
    if k > _LISTED:
        say(console, f"and {k - _LISTED} lighter ones")
    if not family.has_covariances and names is not None:
        seen = [
            words for kind, (_, words) in _SHOWN.items() if kind in {f.family for f in features}
        ]
        say(console, f"under a column's name: {', '.join(seen)}")


def _show_table(
    console: Console,
    mixture: Any,
    columns: dict[str, list[str]],
    features: list[Column],
    names: tuple[str, ...] | None,
    noise: int,
) -> None:
    # Of named features as many as a line has room for, which no number is broken in.
    room = (console.width - 10 - 13 * len(columns)) // 13
    shown = _COLUMNS if names is None else max(1, min(_COLUMNS, room))
    typical = [_typical(feature) for feature in features[:shown]]
    dots = ["..."] * (len(features) > shown)
    kinds = dict.fromkeys(feature.family for feature in features[:shown])
    heads = ["/".join(_SHOWN[kind][0] for kind in kinds)]
    if names is not None:
        heads = [*names[:shown], *[""] * len(dots)]
    words = {"class", *(n for n, f in zip(heads, features, strict=False) if f.family[0] == "c")}
    words |= set(heads) if names is None else set()
    numbers = ("component", *(name for name in (*columns, *heads) if name not in words))
    grid = table(console, "", "component", *columns, *heads, numbers=numbers)
    for k in np.argsort(-mixture.weights_, kind="stable")[:_LISTED]:
        place = [column[k] for column in typical] + dots
        place = [", ".join(place)] if names is None else place
        grid.add_row(str(k), *(column[k] for column in columns.values()), *place)
    if hasattr(mixture, "noise_weight_"):
        told = {"weight": f"{mixture.noise_weight_:.4f}", "points": f"{noise:,}"}
        grid.add_row("noise", *(told.get(name, "") for name in columns), *[""] * len(heads))
    show(console, grid)


def say_columns(console: Console, mixture: Any, data: Data) -> None:
    """Say what a table's columns were taken for; of a text that no two rows share, that too."""
    found = columns_of(mixture)
    told = []
    for at, column in enumerate(found[:_DESCRIBED]):
        count = "" if column.categories is None else f" ({len(column.categories)})"
        told.append(f"{name_of(data.columns, at)} {column.family}{count}")
    more = ", ..." * (len(found) > _DESCRIBED)
    say(console, f"columns {', '.join(told)}{more}")
    for at, column in enumerate(found):
        if column.categories is not None and len(column.categories) == len(data) > 2:
            name = name_of(data.columns, at)
            say(
                console,
                f"note   column {name} has another text in every row; --drop {name} leaves it out",
            )


def _means(mixture: Any) -> list[Column]:
    return [Column("gaussian", values) for values in mixture.means_.T]


def _typical(feature: Column) -> list[str]:
    if feature.family == "bernoulli":
        return [f"{value:.3f}" for value in feature.values]
    if feature.categories is None:
        return _written(feature.values)
    return written(feature.categories[feature.values.argmax(1)].tolist())


def _written(values: np.ndarray) -> list[str]:
    """Write numbers with three digits, or with as many as tell them apart."""
    apart = np.diff(np.unique(values))
    least, size = float(apart.min(initial=np.inf)), float(np.abs(values).max())
    if least >= 1e-3 * size or size >= 1e15:
        return [f"{value:.3g}" for value in values]
    decimals = min(15, max(0, 1 - math.floor(math.log10(least))))
    return [f"{value:.{decimals}f}" for value in values]
