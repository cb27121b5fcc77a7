# SPDX-License-Identifier: MIT
"""Examples: originals beside reconstructions, samples of every component."""

from __future__ import annotations

import math

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from pyvae.errors import WrongValue

from .style import FAINT, INK, LABEL, PALETTE, color, dress, legend_above, new_figure


def reconstructions(
    x: NDArray, x_hat: NDArray, image_shape: tuple[int, int] | None = None
) -> Figure:
    """Draw originals beside their reconstructions.

    Images are shown in pairs, one under the other. Other data are standardised by the spread of
    each feature and shown as reconstruction against original, and feature by feature for the first
    examples.

    Parameters
    ----------
    x, x_hat
        Originals and reconstructions, (N, D).
    image_shape
        Height and width; None for data that are no images.
    """
    x, x_hat = np.asarray(x, dtype=float), np.asarray(x_hat, dtype=float)
    if x.ndim != 2 or x.shape != x_hat.shape or not x.size:
        raise WrongValue(
            "reconstructions: x and x_hat must have the same shape (N, D) with N, D > 0, got "
            f"{x.shape} and {x_hat.shape}"
        )
    if image_shape is not None:
        return _image_pairs(_as_images(x, image_shape), _as_images(x_hat, image_shape))
    return _feature_pairs(x, x_hat)


def component_samples(
    samples: NDArray,
    image_shape: tuple[int, int] | None = None,
    *,
    means: NDArray | None = None,
    shares: NDArray | None = None,
    title: str | None = None,
) -> Figure:
    """Draw samples of every component, one row (or, for other data, one panel) a component.

    Parameters
    ----------
    samples
        (K, n, D): n samples of each component. One component (K = 1) fills a square.
    image_shape
        Height and width; None for data that are no images.
    means
        (K, D): each component's decoded mean, shown first.
    shares
        (K,): the share of the data that each component holds, written beside its row.
    title
        What the picture shows, where the default says it wrongly.
    """
    samples = np.asarray(samples, dtype=float)
    if samples.ndim != 3 or not samples.size:
        raise WrongValue(
            f"component_samples: expected shape (K, n, D) with none of them 0, got {samples.shape}"
        )
    names = [_name(k, shares) for k in range(len(samples))]
    if title is None:
        one = len(samples) == 1
        title = "Samples of the prior, decoded" if one else "Samples of every component"
    if image_shape is None:
        return _component_lines(samples, means, names, title)
    if len(samples) == 1:
        return _image_square(_as_images(samples[0], image_shape), title)
    return _image_rows(samples, image_shape, means, names, title)


def _name(component: int, shares: NDArray | None) -> str:
    if shares is None:
        return str(component)
    share = f"{shares[component]:.0%}".rjust(3, "\u2007")  # a space as wide as a digit
    return f"{component}  {share}"


def _as_images(x: NDArray, image_shape: tuple[int, int]) -> NDArray:
    height, width = image_shape
    if height * width != x.shape[-1]:
        raise WrongValue(
            f"image_shape {height}x{width} needs {height * width} features, got {x.shape[-1]}"
        )
    return x.reshape(*x.shape[:-1], height, width)


def tile(images: NDArray, columns: int) -> NDArray:
    """Put images (N, H, W) into one mosaic with white seams (NaN, drawn as white)."""
    count, height, width = images.shape
    rows = math.ceil(count / columns)
    seam = max(1, round(max(height, width) / 14))
    mosaic = np.full((rows * (height + seam) - seam, columns * (width + seam) - seam), np.nan)
    for i, image in enumerate(images):
        top, left = i // columns * (height + seam), i % columns * (width + seam)
        mosaic[top : top + height, left : left + width] = image
    return mosaic


