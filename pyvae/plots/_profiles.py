# SPDX-License-Identifier: MIT
"""Components of a mixture whose columns are independent: a row each, column by column."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from pyvae.errors import WrongValue

from ._examples import row_name
from ._features import features_of
from ._tables import color_scale, heat, limits_of, name_columns
from .style import TICK, dress, new_figure

_STANDARD = "standardised mean"
_LISTED = 50  # components that have room for their names


def component_profiles(
    weights: NDArray,
    *,
    means: NDArray | None = None,
    mean_names: Sequence[str] | None = None,
    probabilities: NDArray | None = None,
    probability_names: Sequence[str] | None = None,
) -> Figure:
    """Draw what tells the components of a mixture apart, of which each is a row.

    Parameters
    ----------
    weights
        (K,).
    means
        (K, G): of columns of numbers, in standard deviations of all data from their mean.
    probabilities
        (K, P): of columns with a few values each, of the values that are to be shown.
    mean_names, probability_names
        Of the G columns, and of the P values; their numbers if left out.

    Returns
    -------
    The figure; it belongs to no pyplot state.

    Raises
    ------
    ValueError
        If there is nothing to draw, or names are not as many as what they name.
    """
    given = [
        (np.asarray(part, dtype=float), names, unit)
        for part, names, unit in (
            (means, mean_names, _STANDARD), (probabilities, probability_names, "probability"),
        )
        if part is not None and np.size(part)
    ]  # fmt: skip
    if not given or any(part.shape[:1] != np.shape(weights) for part, _, _ in given):
        shapes = ", ".join(str(part.shape) for part, _, _ in given) or "none"
        raise WrongValue(
            "component_profiles: expected means (K, G), probabilities (K, P) or both, of K = "
            f"{len(weights)} weights, got {shapes}"
        )
    widths = [part.shape[1] for part, _, _ in given]
    figure = new_figure(
        float(np.clip(3.0 + 2.0 * len(given) + 0.22 * sum(widths), 6.4, 14.0)),
        float(np.clip(3.2 + 0.26 * len(weights), 3.9, 11.0)),
        f"{len(weights)} component{'s' * (len(weights) != 1)}, column by column",
        "One row a component, with its weight."
        + " Means of numbers are in standard deviations of all data, from their mean."
        * any(unit == _STANDARD for _, _, unit in given),
    )
    ratios = [max(width, sum(widths) / 4) for width in widths]
    grid = figure.subplots(1, len(given), squeeze=False, width_ratios=ratios)[0]
    for axes, (values, names, unit) in zip(grid, given, strict=True):
        first = axes is grid[0]
        features = features_of(values.shape[1], names, "component_profiles")
        limits = (0.0, 1.0) if unit == "probability" else limits_of(values, unit)
        kind = "value" if unit == "probability" else unit
        picture = heat(dress(axes, "", "", "component" * first), values, limits, kind)
        step = -(-len(weights) // _LISTED)
        rows = range(0, len(weights), step)
        axes.set_yticks(rows, [row_name(k, weights) for k in rows] if first else [], fontsize=TICK)
        name_columns(axes, features)
        color_scale(figure, picture, [axes], unit, "neither" if kind == "value" else "both")
    return figure
