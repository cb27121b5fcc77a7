# SPDX-License-Identifier: MIT
"""Which clusters were merged into which."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from pyvae.errors import WrongValue

from ._examples import as_images, row_name, show_images, tile
from .style import INK, LABEL, new_figure


def merges(
    images: NDArray, into: NDArray, image_shape: Sequence[int], *, shares: NDArray | None = None
) -> Figure:
    """Draw what each of M clusters holds, in the row of the one of K that it was merged into.

    Parameters
    ----------
    images
        (M, n, D): n images of each cluster; NaN where it has fewer.
    into
        (M,): the cluster, from 0 on, that each was merged into.
    image_shape
        (H, W), or (C, H, W) with channels first, as rows hold them: 1, 3 or 4 (grey, RGB, RGBA).
    shares
        (M,): the share of the data that each holds. They order a row, and those that hold nothing
        are left out.

    Returns
    -------
    The figure.
    """
    images, into = np.asarray(images, dtype=float), np.asarray(into)
    if images.ndim != 3 or not images.size or into.shape != images.shape[:1]:
        raise WrongValue(
            "merges: images must be (M, n, D) with none of them 0, and into (M,), got "
            f"{images.shape} and {into.shape}"
        )
    held = np.ones(len(into)) if shares is None else np.asarray(shares, dtype=float)
    if held.shape != into.shape:
        raise WrongValue(f"merges: shares must be ({len(into)},), got {held.shape}")
    order = [k for k in np.argsort(-held, kind="stable") if held[k] > 0]
    rows = {k: [j for j in order if into[j] == k] for k in range(int(into.max()) + 1)}
    strips = {
        k: _strip([tile(as_images(images[j], image_shape), images.shape[1]) for j in row])
        for k, row in rows.items()
        if row
    }
    if not strips:
        raise WrongValue("merges: no cluster holds anything")
    height, width = next(iter(strips.values())).shape[0], image_shape[-1]
    mosaic = _stacked(list(strips.values()), gap=max(2, height // 5))
    figure = new_figure(
        max(5.0, 0.9 + 0.011 * mosaic.shape[1] * 28 / width),
        0.75 + 0.011 * mosaic.shape[0] * 28 / width,
        "What was merged",
        "One row a cluster"
        + (" (with its share of the examples)" if shares is not None else "")
        + ": its most typical examples, those of each cluster that went into it set apart.",
    )
    axes = figure.subplots()
    show_images(axes, mosaic)
    step = (mosaic.shape[0] - height) / max(len(strips) - 1, 1)
    whole = None if shares is None else np.bincount(into, held)
    for line, k in enumerate(strips):
        axes.text(
            -0.18 * width, (height - 1) / 2 + line * step, row_name(k, whole), ha="right",
            va="center", fontsize=LABEL, color=INK,
        )  # fmt: skip
    return figure


def _strip(groups: list[NDArray]) -> NDArray:
    """Put mosaics side by side, with gaps of NaN."""
    height, *channels = groups[0].shape[0], *groups[0].shape[2:]
    gap = np.full((height, max(2, height // 2), *channels), np.nan)
    parts = [part for group in groups for part in (gap, group)]
    return np.hstack(parts[1:])


def _stacked(strips: list[NDArray], gap: int) -> NDArray:
    """Put mosaics of one height one below the other, all as wide as the widest."""
    height, _, *channels = strips[0].shape
    width = max(strip.shape[1] for strip in strips)
    mosaic = np.full((len(strips) * (height + gap) - gap, width, *channels), np.nan)
    for i, strip in enumerate(strips):
        top = i * (height + gap)
        mosaic[top : top + height, : strip.shape[1]] = strip
    return mosaic
