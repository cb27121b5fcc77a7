# SPDX-License-Identifier: MIT
"""The latent space in the plane."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Ellipse
from numpy.typing import NDArray

from pyvae.errors import WrongValue

from ._matching import check_pair, match
from .style import FAINT, color, dress, marker, new_figure, write_numbers

_WIDEST = 3.0  # contours wider than so many times the frame are left out
MOST_POINTS = 6000  # more only paint one another over


class Plane(NamedTuple):
    """Points and mixture, seen in two dimensions (or one)."""

    points: NDArray  # (N, 2), or (N, 1)
    means: NDArray | None  # (K, 2)
    covariances: NDArray | None  # (K, 2, 2)
    axis_names: tuple[str, str]
    is_projection: bool


def latent_space(
    w: NDArray,
    components: NDArray | None = None,
    labels: NDArray | None = None,
    *,
    means: NDArray | None = None,
    logvars: NDArray | None = None,
) -> Figure:
    """Draw encoded examples coloured by component, and beside it by label where labels exist.

    Two dimensions are drawn as they are, more by the two principal components of ``w``. A linear
    map of a Gaussian is a Gaussian, so the ellipses are the components' own 2-sigma contours in
    either case (in the projection: of the projected component).

    Parameters
    ----------
    w
        Latent points, (N, L).
    components, labels
        Integers, one a point. Colours of matched components and labels agree.
    means, logvars
        The mixture, (K, L) and (K, L) or (K, 1); logarithms of the variances.
    """
    w = np.asarray(w, dtype=float)
    if w.ndim != 2 or not w.size:
        raise WrongValue(f"latent_space: w must have shape (N, L) with N, L > 0, got {w.shape}")
    if not np.isfinite(w).all():
        raise WrongValue("latent_space: w must be finite; it holds NaN or infinite values")
    covariances = None
    if means is not None and logvars is not None:
        variances = np.broadcast_to(np.exp(np.asarray(logvars, float)), np.shape(means))
        covariances = variances[..., None] * np.eye(w.shape[1])
    plane = project(w, means, covariances, letter="w")
    panels = _panels(len(w), components, labels, 0 if means is None else len(means))
    shown = np.arange(len(w))
    if len(w) > MOST_POINTS:
        shown = np.random.default_rng(0).choice(len(w), MOST_POINTS, replace=False)
    in_use = [] if components is None else [int(k) for k in np.unique(components)]
    caption = _caption(plane, len(shown), len(w), components is not None)
    if components is not None and labels is not None:
        caption += " Matched components and labels share a colour."
    width = 5.2 * len(panels) + (0.4 if len(panels) == 1 else 0)
    figure = new_figure(width, 5.6, "The latent space: means of q(w|x)", caption)
    for axes, panel in zip(
        figure.subplots(1, len(panels), squeeze=False).flat, panels, strict=True
    ):
        if w.shape[1] == 1:
            _draw_line(axes, plane, panel)
        else:
            draw_plane(axes, plane, panel, shown, in_use)
    return figure


class Panel(NamedTuple):
    """How the points of one picture are grouped."""

    title: str
    groups: NDArray | None  # integer of each point
    names: dict[int, str]
    tints: dict[int, int]  # group -> index of its colour
    shows_components: bool  # the groups are the mixture's components


def _panels(
    count: int, components: NDArray | None, labels: NDArray | None, num_components: int
) -> list[Panel]:
    if components is None and labels is None:
        return [Panel("all examples", None, {}, {}, False)]
    panels: list[Panel] = []
    if components is not None:
        groups, checked = check_pair("latent_space", components, labels)
        total = max(num_components, int(groups.max()) + 1)
        tints = {k: k for k in range(total)}
        if labels is not None:
            found = match(groups, checked, total)
            free = iter(range(len(found.labels), len(found.labels) + total))
            tints = {k: found.partner[k] if k in found.partner else next(free) for k in tints}
        names = {k: str(k) for k in tints}
        panels.append(Panel("coloured by component", groups, names, tints, True))
    if labels is not None:
        values, groups = np.unique(np.asarray(labels), return_inverse=True)
        tints = {row: row for row in range(len(values))}
        names = {row: str(value) for row, value in enumerate(values)}
        panels.append(Panel("coloured by label", groups, names, tints, False))
    if any(p.groups is not None and len(p.groups) != count for p in panels):
        raise WrongValue(
            f"latent_space: expected one component or label for each of {count} points"
        )
    return panels


def project(
    w: NDArray, means: NDArray | None, covariances: NDArray | None, *, letter: str
) -> Plane:
    """See points and a mixture, means (K, L) and matrices (K, L, L), in the plane."""
    if w.shape[1] <= 2:
        basis, centre = np.eye(w.shape[1]), np.zeros(w.shape[1])
        names = (f"{letter}₁", f"{letter}₂" if w.shape[1] == 2 else "")
    else:
        centre = w.mean(0)
        _, spread, rows = np.linalg.svd(w - centre, full_matrices=False)
        basis = np.zeros((2, w.shape[1]))
        basis[: len(rows)] = rows[:2]  # fewer rows than two where there is one point
        share = spread**2 / max((spread**2).sum(), np.finfo(float).tiny)
        share = np.append(share, 0.0)
        names = tuple(f"principal component {i + 1} ({share[i]:.0%} of variance)" for i in (0, 1))
    flat = None if means is None else (np.asarray(means, float) - centre) @ basis.T
    if covariances is not None:
        covariances = basis @ covariances @ basis.T
    points = (w - centre) @ basis.T
    return Plane(points, flat, covariances, (names[0], names[1]), w.shape[1] > 2)


def _caption(plane: Plane, shown: int, total: int, has_components: bool) -> str:
    parts = []
    flat = plane.points.shape[1] == 1
    if plane.is_projection:
        parts.append("The plane of the two principal components.")
    if plane.covariances is not None and not flat and has_components:
        kind = "projected components" if plane.is_projection else "components p(w|z)"
        parts.append(f"Ellipses: 2σ of the {kind}, where they fit; numbers at their means.")
    elif plane.covariances is not None and not flat:
        parts.append("Dotted: 2σ of the prior.")
    if shown < total and not flat:
        parts.append(f"{shown:,} of {total:,} examples, drawn at random.")
    return " ".join(parts)


def draw_plane(axes: Axes, plane: Plane, panel: Panel, shown: NDArray, in_use: list[int]) -> None:
    """Draw the points at ``shown`` and the contours of the components, those in use coloured."""
    dress(axes, panel.title, *plane.axis_names)
    size = float(np.clip(9000 / len(shown), 3, 16))
    points = plane.points[shown]
    groups = np.zeros(len(shown), int) if panel.groups is None else panel.groups[shown]
    for group in np.unique(groups):
        tint = panel.tints.get(int(group), 0)
        axes.scatter(
            *points[groups == group].T, s=size, c=color(tint), marker=marker(tint), alpha=0.65,
            linewidths=0, zorder=2,
        )  # fmt: skip
    used = [] if panel.groups is None else [int(g) for g in np.unique(panel.groups)]
    alive = used if panel.shows_components else []
    _set_limits(axes, plane, in_use)
    if panel.shows_components or not in_use:
        _draw_mixture(axes, plane, panel, alive)
    _number(axes, _places(plane, panel, used), panel, used)


def _places(plane: Plane, panel: Panel, used: list[int]) -> NDArray:
    """Where to write the groups' numbers: a component's at its mean, a label's amid its points."""
    if panel.shows_components and plane.means is not None:
        return plane.means[used]
    return np.array([np.median(plane.points[panel.groups == g], axis=0) for g in used])


