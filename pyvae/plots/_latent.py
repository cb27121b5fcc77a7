# SPDX-License-Identifier: MIT
"""The latent space in the plane."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Ellipse
from numpy.typing import NDArray

from pyvae.errors import WrongValue

from ._matching import check_pair, match
from .style import FAINT, color, dress, marker, new_figure, shortened, write_numbers

_WIDEST = 3.0  # contours wider than so many times the frame are left out
MOST_POINTS = 6000  # more only paint one another over


class Plane(NamedTuple):
    """Points and mixture, seen in two dimensions (or one)."""

    points: NDArray  # (N, 2), or (N, 1)
    means: NDArray | None  # (K, 2)
    covariances: NDArray | None  # (K, 2, 2)
    axis_names: tuple[str, str]
    basis: NDArray  # (2, L): the axes' directions
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
    map of a Gaussian is a Gaussian, so the ellipses are the components' own 1-sigma contours in
    either case (in the projection: of the projected component), thin and behind the points, and
    only of components that hold some. An example whose label is not the one that its component is
    matched with is a cross.

    Parameters
    ----------
    w
        Latent points, (N, L).
    components, labels
        Integers, one a point. Colours of matched components and labels agree.
    means, logvars
        The mixture, (K, L) and (K, L) or (K, 1); logarithms of the variances.

    Returns
    -------
    The figure; it belongs to no pyplot state.
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
        caption += (
            " Matched components and labels share a colour; a cross is an example of another label."
        )
    width = 5.2 * len(panels) + (0.4 if len(panels) == 1 else 0)
    figure = new_figure(width, 5.6, "The latent space: means of q(w|x)", caption)
    for axes, panel in zip(
        figure.subplots(1, len(panels), squeeze=False).flat, panels, strict=True
    ):
        if w.shape[1] == 1:
            _draw_line(axes, plane, panel)
            continue
        frame(axes, _extent(plane, in_use))
        draw_plane(axes, plane, panel, shown, sigmas=1.0 if panel.shows_components else 2.0)
    return figure


class Panel(NamedTuple):
    """How the points of one picture are grouped."""

    title: str
    groups: NDArray | None  # integer of each point
    names: dict[int, str]
    tints: dict[int, int]  # group -> index of its colour
    shows_components: bool  # the groups are the mixture's components
    astray: NDArray | None = None  # of each point, whether its label is not its component's


def _panels(
    count: int, components: NDArray | None, labels: NDArray | None, num_components: int
) -> list[Panel]:
    if components is None and labels is None:
        return [Panel("all examples", None, {}, {}, False)]
    panels: list[Panel] = []
    if components is not None:
        groups, checked = check_pair("latent_space", components, labels)
        total = max(num_components, int(groups.max()) + 1)
        tints, astray = {k: k for k in range(total)}, None
        if labels is not None:
            found = match(groups, checked, total)
            free = iter(range(len(found.labels), len(found.labels) + total))
            tints = {k: found.partner[k] if k in found.partner else next(free) for k in tints}
            partner = np.array([found.partner.get(k, -1) for k in range(total)])
            astray = partner[groups] != np.searchsorted(found.labels, checked)
        names = {k: str(k) for k in tints}
        panels.append(Panel("coloured by component", groups, names, tints, True, astray))
    if labels is not None:
        values, groups = np.unique(np.asarray(labels), return_inverse=True)
        tints = {row: row for row in range(len(values))}
        names = {row: shortened(str(value)) for row, value in enumerate(values)}
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
    return Plane(points, flat, covariances, (names[0], names[1]), basis, w.shape[1] > 2)


def _caption(plane: Plane, shown: int, total: int, has_components: bool) -> str:
    parts = []
    flat = plane.points.shape[1] == 1
    if plane.is_projection:
        parts.append("The plane of the two principal components.")
    if plane.covariances is not None and not flat and has_components:
        kind = "projected components" if plane.is_projection else "components p(w|z)"
        parts.append(f"Ellipses: 1σ of the {kind}; numbers at their means.")
    elif plane.covariances is not None and not flat:
        parts.append("Dotted: 2σ of the prior.")
    if shown < total and not flat:
        parts.append(f"{shown:,} of {total:,} examples, drawn at random.")
    return " ".join(parts)


def draw_plane(axes: Axes, plane: Plane, panel: Panel, shown: NDArray, *, sigmas: float) -> None:
    """Draw the points at ``shown``, and the contours of the components that hold some behind them.

    The frame must be final: texts are moved apart in it.
    """
    dress(axes, panel.title, *plane.axis_names)
    size = float(np.clip(12_000 / len(shown), 4, 18))
    points = plane.points[shown]
    groups = np.zeros(len(shown), int) if panel.groups is None else panel.groups[shown]
    astray = np.zeros(len(shown), bool) if panel.astray is None else panel.astray[shown]
    for group in np.unique(groups):
        tint, mine = panel.tints.get(int(group), 0), groups == group
        axes.scatter(
            *points[mine & ~astray].T, s=size, c=color(tint), marker=marker(tint), alpha=0.7,
            linewidths=0, zorder=2,
        )  # fmt: skip
        if (mine & astray).any():
            axes.scatter(
                *points[mine & astray].T, s=1.6 * size, c=color(tint), marker="x", alpha=0.9,
                linewidths=0.8, zorder=2,
            )  # fmt: skip
    used = [] if panel.groups is None else [int(g) for g in np.unique(panel.groups)]
    if panel.shows_components:
        _draw_contours(axes, plane, used, [color(panel.tints.get(k, k)) for k in used], sigmas)
    elif panel.groups is None and plane.means is not None:
        every = list(range(len(plane.means)))
        _draw_contours(axes, plane, every, [FAINT] * len(every), sigmas, linestyle=":")
    _number(axes, _places(plane, panel, used), panel, used)


def _places(plane: Plane, panel: Panel, used: list[int]) -> NDArray:
    """Where to write the groups' numbers: a component's at its mean, a label's amid its points."""
    if panel.shows_components and plane.means is not None:
        return plane.means[used]
    return np.array([np.median(plane.points[panel.groups == g], axis=0) for g in used])


