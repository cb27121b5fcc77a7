# SPDX-License-Identifier: MIT
"""One look for every picture: palette, type sizes, axes, and labels that do not overlap."""

from __future__ import annotations

import textwrap

import numpy as np
from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure
from numpy.typing import NDArray

# Petroff (2021), "Accessible color sequences for data visualization": ten colours chosen to stay
# apart under the common colour-vision deficiencies, with a deep blue in place of the lighter of its
# two greys, the nearest pair among them. Further categories repeat the hues darker, then lighter,
# with another marker, and are told apart by the number written at their place.
PALETTE = (
    "#3f90da", "#ffa90e", "#bd1f01", "#2d2df0", "#832db6",
    "#a96b59", "#e76300", "#b9ac70", "#717581", "#92dadd",
)  # fmt: skip
_MARKERS = "o^sDvP"
INK = "#262626"
QUIET = "#595959"
FAINT = "#8c8c8c"
RULE = "#e4e4e4"
FILL = "#d9d9d9"  # of areas that lines are drawn over
TITLE, LABEL, TICK = 10.5, 9.0, 8.0  # points


def color(index: int) -> str:
    """Colour of category ``index``: ten hues, then the same darker, then lighter."""
    rgb = np.array(to_rgb(PALETTE[index % len(PALETTE)]))
    turn = index // len(PALETTE) % 5
    shade, amount = ((0.0, 0.0), (0.0, 0.35), (1.0, 0.4), (0.0, 0.55), (1.0, 0.6))[turn]
    return to_hex(tuple(rgb + (shade - rgb) * amount))


def marker(index: int) -> str:
    """Marker of category ``index``; it changes wherever the hues start again."""
    return _MARKERS[index // len(PALETTE) % len(_MARKERS)]


def new_figure(width: float, height: float, title: str, caption: str = "") -> Figure:
    """Open a figure with its heading; it belongs to no pyplot state and to no window."""
    figure = Figure(figsize=(width, height), dpi=150, layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    figure.get_layout_engine().set(w_pad=0.08, h_pad=0.07, wspace=0.03, hspace=0.04)  # type: ignore[union-attr]
    figure.suptitle(title, x=0.012, ha="left", fontsize=12, fontweight="bold", color=INK)
    if caption:
        caption = textwrap.fill(caption, int(width * 72 / (0.56 * TICK)))  # mean width of a letter
        figure.supxlabel(caption, x=0.012, ha="left", fontsize=TICK, color=QUIET)
    return figure


def dress(axes: Axes, title: str = "", xlabel: str = "", ylabel: str = "") -> Axes:
    """Give axes the common type sizes, quiet rules and no box."""
    axes.set_title(title, loc="left", fontsize=TITLE, color=INK)
    axes.set_xlabel(xlabel, fontsize=LABEL, color=INK)
    axes.set_ylabel(ylabel, fontsize=LABEL, color=INK)
    axes.tick_params(labelsize=TICK, length=2.5, color=FAINT, labelcolor=INK)
    axes.tick_params(which="minor", length=1.5, color=FAINT)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(FAINT)
    axes.grid(color=RULE, linewidth=0.6)
    axes.set_axisbelow(True)
    return axes


def write_numbers(
    axes: Axes, places: NDArray, texts: list[str], colors: list[str], size: float = 9.0
) -> None:
    """Write ``texts`` at data ``places``, moved apart where they would overlap.

    A moved text keeps a thin line to its place. Limits and layout must be final, for the distances
    are measured in pixels.
    """
    if not texts:
        return
    pixels_per_point = axes.figure.dpi / 72
    boxes = np.array([[0.68 * size * len(text) + 3, 1.25 * size] for text in texts])
    start = axes.transData.transform(places)
    frame = axes.get_window_extent()
    moved = _push_apart(start, boxes * pixels_per_point)
    margin = boxes * pixels_per_point / 2
    moved = np.clip(moved, np.array(frame.min) + margin, np.array(frame.max) - margin)
    halo = [patheffects.withStroke(linewidth=2.6, foreground="white")]
    for text, tint, place, pixel, origin in zip(texts, colors, places, moved, start, strict=True):
        at = axes.transData.inverted().transform(pixel)
        if np.hypot(*(pixel - origin)) > 0.9 * size * pixels_per_point:
            axes.plot(*zip(place, at, strict=True), color=tint, linewidth=0.8, zorder=5)
        axes.text(
            at[0], at[1], text, color=INK, fontsize=size, fontweight="bold",
            ha="center", va="center", path_effects=halo, zorder=6,
        )  # fmt: skip


def _push_apart(centres: NDArray, sizes: NDArray, rounds: int = 400) -> NDArray:
    """Move boxes apart along the axis on which they overlap least, a little at a time."""
    centres = centres + 1e-3 * np.arange(len(centres))[:, None]  # equal places need a direction
    need = (sizes[:, None] + sizes[None]) / 2
    for _ in range(rounds):
        gap = centres[:, None] - centres[None]
        overlap = need - np.abs(gap)
        hit = (overlap > 0).all(-1) & ~np.eye(len(centres), dtype=bool)
        if not hit.any():
            break
        along_x = overlap[..., 0] < overlap[..., 1]
        chosen = np.stack([along_x & hit, ~along_x & hit], axis=-1)
        centres = centres + (0.3 * np.sign(gap) * overlap * chosen).sum(1)
    return centres


def legend_above(axes: Axes, handles: list | None = None) -> None:
    """Put the legend in one row between title and axes, where it can cover no curve."""
    handles = axes.get_legend_handles_labels()[0] if handles is None else handles
    axes.legend(
        handles=handles, loc="lower left", bbox_to_anchor=(-0.015, 0.985), ncols=len(handles),
        fontsize=TICK, frameon=False, handlelength=1.3, columnspacing=1.1, handletextpad=0.45,
        borderaxespad=0.2,
    )  # fmt: skip
    axes.set_title(axes.get_title(loc="left"), loc="left", fontsize=TITLE, color=INK, pad=22)


def plain(text: str) -> str:
    """Give a text that is drawn as it stands: two dollar signs would enclose a formula."""
    return text.replace("$", r"\$")


def shortened(text: str, most: int = 24) -> str:
    """Give a name on one line, cut where it is long, to be drawn as it stands."""
    text = " ".join(text.split())
    return plain(text if len(text) <= most else f"{text[: most - 1]}…")


def number(value: float, digits: int = 1) -> str:
    """Format a figure with thousands marked and a true minus sign."""
    return f"{round(value, digits) + 0.0:,.{digits}f}".replace("-", "−")  # never "−0"
