# SPDX-License-Identifier: MIT
"""A mixture fitted to points: its density, its contours, and how many components it needs."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from ._features import Features, even_scales, features_of
from ._latent import MOST_POINTS, Panel, Plane, draw_plane, extent_with_contours, frame, project
from .style import FAINT, FILL, INK, color, dress, legend_above, new_figure, number, plain

_MOST_CURVES = 20
_LINE_MARKERS = "os^DvP"
_MOST_OBLONG = 4.0  # sides of a frame beyond which equal scales would leave it nearly empty


def mixture(
    x: NDArray,
    components: NDArray,
    weights: NDArray,
    means: NDArray,
    covariances: NDArray,
    *,
    feature_names: Sequence[str] | None = None,
    noise_density: float = 0.0,
    degrees_of_freedom: NDArray | None = None,
) -> Figure:
    """Draw points and the mixture fitted to them.

    One dimension is drawn as a histogram under the density, two as they are, more by their two
    principal components; features of very different spreads are standardised for that.

    Parameters
    ----------
    x, components
        Points (N, D), and the component of each; -1 is noise.
    weights, means, covariances
        (K,), (K, D) and (K, D, D); of Student t distributions places and scale matrices.
    feature_names
        Of the D columns, for the axes; x₁, x₂ if left out.
    noise_density
        What noise adds to the density everywhere, its weight over the volume of its box.
    degrees_of_freedom
        (K,), where the components are Student t distributions.

    Returns
    -------
    The figure; it belongs to no pyplot state.
    """
    features = features_of(x.shape[1], feature_names, "mixture")
    plural = "s" * (len(weights) != 1)
    is_normal = degrees_of_freedom is None
    family = "Gaussian" if is_normal else "Student t distribution"
    title = f"{len(weights)} {family}{plural} fitted to {len(x):,} points"
    if x.shape[1] == 1:
        with_noise = " and the noise's density" * (noise_density > 0)
        said = f"Curves: each component times its weight; their sum{with_noise}."
        figure = new_figure(7.0, 4.2, title, said)
        axes = dress(
            figure.subplots(), "", features.labels[0] if features.named else "x", "density"
        )
        line = _Line(means[:, 0], np.sqrt(covariances[:, 0, 0]), degrees_of_freedom)
        _density(axes, x[:, 0], weights, line, noise_density)
        return figure
    random = np.random.default_rng(0)
    some = len(x) > MOST_POINTS
    chosen = random.choice(len(x), MOST_POINTS, replace=False) if some else np.arange(len(x))
    plane, parts = _plane(x[chosen], means, covariances, features)
    noise = components[chosen] < 0
    shares = np.bincount(components[components >= 0], minlength=len(weights))
    used = [int(k) for k in np.flatnonzero(shares)]
    tints = {k: k for k in range(len(weights))}
    panel = Panel("", components[chosen][~noise], {k: str(k) for k in tints}, tints, True)
    ellipses = "2σ of the components" if is_normal else "twice the scales of the components"
    parts.append(f"Ellipses: {ellipses}; numbers at their {'means' if is_normal else 'places'}.")
    if noise.any():
        parts.append("Crosses: noise.")
    if some:
        parts.append(f"{MOST_POINTS:,} of {len(x):,} points, drawn at random.")
    figure = new_figure(6.4, 6.2, title, " ".join(parts))
    axes = figure.subplots()
    corners = extent_with_contours(plane, used)
    sides = np.sort(corners[1] - corners[0])
    frame(axes, corners, equal=bool(sides[1] <= _MOST_OBLONG * sides[0]))
    if noise.any():
        axes.scatter(*plane.points[noise].T, s=12, c=FAINT, marker="x", linewidths=0.8, zorder=1)
        plane = plane._replace(points=plane.points[~noise])
    if noise.all():
        dress(axes, "", *plane.axis_names)
    else:
        draw_plane(axes, plane, panel, np.arange(len(plane.points)), sigmas=2.0)
    return figure


class _Line(NamedTuple):
    """Places, scales and degrees of freedom of components on the line, ``(K,)``."""

    places: NDArray
    scales: NDArray
    degrees: NDArray | None

    def densities(self, x: NDArray) -> NDArray:
        """Give the density of every component at points, ``(N, K)``."""
        gaps = (x[:, None] - self.places) / self.scales
        if self.degrees is None:
            return np.exp(-0.5 * gaps**2) / (self.scales * np.sqrt(2 * np.pi))
        from scipy.stats import t

        return t.pdf(gaps, self.degrees) / self.scales


def _plane(
    x: NDArray, means: NDArray, covariances: NDArray, features: Features
) -> tuple[Plane, list[str]]:
    """Give the plane to draw in, and what the caption says of it."""
    if x.shape[1] == 2:
        plane = project(x, means, covariances, letter="x")
        if features.named:
            plane = plane._replace(axis_names=(features.labels[0], features.labels[1]))
        return plane, []
    _, scale, unit = even_scales(x)
    plane = project(x / scale, means / scale, covariances / np.outer(scale, scale), letter="x")
    of = " of the standardised features" * unit.startswith("standardised")
    parts = [f"The plane of the two principal components{of}."]
    if features.named:
        for i, direction in enumerate(plane.basis):
            strongest = np.argsort(-np.abs(direction), kind="stable")[:3]
            said = (f"{features.labels[j]} {number(direction[j], 2)}" for j in strongest)
            parts.append(f"Strongest in {i + 1}: {', '.join(said)}.")
    return plane, parts


def information_criterion(
    counts: Sequence[int],
    values: Sequence[float],
    name: str,
    groups: Sequence[str] | None = None,
) -> Figure:
    """Draw a criterion over the number of components, with the least marked.

    Parameters
    ----------
    counts, values
        Numbers of components, and the criterion of each fit; NaN where there is none.
    name
        Of the criterion, such as BIC.
    groups
        What tells fits of one number apart, such as their type of covariance: a line for each.

    Returns
    -------
    The figure; it belongs to no pyplot state.
    """
    at, heights = np.asarray(counts), np.asarray(values, dtype=float)
    kinds = np.array([""] * len(at) if groups is None else groups)
    figure = new_figure(6.4, 3.8, f"{name} over the number of components", "Lower is better.")
    axes = dress(figure.subplots(), "", "components", name)
    lines = list(dict.fromkeys(kinds.tolist()))
    for index, (kind, marker) in enumerate(zip(lines, cycle(_LINE_MARKERS), strict=False)):
        mine = np.flatnonzero(kinds == kind)
        mine = mine[np.argsort(at[mine], kind="stable")]
        axes.plot(
            at[mine], heights[mine], color=color(index), marker=marker,
            markersize=4, linewidth=1.4, label=plain(kind),
        )  # fmt: skip
    best = int(np.nanargmin(heights))
    mark = color(2) if len(lines) == 1 else INK
    axes.plot(
        at[best], heights[best], "o", markersize=9, markerfacecolor="none",
        markeredgecolor=mark, markeredgewidth=1.8, zorder=5,
    )  # fmt: skip
    count = int(at[best])
    of = f"{plain(kinds[best])}, " * (len(lines) > 1)
    axes.annotate(
        f"{of}{count} component{'s' * (count != 1)}", (count, heights[best]),
        xytext=(0, -17), textcoords="offset points", ha="center", color=INK, fontsize=9,
    )  # fmt: skip
    axes.margins(y=0.2)
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.10g}".replace("-", "−"))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    if len(lines) > 1:
        legend_above(axes)
    return figure


def _density(axes: Axes, x: NDArray, weights: NDArray, line: _Line, noise: float) -> None:
    low, high = np.percentile(x, [0.25, 99.75])
    room = 0.08 * max(high - low, 1e-6)
    at = np.linspace(low - room, high + room, 1000)
    bins = min(80, max(10, len(x) // 20))
    inside = x[(x >= at[0]) & (x <= at[-1])]
    heights, edges = np.histogram(inside, bins=bins, range=(at[0], at[-1]))
    heights = heights / (len(x) * np.diff(edges))
    axes.stairs(heights, edges, fill=True, color=FILL, label="points")
    curves = weights * line.densities(at)
    if len(weights) <= _MOST_CURVES:
        for k, curve in enumerate(curves.T):
            axes.plot(at, curve, color=color(k), linewidth=1.3, zorder=4)
    axes.plot(at, curves.sum(1) + noise, color=INK, linewidth=2.6, alpha=0.8, label="mixture")
    axes.set_xlim(at[0], at[-1])
    legend_above(axes)
