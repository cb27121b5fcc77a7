# SPDX-License-Identifier: MIT
"""Which component holds which label."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from ._matching import Matching, check_pair, match
from .style import INK, LABEL, TICK, dress, new_figure, shortened

_BLUES = LinearSegmentedColormap.from_list("share", ["#ffffff", "#9cc7ee", "#3f90da", "#0b3a66"])


def confusion(
    components: NDArray,
    labels: NDArray,
    *,
    num_components: int | None = None,
    class_names: Sequence[str] | None = None,
) -> Figure:
    """Draw the counts of labels (rows) against components (columns).

    Columns are ordered by the one-to-one matching that gives the clustering accuracy, so a good
    clustering shows as a diagonal; unmatched components follow behind a rule.

    Parameters
    ----------
    components, labels
        Integers, one an example.
    num_components
        Components of the model, so that empty ones show as well. Default: the largest seen.
    class_names
        What the labels 0, 1, ... are called; their numbers if left out.

    Returns
    -------
    The figure; it belongs to no pyplot state.
    """
    components, labels = check_pair("confusion", components, labels)
    found = match(components, labels, num_components or int(components.max()) + 1)
    hits = sum(int(found.counts[row, k]) for k, row in found.partner.items())
    rows, columns = found.counts.shape
    with_numbers = columns <= 24
    cell = 0.46 if with_numbers else 0.26
    figure = new_figure(
        max(6.4, 1.9 + cell * columns),
        max(3.4, 1.7 + (0.36 if with_numbers else 0.3) * rows),
        f"Components and labels: clustering accuracy {hits / len(labels):.3f}",
        f"{hits:,} of {len(labels):,} examples lie in the outlined cells, the best one-to-one "
        "matching.",
    )
    values = [int(label) for label in found.labels]
    names = [str(v) if class_names is None else class_names[v] for v in values]
    _table(figure.subplots(), found, names, with_numbers)
    return figure


def _table(axes: Axes, found: Matching, names: list[str], with_numbers: bool) -> None:
    counts = found.counts[:, found.order]
    share = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    dress(axes, "", "component", "label").grid(False)
    picture = axes.imshow(share, cmap=_BLUES, vmin=0, vmax=1, aspect="auto")
    size = TICK if counts.shape[1] <= 24 else 6.5
    axes.set_xticks(range(counts.shape[1]), [str(k) for k in found.order], fontsize=size)
    axes.set_yticks(range(counts.shape[0]), [shortened(name) for name in names], fontsize=TICK)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set_xticks(np.arange(counts.shape[1] + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(counts.shape[0] + 1) - 0.5, minor=True)
    axes.grid(which="minor", color="#efefef", linewidth=0.6)
    axes.tick_params(which="minor", length=0)
    for column, component in enumerate(found.order):
        if component in found.partner:
            corner = (column - 0.5, found.partner[component] - 0.5)
            axes.add_patch(Rectangle(corner, 1, 1, fill=False, edgecolor=INK, linewidth=1.1))
    if len(found.partner) < counts.shape[1]:
        axes.axvline(len(found.partner) - 0.5, color=INK, linewidth=0.8, linestyle=(0, (4, 2)))
    if with_numbers:
        _numbers(axes, counts, share)
    bar = axes.figure.colorbar(picture, ax=axes, fraction=0.03, pad=0.015)
    bar.set_label("share of the label's examples", fontsize=LABEL, color=INK)
    bar.ax.tick_params(labelsize=TICK, length=0)
    bar.outline.set_visible(False)  # type: ignore[operator]


def _numbers(axes: Axes, counts: NDArray, share: NDArray) -> None:
    size = TICK if counts.max() < 10_000 else 6.0
    for row, column in np.argwhere(counts > 0):
        axes.text(
            column, row, f"{counts[row, column]}", ha="center", va="center", fontsize=size,
            color="white" if share[row, column] > 0.5 else INK,
        )  # fmt: skip
