# SPDX-License-Identifier: MIT
"""The bound and its parts over the epochs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from pyvae.errors import WrongValue

from .style import FAINT, INK, PALETTE, QUIET, TICK, dress, legend_above, new_figure, number

_UNITS = "Nats per example: summed over features and latent dimensions, averaged over examples."
# One is filled and one hatched: two greys can be told apart only side by side.
_PHASES: dict[str, tuple[str, dict[str, Any]]] = {
    "pretraining": ("Grey", {"facecolor": "#ebebeb", "linewidth": 0}),
    "warm-up of β": (
        "Hatched",
        {"facecolor": "none", "edgecolor": "#c4c4c4", "hatch": "////", "linewidth": 0},
    ),
}
_LEAST = 1e-3  # nats that a scale is made for: below are rounding and what nobody reads
_PARTS = {
    "log_prob_w": ("log p(w|z)", PALETTE[0]),
    "entropy_w": ("entropy of q(w|x)", PALETTE[1]),
    "neg_kl_z": ("−KL(q(z) ‖ p(z))", PALETTE[4]),
}


def history(rows: Sequence[Mapping[str, Any]]) -> Figure:
    """Draw the bound, the reconstruction, the other parts and the use of the latent space.

    Parameters
    ----------
    rows
        One mapping an epoch, as :class:`pyvae.training.History` holds them. Keys that are absent,
        and values that are None or not finite, are left out of the picture.

    Returns
    -------
    The figure; it belongs to no pyplot state.
    """
    if not rows:
        raise WrongValue("history: expected at least one row, got none; train one epoch first")
    epochs = np.array([row["epoch"] for row in rows], dtype=float)
    phases = _phases(rows, epochs)
    figure = new_figure(
        11.0,
        7.0,
        "The evidence lower bound and its parts",
        " ".join([_UNITS, *(f"{_PHASES[what][0]}: {what}." for what in phases)]),
    )
    grid: NDArray = figure.subplots(2, 2, sharex=True)
    _bound(grid[0, 0], rows, epochs, "bound", "Evidence lower bound")
    _bound(grid[0, 1], rows, epochs, "reconstruction", "Reconstruction, E[log p(x|w)]")
    _parts(grid[1, 0], rows, epochs)
    _use(grid[1, 1], rows, epochs)
    for axes in grid.flat:
        for what, (start, end) in phases.items():
            axes.axvspan(start, end, zorder=0, **_PHASES[what][1])
        axes.set_xlim(epochs[0] - 0.5 * (len(epochs) == 1), epochs[-1] + 0.5 * (len(epochs) == 1))
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    for axes in grid[1]:
        axes.set_xlabel("epoch")
    return figure


def column(rows: Sequence[Mapping[str, Any]], key: str) -> NDArray:
    """One value an epoch, NaN where the row has none."""
    values = (row.get(key) for row in rows)
    return np.array([np.nan if v is None or v == "" else float(v) for v in values])


def _bound(
    axes: Axes, rows: Sequence[Mapping[str, Any]], epochs: NDArray, key: str, title: str
) -> None:
    dress(axes, title, "", "nats")
    train, validation = column(rows, key), column(rows, f"val_{key}")
    _line(axes, epochs, train, PALETTE[0], "training")
    if np.isfinite(validation).any():
        _line(axes, epochs, validation, PALETTE[6], "validation")
    legend_above(axes)
    _zoom(axes, epochs, train, validation)


def _parts(axes: Axes, rows: Sequence[Mapping[str, Any]], epochs: NDArray) -> None:
    dress(axes, "The other parts of the bound", "", "nats")
    values = {key: column(rows, key) for key in _PARTS}
    present = [key for key in _PARTS if np.nan_to_num(values[key]).any()]
    for key in present:
        name, tint = _PARTS[key]
        _line(axes, epochs, values[key], tint, name)
    if present:
        total = np.sum([values[key] for key in present], axis=0)
        _line(axes, epochs, total, INK, "their sum")
        axes.axhline(0.0, color=FAINT, linewidth=0.7, zorder=1)
        _zoom(axes, epochs, *(values[key] for key in present), total)
        legend_above(axes)


def _use(axes: Axes, rows: Sequence[Mapping[str, Any]], epochs: NDArray) -> None:
    """Draw what shows a collapse: components in use, latent dimensions in use, their doubt."""
    dress(axes, "Use of the latent space", "", "number in use")
    # In pretraining the mixture takes no part: how it is used then says nothing.
    joint = [{} if row.get("phase") == "pretrain" else row for row in rows]
    counts = {
        "components in use": column(joint, "effective_components"),
        "active dimensions": column(rows, "active_units"),
    }
    lines = []
    for (name, values), tint in zip(counts.items(), (PALETTE[0], PALETTE[1]), strict=True):
        if np.isfinite(values).any():
            lines += _line(axes, epochs, values, tint, name)
    axes.set_ylim(0, None)
    doubt = column(joint, "posterior_entropy")
    if np.isfinite(doubt).any():
        right = axes.twinx()
        lines += _line(right, epochs, doubt, PALETTE[4], "entropy of q(z) (right)")
        dress(right, "", "", "nats")
        right.grid(False)
        right.spines["right"].set(visible=True, color=FAINT)
        most = np.nanmax(doubt)
        right.set_ylim(0, 1.06 * most if most > _LEAST else 1.0)
    if lines:
        legend_above(axes, lines)


def _line(axes: Axes, epochs: NDArray, values: NDArray, tint: str, name: str) -> list:
    shape = "o" if len(epochs) < 3 else None  # a line through one point cannot be seen
    return axes.plot(
        epochs, values, color=tint, linewidth=1.6, marker=shape, markersize=4, label=name
    )


def _zoom(axes: Axes, epochs: NDArray, *curves: NDArray) -> None:
    """Let the first tenth of the epochs leave the frame where it would flatten all the rest.

    What is cut off is written above: a reader must know that the curve goes on.
    """
    settled = np.concatenate([c[len(epochs) // 10 :] for c in curves])
    everything = np.concatenate(curves)
    settled, everything = (v[np.isfinite(v)] for v in (settled, everything))
    if not settled.size:
        return
    low, high = settled.min(), settled.max()
    pad = 0.06 * (high - low) if high - low > _LEAST else 1.0
    cut = None
    if everything.min() < low - (high - low):
        cut = everything.min()
    else:
        low = min(low, everything.min())
    if everything.max() > high + (high - low):
        cut = everything.max()
    else:
        high = max(high, everything.max())
    axes.set_ylim(low - pad, high + pad)
    if cut is not None:
        axes.set_title(f"goes on to {number(cut)}", loc="right", fontsize=TICK, color=QUIET, pad=22)


def _phases(rows: Sequence[Mapping[str, Any]], epochs: NDArray) -> dict[str, tuple[float, float]]:
    """From which epoch to which there was pretraining, and beta was still rising after it."""
    beta = column(rows, "beta")
    joint = np.array([row.get("phase") != "pretrain" for row in rows])
    rising = joint & np.isfinite(beta) & ~np.isclose(beta, beta[-1])
    found = {}
    for what, inside in (("pretraining", ~joint), ("warm-up of β", rising)):
        if inside.any():
            at = np.flatnonzero(inside)
            found[what] = (epochs[at[0]], epochs[min(at[-1] + 1, len(epochs) - 1)])
    return found