def _draw_mixture(axes: Axes, plane: Plane, panel: Panel, alive: list[int]) -> None:
    """Draw the components' 2-sigma contours; those that hold no example grey and dotted."""
    thick = 1.3 if len(alive) <= 20 else 0.8
    for k, mean in enumerate([] if plane.means is None else plane.means):
        tint = color(panel.tints.get(k, k)) if k in alive else FAINT
        if plane.covariances is not None:
            variances, directions = np.linalg.eigh(plane.covariances[k])
            angle = np.degrees(np.arctan2(directions[1, 1], directions[0, 1]))
            width, height = 4 * np.sqrt(np.maximum(variances[::-1], 0))  # 2 sigma either side
            if width > _WIDEST * np.ptp(axes.get_xlim()):
                continue  # no ellipse to the eye, and a dotted line that long takes minutes to draw
            axes.add_patch(
                Ellipse(
                    (mean[0], mean[1]), width, height, angle=float(angle), fill=False,
                    edgecolor=tint, linewidth=thick if k in alive else 0.7, zorder=3,
                    linestyle="-" if k in alive else ":",
                )
            )  # fmt: skip


def _number(axes: Axes, places: NDArray, panel: Panel, groups: list[int]) -> None:
    axes.figure.draw_without_rendering()  # type: ignore[union-attr]
    texts = [panel.names.get(g, str(g)) for g in groups]
    tints = [color(panel.tints.get(g, g)) for g in groups]
    write_numbers(axes, places, texts, tints, size=10.0 if len(groups) <= 20 else 8.0)