def _show(axes: Axes, mosaic: NDArray) -> None:
    axes.imshow(mosaic, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    axes.set_axis_off()


def _image_pairs(x: NDArray, x_hat: NDArray) -> Figure:
    columns = min(len(x), 12)
    bands = min(math.ceil(len(x) / columns), 4)
    count = bands * columns
    figure = new_figure(
        max(1.0 + 0.72 * columns, 5.0),
        0.8 + 1.62 * bands * x.shape[1] / x.shape[2],
        "Originals and their reconstructions",
        "Top of each pair: the original. Below: the decoder's mean at the mean of q(w|x).",
    )
    for band, axes in enumerate(figure.subplots(bands, 1, squeeze=False).flat):
        part = slice(band * columns, min((band + 1) * columns, len(x), count))
        size = part.stop - part.start
        both = np.full((2 * columns, *x.shape[1:]), np.nan)
        both[:size], both[columns : columns + size] = x[part], x_hat[part]
        _show(axes, tile(both, columns))
    return figure


def _image_square(images: NDArray, title: str) -> Figure:
    columns = min(20, math.ceil(math.sqrt(len(images))))
    images = images[: columns * columns]
    rows = math.ceil(len(images) / columns)
    figure = new_figure(
        max(0.6 + 0.62 * columns, 4.2),
        0.7 + 0.62 * rows * images.shape[1] / images.shape[2],
        title,
    )
    _show(figure.subplots(), tile(images, columns))
    return figure


def _image_rows(
    samples: NDArray,
    image_shape: tuple[int, int],
    means: NDArray | None,
    names: list[str],
    title: str,
) -> Figure:
    blocks = 1 if len(samples) <= 12 else 2 if len(samples) <= 30 else 3
    per_block = math.ceil(len(samples) / blocks)
    columns = min(samples.shape[1], {1: 12, 2: 8, 3: 6}[blocks])
    images = _as_images(samples[:, :columns], image_shape)
    shown = columns + (means is not None)
    ratio = image_shape[0] / image_shape[1]
    figure = new_figure(
        max(5.0, blocks * (0.75 + 0.6 * shown)),
        0.75 + 0.6 * per_block * ratio,
        title,
        "One row a component" + (" (with its share of the examples)" if "%" in names[0] else "")
        + ("; the first picture, set apart, is its decoded mean." if means is not None else "."),
    )  # fmt: skip
    heads = None if means is None else _as_images(np.asarray(means, dtype=float), image_shape)
    for block, axes in enumerate(figure.subplots(1, blocks, squeeze=False).flat):
        part = slice(block * per_block, min((block + 1) * per_block, len(samples)))
        _image_block(axes, images[part], None if heads is None else heads[part], names[part])
        pad = per_block - (part.stop - part.start)
        if pad > 0:  # blocks of unequal length keep one scale
            axes.set_ylim(axes.get_ylim()[0] * per_block / (per_block - pad), axes.get_ylim()[1])
    return figure


def _image_block(axes: Axes, images: NDArray, heads: NDArray | None, names: list[str]) -> None:
    count, columns, height, width = images.shape
    mosaic = tile(images.reshape(count * columns, height, width), columns)
    if heads is not None:
        gap = np.full((mosaic.shape[0], max(2, width // 4)), np.nan)
        mosaic = np.hstack([tile(heads, 1), gap, mosaic])
    _show(axes, mosaic)
    step = (mosaic.shape[0] - height) / max(count - 1, 1)
    for row, name in enumerate(names):
        axes.text(
            -0.18 * width, (height - 1) / 2 + row * step, name, ha="right", va="center",
            fontsize=LABEL, color=INK,
        )  # fmt: skip


def _even_scales(x: NDArray) -> tuple[NDArray, NDArray, str]:
    """Give the shift and scale that make features comparable, and the words that say so.

    Features whose spreads lie within a factor of ten share an axis as they are.
    """
    spread = x.std(0)
    varying = spread[spread > 0]
    if varying.size == 0 or varying.max() <= 10 * varying.min():
        return np.zeros_like(spread), np.ones_like(spread), "value"
    return x.mean(0), np.where(spread > 0, spread, 1.0), "standardised value"


def _feature_pairs(x: NDArray, x_hat: NDArray) -> Figure:
    centre, spread, unit = _even_scales(x)
    x, x_hat = (x - centre) / spread, (x_hat - centre) / spread
    lost = float(((x - x_hat) ** 2).sum() / max(((x - x.mean(0)) ** 2).sum(), 1e-300))
    figure = new_figure(
        10.8,
        5.0,
        "Originals and their reconstructions",
        "Reconstruction: the decoder's mean at the mean of q(w|x). "
        f"Variance explained: {max(0.0, 1 - lost):.0%}.",
    )
    grid = figure.subplot_mosaic([["all", "0", "1"], ["all", "2", "3"]], width_ratios=[1.75, 1, 1])
    _scatter(dress(grid.pop("all"), "all features", "original", "reconstruction"), x, x_hat)
    shape = "o" if x.shape[1] <= 40 else None
    for i, axes in enumerate(grid.values()):
        if i >= len(x):
            axes.set_axis_off()
            continue
        dress(axes, f"example {i}", "feature" if i > 1 else "", unit if i % 2 == 0 else "")
        for values, name, tint in ((x, "original", FAINT), (x_hat, "reconstruction", PALETTE[6])):
            axes.plot(values[i], color=tint, marker=shape, markersize=3, linewidth=1.3, label=name)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        axes.set_ylim(
            min(x[:4].min(), x_hat[:4].min()) - 0.1, max(x[:4].max(), x_hat[:4].max()) + 0.1
        )
    legend_above(grid["0"])
    return figure


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


def _component_lines(
    samples: NDArray, means: NDArray | None, names: list[str], title: str
) -> Figure:
    count, _, features = samples.shape
    columns = min(count, 5 if count <= 20 else 8)
    rows = math.ceil(count / columns)
    figure = new_figure(
        max(5.0, 0.6 + (2.1 if columns <= 5 else 1.5) * columns),
        1.1 + 1.45 * rows,
        title,
        "One panel a component" * (count > 1)
        + " (with its share of the examples)" * ("%" in names[0])
        + "." * (count > 1)
        + " Thin: samples. Thick: the decoded mean." * (means is not None),
    )
    centre, spread, unit = _even_scales(samples.reshape(-1, features))
    samples = (samples - centre) / spread
    means = None if means is None else (np.asarray(means, dtype=float) - centre) / spread
    shape = "o" if features <= 12 else None
    grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    for k, axes in enumerate(grid.flat):
        if k >= count:
            axes.set_axis_off()
            continue
        last = k + columns >= count
        dress(axes, names[k] if count > 1 else "", "feature" if last else "", "")
        axes.tick_params(labelbottom=last)
        axes.plot(
            samples[k, :30].T, color=color(k), linewidth=0.7, alpha=0.55, marker=shape, markersize=3
        )
        if means is not None:
            axes.plot(means[k], color=INK, linewidth=1.5, marker=shape, markersize=3)
    # shared by all panels
    grid[0, 0].xaxis.set_major_locator(MaxNLocator(4, integer=True, min_n_ticks=1))
    grid[0, 0].yaxis.set_major_locator(MaxNLocator(4))
    figure.supylabel(unit, fontsize=LABEL, color=INK)
    return figure