def _draw_contours(
    axes: Axes, plane: Plane, which: list[int], tints: list[str], sigmas: float, **how: Any
) -> None:
    """Draw contours of components, so many standard deviations about their means."""
    if plane.means is None or plane.covariances is None:
        return
    thin = 0.8 if len(which) <= 20 else 0.6
    for k, tint in zip(which, tints, strict=True):
        variances, directions = np.linalg.eigh(plane.covariances[k])
        angle = np.degrees(np.arctan2(directions[1, 1], directions[0, 1]))
        width, height = 2 * sigmas * np.sqrt(np.maximum(variances[::-1], 0))
        if width > _WIDEST * max(np.ptp(axes.get_xlim()), np.ptp(axes.get_ylim())):
            continue  # no ellipse to the eye, and a dotted line that long takes minutes to draw
        axes.add_patch(
            Ellipse(
                (plane.means[k][0], plane.means[k][1]), width, height, angle=float(angle),
                fill=False, edgecolor=tint, linewidth=thin, alpha=0.8, zorder=1.5, **how,
            )
        )  # fmt: skip


def _number(axes: Axes, places: NDArray, panel: Panel, groups: list[int]) -> None:
    axes.figure.draw_without_rendering()  # type: ignore[union-attr]
    texts = [panel.names.get(g, str(g)) for g in groups]
    tints = [color(panel.tints.get(g, g)) for g in groups]
    write_numbers(axes, places, texts, tints, size=10.0 if len(groups) <= 20 else 8.0)


def _extent(plane: Plane, used: list[int]) -> tuple[NDArray, NDArray]:
    """Corners of what must be seen: nearly all points, and the means of components in use."""
    low, high = np.percentile(plane.points, [0.25, 99.75], axis=0)
    if plane.means is not None and used:
        low = np.minimum(low, plane.means[used].min(0))
        high = np.maximum(high, plane.means[used].max(0))
    return low, high


def extent_with_contours(plane: Plane, used: list[int]) -> tuple[NDArray, NDArray]:
    """Widen it to the 2-sigma contours, up to half as much again: points must stay in sight."""
    low, high = _extent(plane, used)
    if plane.means is None or plane.covariances is None or not used:
        return low, high
    reach = 2 * np.sqrt(np.diagonal(plane.covariances[used], axis1=1, axis2=2))
    room = 0.25 * (high - low)
    return (
        np.maximum((plane.means[used] - reach).min(0), low - room).clip(max=low),
        np.minimum((plane.means[used] + reach).max(0), high + room).clip(min=high),
    )


def frame(axes: Axes, corners: tuple[NDArray, NDArray], *, equal: bool = True) -> None:
    """Set the limits; with equal scales circles look like circles."""
    low, high = corners
    centre, reach = (low + high) / 2, 0.56 * np.maximum(high - low, 1e-6)
    if equal:
        reach = np.full(2, reach.max())
        axes.set_aspect("equal", adjustable="box")
    axes.set_xlim(centre[0] - reach[0], centre[0] + reach[0])
    axes.set_ylim(centre[1] - reach[1], centre[1] + reach[1])


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
