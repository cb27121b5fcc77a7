# SPDX-License-Identifier: MIT
"""Timings: ratios to the peers, rates under the machine's roofs, and growth with the points."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke
from matplotlib.ticker import FuncFormatter, NullFormatter
from numpy.typing import NDArray

from benchmarks.marks import Mark
from pyvae.errors import WrongValue
from pyvae.plots import style

_ROW = 0.33  # inches
_ASIDE = 0.5  # of a row, over which the marks are spread: equal times must not hide one another
_SAME_PLACE = 0.05  # in the logarithm
_COLUMNS = 4  # of a legend


def ratios(
    panels: Mapping[str, Mapping[str, Mapping[str, float]]],
    marks: Mapping[str, Mark],
    title: str,
    caption: str = "",
) -> Figure:
    """Draw how many times our time each peer takes, a row a case, a mark a peer.

    Parameters
    ----------
    panels
        By panel, case and peer: the peer's time divided by ours.
    marks
        Of every peer.
    title, caption
        Of the figure.
    """
    rows = list(dict.fromkeys(case for cases in panels.values() for case in cases))
    if not rows:
        raise WrongValue("ratios: expected at least one case, got none; measure one first")
    found = [peers for cases in panels.values() for peers in cases.values()]
    peers = [name for name in marks if any(name in each for each in found)]
    figure, grid = _with_legend_below(
        11.0, 1.1 + _ROW * len(rows), title, caption, len(panels), -(-len(peers) // _COLUMNS)
    )
    for axes, (name, cases) in zip(grid, panels.items(), strict=True):
        _ratio_panel(axes, name, [cases.get(row, {}) for row in rows], peers, marks)
    grid[0].set_yticks(range(len(rows)), rows)
    grid[0].set_ylim(len(rows) - 0.5, -0.5)
    handles = [_mark(grid[0], marks[name], name, [], []) for name in peers]
    _legend_below(figure, handles, _COLUMNS)
    return figure


def _with_legend_below(
    width: float, height: float, title: str, caption: str, panels: int, lines: int
) -> tuple[Figure, list[Axes]]:
    """Open a figure with a row of panels, and room for a legend of so many lines below them."""
    room = 0.2 + 0.19 * lines
    figure = style.new_figure(width, height + room + 0.6, title, caption)
    grid = figure.add_gridspec(2, panels, height_ratios=(height, room))
    first = figure.add_subplot(grid[0, 0])
    rest = [figure.add_subplot(grid[0, i], sharex=first, sharey=first) for i in range(1, panels)]
    for axes in rest:
        axes.tick_params(labelleft=False)
    figure.add_subplot(grid[1, :]).set_axis_off()
    return figure, [first, *rest]


def _legend_below(figure: Figure, handles: list, columns: int) -> None:
    figure.axes[-1].legend(
        handles=handles, loc="center", ncols=columns, fontsize=style.TICK, frameon=False,
        handletextpad=0.3, columnspacing=1.6,
    )  # fmt: skip


def _ratio_panel(
    axes: Axes,
    title: str,
    rows: Sequence[Mapping[str, float]],
    peers: Sequence[str],
    marks: Mapping[str, Mark],
) -> None:
    style.dress(axes, title, "time divided by pyvae's (log scale)", "")
    axes.set_xscale("log")
    for index, row in enumerate(rows):
        if row:
            low, high = min(1.0, *row.values()), max(1.0, *row.values())
            axes.plot([low, high], [index, index], color=style.FAINT, linewidth=0.8, zorder=1)
    axes.axvline(1.0, color=style.INK, linewidth=1.2, zorder=2)
    for index, row in enumerate(rows):
        present = [name for name in peers if name in row]
        reach = _ASIDE / 2 * (len(present) > 1)
        for name, aside in zip(present, np.linspace(-reach, reach, len(present)), strict=True):
            _mark(axes, marks[name], name, [row[name]], [index + aside])
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}x"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.grid(axis="y", visible=False)


def _mark(axes: Axes, mark: Mark, name: str, x: Sequence, y: Sequence) -> Line2D:
    return axes.plot(
        x, y, linestyle="none", marker=mark.marker, markersize=6, color=mark.color,
        markeredgecolor="white", markeredgewidth=0.6, label=name, zorder=3,
    )[0]  # fmt: skip


def roofline(
    points: Mapping[tuple[str, str], tuple[float, float]],
    peak: float,
    bandwidth: float,
    title: str,
    caption: str = "",
) -> Figure:
    """Draw rates against operations per byte, under the roofs of arithmetic and of memory.

    Parameters
    ----------
    points
        By op and size: operations per byte that must be moved, and operations a second.
    peak, bandwidth
        Operations a second of a large matrix product, and bytes a second of a large copy.
    title, caption
        Of the figure.
    """
    figure, (axes,) = _with_legend_below(8.4, 4.2, title, caption, 1, -(-len(points) // 2))
    style.dress(
        axes, "", "operations per byte that must be read or written (log scale)",
        "billions of operations a second (log scale)",
    )  # fmt: skip
    names, values = list(points), np.array(list(points.values()), dtype=float).reshape(-1, 2)
    left = min(0.25, *(values[:, 0] / 2)) if len(values) else 0.25
    right = max(64.0, peak / bandwidth * 16, *(values[:, 0] * 3))
    knee = peak / bandwidth
    x = np.array([left, knee, right])
    axes.loglog(x, np.minimum(peak, bandwidth * x) / 1e9, color=style.INK, linewidth=1.6)
    axes.set_xlim(left, right)
    axes.set_ylim(min(left * bandwidth, *values[:, 1]) / 2e9, peak * 2.2e-9)
    axes.annotate(
        f"arithmetic, {peak / 1e9:,.0f} GFLOP/s", (knee, peak / 1e9), (4, 5), ha="left",
        textcoords="offset points", fontsize=style.LABEL, color=style.QUIET,
    )  # fmt: skip
    axes.annotate(
        f"memory, {bandwidth / 1e9:,.1f} GB/s", (knee / 2, knee * bandwidth / 2e9), (-8, 4),
        ha="right", textcoords="offset points", fontsize=style.LABEL, color=style.QUIET,
    )  # fmt: skip
    ops = list(dict.fromkeys(op for op, _ in names))
    looks = [(style.color(ops.index(op)), "os^Dv"[ops.index(op) % 5]) for op, _ in names]
    for (at, rate), (tint, shape) in zip(values, looks, strict=True):
        axes.plot(at, rate / 1e9, shape, color=tint, markersize=6.5, markeredgecolor="white")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    _number_points(axes, values / (1, 1e9))
    handles = [
        axes.plot([], [], shape, color=tint, label=f"{i + 1}  {op}  {size}")[0]
        for i, ((op, size), (tint, shape)) in enumerate(zip(names, looks, strict=True))
    ]
    _legend_below(figure, handles, 2)
    return figure


def _number_points(axes: Axes, points: NDArray) -> None:
    """Write the numbers of the points beside them, together where they share a place."""
    shared: list[list[int]] = []
    for i, point in enumerate(points):
        near = (at for at in shared if np.abs(np.log(points[at[0]] / point)).max() < _SAME_PLACE)
        found = next(near, None)
        if found is None:
            shared.append([i])
        else:
            found.append(i)
    for at in shared:
        text = axes.annotate(
            ", ".join(str(i + 1) for i in at), points[at[0]], (6, 0), textcoords="offset points",
            va="center", fontsize=style.TICK, fontweight="bold", color=style.INK, zorder=6,
        )  # fmt: skip
        text.set_path_effects([withStroke(linewidth=2.6, foreground="white")])


def growth(
    counts: Sequence[float], lines: Mapping[str, Sequence[float]], title: str, caption: str = ""
) -> Figure:
    """Draw time per unit of work against the number of points; a level line grows linearly.

    Parameters
    ----------
    counts
        Numbers of points.
    lines
        By name: seconds a unit of work, one for each count; NaN where there is none.
    title, caption
        Of the figure.
    """
    figure = style.new_figure(8.4, 4.4, title, caption)
    axes = style.dress(figure.subplots(), "", "points N (log scale)", "picoseconds per N · K · D")
    for index, (name, seconds) in enumerate(lines.items()):
        values = 1e12 * np.array(seconds, dtype=float)
        axes.plot(
            counts, values, color=style.color(index), linewidth=1.8, markersize=5.5,
            marker="os^D"[index % 4], label=name,
        )  # fmt: skip
    axes.set_xscale("log")
    axes.set_xticks(list(counts), [f"{count:,.0f}" for count in counts])
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_ylim(0, None)
    axes.margins(x=0.06)
    style.legend_above(axes)
    return figure
