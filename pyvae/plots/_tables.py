# SPDX-License-Identifier: MIT
"""Rows of a table: features have no order, so nothing is drawn from one to the next.

Few features are drawn as dots beside their names, many as a heat map.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, FigureBase
from matplotlib.image import AxesImage
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from ._features import Features, even_scales, features_of
from .style import (
    FAINT,
    INK,
    LABEL,
    PALETTE,
    RULE,
    TICK,
    color,
    dress,
    new_figure,
)

_MOST_DOTTED = 24  # features, a line of text each
_MOST_PANELS = 20
_MOST_NAMED = 40  # columns of a heat map that have room for their names
_EXAMPLES = 4
_ROWS_OF_PAIR = 30
_ROWS = 160  # of a heat map


def feature_pairs(x: NDArray, x_hat: NDArray, names: Sequence[str] | None) -> Figure:
    """Draw reconstructions against originals, and the first examples feature by feature."""
    features = features_of(x.shape[1], names, "reconstructions")
    centre, spread, unit = even_scales(x)
    x, x_hat = (x - centre) / spread, (x_hat - centre) / spread
    lost = float(((x - x_hat) ** 2).sum() / max(((x - x.mean(0)) ** 2).sum(), 1e-300))
    dotted = x.shape[1] <= _MOST_DOTTED
    figure = new_figure(
        12.0,
        max(5.0, 1.9 + 0.2 * x.shape[1]) if dotted else 6.0,
        "Originals and their reconstructions",
        "Reconstruction: the decoder's mean at the mean of q(w|x). "
        f"Variance explained: {max(0.0, 1 - lost):.0%}.",
    )
    left, right = np.asarray(figure.subfigures(1, 2, width_ratios=(1.0, 1.6)))
    whole = dress(left.subplots(), "all features", f"original, {unit}", "reconstruction")
    _scatter(whole, x, x_hat)
    if dotted:
        _dumbbells(right, x[:_EXAMPLES], x_hat[:_EXAMPLES], features, unit)
    else:
        _heat_pair(right, x[:_ROWS_OF_PAIR], x_hat[:_ROWS_OF_PAIR], features, unit)
    return figure


def component_table(
    samples: NDArray,
    means: NDArray | None,
    names: list[str],
    feature_names: Sequence[str] | None,
    title: str,
    mean_name: str,
) -> Figure:
    """Draw samples (K, n, D) and means (K, D) of components, feature by feature."""
    features = features_of(samples.shape[2], feature_names, "component_samples")
    centre, spread, unit = even_scales(samples.reshape(-1, samples.shape[2]))
    samples = (samples - centre) / spread
    means = None if means is None else (np.asarray(means, dtype=float) - centre) / spread
    share = " (with its share of the examples)" * ("%" in names[0])
    few = samples.shape[2] <= _MOST_DOTTED and len(samples) <= _MOST_PANELS
    draw = _dots if few else _component_heat
    said = "" if means is None else mean_name
    return draw(samples, means, names, features, unit, (title, share, said))


def _scatter(axes: Axes, x: NDArray, x_hat: NDArray) -> None:
    pairs = np.stack([x.ravel(), x_hat.ravel()])
    if pairs.shape[1] > 6000:
        pairs = pairs[:, np.random.default_rng(0).choice(pairs.shape[1], 6000, replace=False)]
    size = float(np.clip(8000 / pairs.shape[1], 6, 22))
    axes.scatter(*pairs, s=size, color=PALETTE[0], alpha=0.45, linewidths=0)
    low, high = np.percentile(pairs, [0.1, 99.9])
    low, high = low - 0.05 * (high - low) - 1e-3, high + 0.05 * (high - low) + 1e-3
    axes.plot([low, high], [low, high], color=INK, linewidth=0.9)
    axes.set_xlim(low, high)
    axes.set_ylim(low, high)
    axes.set_aspect("equal", adjustable="box")


def _dumbbells(
    figure: FigureBase, x: NDArray, x_hat: NDArray, features: Features, unit: str
) -> None:
    """A panel an example, a line a feature: from the original to the reconstruction."""
    panels = figure.subplots(1, len(x), sharex=True, sharey=True, squeeze=False)[0]
    at, marks = np.arange(len(features.labels)), []
    for i, axes in enumerate(panels):
        _name_rows(dress(axes, f"example {i}"), features, first=i == 0)
        axes.hlines(at, x[i], x_hat[i], color=FAINT, linewidth=0.9, zorder=1)
        marks = [
            *axes.plot(
                x[i], at, "o", color=INK, markerfacecolor="white", markersize=5, label="original"
            ),
            *axes.plot(x_hat[i], at, "o", color=PALETTE[6], markersize=4.2, label="reconstruction"),
        ]
    panels[0].xaxis.set_major_locator(MaxNLocator(3))
    figure.supxlabel(unit, fontsize=LABEL, color=INK)
    figure.legend(
        handles=marks, loc="outside upper right", ncols=2, fontsize=TICK, frameon=False,
        handletextpad=0.2,
    )  # fmt: skip


def _heat_pair(
    figure: FigureBase, x: NDArray, x_hat: NDArray, features: Features, unit: str
) -> None:
    """A row an example, a column a feature: originals over reconstructions."""
    upper, lower = figure.subplots(2, 1, sharex=True)
    limits = limits_of(np.concatenate([x, x_hat]), unit)
    picture = heat(dress(upper, "original", "", "example"), x, limits, unit)
    heat(dress(lower, "reconstruction", "", "example"), x_hat, limits, unit)
    for axes in (upper, lower):
        axes.yaxis.set_major_locator(MaxNLocator(5, integer=True, min_n_ticks=1))
    name_columns(lower, features)
    color_scale(figure, picture, [upper, lower], unit)


def _dots(
    samples: NDArray,
    means: NDArray | None,
    names: list[str],
    features: Features,
    unit: str,
    words: tuple[str, str, str],
) -> Figure:
    """A panel a component, a line a feature."""
    title, share, mean_name = words
    count, each, width = samples.shape
    columns = min(count, 5)
    rows = math.ceil(count / columns)
    figure = new_figure(
        max(5.0, 1.2 + 2.1 * columns),
        1.3 + rows * (0.5 + 0.2 * width),
        title,
        f"One panel a component{share}. " * (count > 1)
        + "Dots: samples."
        + f" Black: the {mean_name}." * (means is not None),
    )
    grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    at = np.arange(len(features.labels))
    aside = np.linspace(-0.3, 0.3, each) if each > 1 else np.zeros(1)  # equal values stay apart
    for k, axes in enumerate(grid.flat):
        if k >= count:
            axes.set_axis_off()
            continue
        dress(axes, names[k] if count > 1 else "", unit if k + columns >= count else "", "")
        _name_rows(axes, features, first=k % columns == 0)
        axes.tick_params(labelbottom=k + columns >= count)
        places = at[None] + aside[:, None]
        axes.plot(samples[k].ravel(), places.ravel(), "o", color=color(k), markersize=3, alpha=0.6,
                  markeredgewidth=0)  # fmt: skip
        if means is not None:
            axes.plot(means[k], at, "|", color=INK, markersize=9, markeredgewidth=1.8)
    grid[0, 0].xaxis.set_major_locator(MaxNLocator(4))
    return figure


def _component_heat(
    samples: NDArray,
    means: NDArray | None,
    names: list[str],
    features: Features,
    unit: str,
    words: tuple[str, str, str],
) -> Figure:
    """A block of rows a component, a column a feature; the mean is the first of the block.

    It is given two rows, and a white one parts the blocks.
    """
    title, share, mean_name = words
    count, each, width = samples.shape
    each = min(each, max(1, _ROWS // count - 3))
    gap = np.full((count, 1, width), np.nan)
    heads = [] if means is None else [means[:, None], means[:, None]]
    blocks = np.concatenate([*heads, samples[:, :each], gap], axis=1)
    height = blocks.shape[1]
    figure = new_figure(
        10.0,
        float(np.clip(0.06 * count * height, 3.0, 11.0)) + 1.6,
        title,
        f"One block of rows a component{share}, a column a feature." * (count > 1)
        + f" The first, double row: the {mean_name}; below it samples." * (means is not None),
    )
    axes = dress(figure.subplots(), "", "", "component" if count > 1 else "sample")
    rows = blocks.reshape(-1, width)[:-1]
    picture = heat(axes, rows, limits_of(rows[np.isfinite(rows)], unit), unit)
    if count > 1:
        step = math.ceil(count / 50)
        places = np.arange(0, count, step) * height + (height - 2) / 2
        axes.set_yticks(places, names[::step], fontsize=TICK if count <= 30 else 6.5)
    name_columns(axes, features)
    color_scale(figure, picture, [axes], unit)
    return figure


def _name_rows(axes: Axes, features: Features, *, first: bool) -> None:
    axes.set_ylim(len(features.labels) - 0.5, -0.5)
    if first:
        axes.set_yticks(range(len(features.labels)), features.labels, fontsize=TICK)
        axes.set_ylabel("" if features.named else "feature", fontsize=LABEL, color=INK)
    axes.tick_params(axis="y", length=0, labelleft=first)


def name_columns(axes: Axes, features: Features) -> None:
    axes.set_xlabel("feature", fontsize=LABEL, color=INK)
    if not features.named:
        axes.xaxis.set_major_locator(MaxNLocator(8, integer=True, min_n_ticks=1))
        return
    step = math.ceil(len(features.labels) / _MOST_NAMED)
    places = range(0, len(features.labels), step)
    axes.set_xticks(places, features.labels[::step], rotation=90, fontsize=TICK)


def limits_of(values: NDArray, unit: str) -> tuple[float, float]:
    """Ends of the colours: a few wild values must not make all others one colour."""
    if unit == "value":
        low, high = np.percentile(values, [0.5, 99.5])
        return float(low), float(max(high, low + 1e-12))
    reach = max(float(np.percentile(np.abs(values), 99)), 1e-12)
    return -reach, reach


def heat(axes: Axes, rows: NDArray, limits: tuple[float, float], unit: str) -> AxesImage:
    axes.grid(False)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    axes.set_facecolor("white")
    cmap = "viridis" if unit == "value" else "RdBu_r"
    return axes.imshow(rows, aspect="auto", interpolation="nearest", cmap=cmap, vmin=limits[0],
                       vmax=limits[1])  # fmt: skip


def color_scale(
    figure: FigureBase, picture: AxesImage, panels: list[Axes], unit: str, beyond: str = "both"
) -> None:
    bar = figure.colorbar(picture, ax=panels, fraction=0.04, pad=0.02, extend=beyond)
    bar.set_label(unit, fontsize=LABEL, color=INK)
    bar.ax.tick_params(labelsize=TICK, length=0, labelcolor=INK)
    bar.outline.set_edgecolor(RULE)  # type: ignore[operator]