def _set_limits(axes: Axes, plane: Plane, alive: list[int]) -> None:
    """Frame nearly all points and every component in use; stray components may lie outside."""
    low, high = np.percentile(plane.points, [0.25, 99.75], axis=0)
    if plane.means is not None and alive:
        low = np.minimum(low, plane.means[alive].min(0))
        high = np.maximum(high, plane.means[alive].max(0))
        low, high = _with_contours(plane, alive, low, high)
    centre, reach = (low + high) / 2, 0.56 * float(max((high - low).max(), 1e-6))
    axes.set_aspect("equal", adjustable="box")  # circles must look like circles
    axes.set_xlim(centre[0] - reach, centre[0] + reach)
    axes.set_ylim(centre[1] - reach, centre[1] + reach)


def _with_contours(
    plane: Plane, alive: list[int], low: NDArray, high: NDArray
) -> tuple[NDArray, NDArray]:
    """Widen the frame to the contours, up to half as much again: points must stay in sight."""
    if plane.means is None or plane.covariances is None:
        return low, high
    reach = 2 * np.sqrt(np.diagonal(plane.covariances[alive], axis1=1, axis2=2))
    room = 0.25 * (high - low)
    return (
        np.maximum((plane.means[alive] - reach).min(0), low - room).clip(max=low),
        np.minimum((plane.means[alive] + reach).max(0), high + room).clip(min=high),
    )


def _draw_line(axes: Axes, plane: Plane, panel: Panel) -> None:
    """One latent dimension: stacked histograms, a mark at each component's mean."""
    dress(axes, panel.title, plane.axis_names[0], "examples")
    values = plane.points[:, 0]
    groups = np.zeros(len(values), int) if panel.groups is None else panel.groups
    used = [int(g) for g in np.unique(groups)]
    axes.hist(
        [values[groups == g] for g in used], bins=min(80, max(10, len(values) // 20)), stacked=True,
        color=[color(panel.tints.get(g, 0)) for g in used],
    )  # fmt: skip
    if panel.groups is not None:
        places = _places(plane, panel, used)[:, 0]
        height = axes.get_ylim()[1]
        levels = 1 if len(used) <= 12 else 4  # many numbers stand in several rows
        axes.set_ylim(0, (1.05 + 0.07 * levels) * height)
        for g, place in zip(used, places, strict=True):
            axes.axvline(place, color=color(panel.tints.get(g, 0)), linewidth=0.9)
        rows = np.argsort(np.argsort(places)) % levels
        _number(axes, np.c_[places, (1.05 + 0.07 * rows) * height], panel, used)
