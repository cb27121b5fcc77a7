# SPDX-License-Identifier: MIT
"""Examples: originals beside reconstructions, samples of every component."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from pyvae.errors import WrongValue

from ._tables import component_table, feature_pairs
from .style import INK, LABEL, new_figure


def reconstructions(
    x: NDArray,
    x_hat: NDArray,
    image_shape: Sequence[int] | None = None,
    *,
    feature_names: Sequence[str] | None = None,
) -> Figure:
    """Draw originals beside their reconstructions.

    Images are shown in pairs, one under the other. Tables are shown as reconstruction against
    original, and feature by feature for the first examples; features of very different spreads are
    standardised.

    Parameters
    ----------
    x, x_hat
        Originals and reconstructions, (N, D).
    image_shape
        (H, W), or (C, H, W) with channels first, as rows hold them: 1, 3 or 4 (grey, RGB, RGBA).
        None for tables.
    feature_names
        Of a table's columns, D of them; their numbers if left out. Images have no use for them.

    Returns
    -------
    The figure; it belongs to no pyplot state.
    """
    x, x_hat = np.asarray(x, dtype=float), np.asarray(x_hat, dtype=float)
    if x.ndim != 2 or x.shape != x_hat.shape or not x.size:
        raise WrongValue(
            "reconstructions: x and x_hat must have the same shape (N, D) with N, D > 0, got "
            f"{x.shape} and {x_hat.shape}"
        )
    if image_shape is not None:
        return _image_pairs(as_images(x, image_shape), as_images(x_hat, image_shape))
    return feature_pairs(x, x_hat, feature_names)


def component_samples(
    samples: NDArray,
    image_shape: Sequence[int] | None = None,
    *,
    means: NDArray | None = None,
    shares: NDArray | None = None,
    title: str | None = None,
    feature_names: Sequence[str] | None = None,
    mean_name: str = "decoded mean",
) -> Figure:
    """Draw samples of every component: a row of images each, or for tables a panel of dots.

    A table of many columns is drawn as a heat map, a block of rows a component.

    Parameters
    ----------
    samples
        (K, n, D): n samples of each component. One component (K = 1) fills a square.
    image_shape
        (H, W), or (C, H, W) with channels first, as rows hold them: 1, 3 or 4 (grey, RGB, RGBA).
        None for tables.
    feature_names
        Of a table's columns, D of them; their numbers if left out. Images have no use for them.
    means
        (K, D): each component's mean, shown first.
    shares
        (K,): the share of the data that each component holds, written beside its row.
    title, mean_name
        What the picture shows, and what its means are, where the defaults say it wrongly.

    Returns
    -------
    The figure; it belongs to no pyplot state.
    """
    samples = np.asarray(samples, dtype=float)
    if samples.ndim != 3 or not samples.size:
        raise WrongValue(
            f"component_samples: expected shape (K, n, D) with none of them 0, got {samples.shape}"
        )
    names = [row_name(k, shares) for k in range(len(samples))]
    if title is None:
        one = len(samples) == 1
        title = "Samples of the prior, decoded" if one else "Samples of every component"
    if image_shape is None:
        return component_table(samples, means, names, feature_names, title, mean_name)
    if len(samples) == 1:
        return _image_square(as_images(samples[0], image_shape), title)
    said = f"; the first picture, set apart, is its {mean_name}." * (means is not None)
    return _image_rows(samples, image_shape, means, names, (title, said or "."))


def row_name(component: int, shares: NDArray | None) -> str:
    if shares is None:
        return str(component)
    share = f"{shares[component]:.0%}".rjust(3, "\u2007")  # a space as wide as a digit
    return f"{component}  {share}"


def as_images(x: NDArray, image_shape: Sequence[int]) -> NDArray:
    """Give rows as images (..., H, W), or (..., H, W, C): colours are drawn from the last axis."""
    shape = tuple(image_shape)
    if len(shape) not in (2, 3) or shape[:-2] not in ((), (1,), (3,), (4,)):
        raise WrongValue(
            f"image_shape is {shape}; expected (height, width), or (channels, height, width) with "
            "1, 3 or 4 channels"
        )
    if math.prod(shape) != x.shape[-1]:
        raise WrongValue(
            f"image_shape {'x'.join(map(str, shape))} needs {math.prod(shape)} features, got "
            f"{x.shape[-1]}"
        )
    if shape[:-2] in ((), (1,)):
        return x.reshape(*x.shape[:-1], *shape[-2:])
    return np.moveaxis(x.reshape(*x.shape[:-1], *shape), -3, -1)


def tile(images: NDArray, columns: int) -> NDArray:
    """Put images (N, H, W) or (N, H, W, C) into one mosaic with seams of NaN, drawn as white."""
    count, height, width, *channels = images.shape
    rows = math.ceil(count / columns)
    seam = max(1, round(max(height, width) / 14))
    size = (rows * (height + seam) - seam, columns * (width + seam) - seam)
    mosaic = np.full((*size, *channels), np.nan)
    for i, image in enumerate(images):
        top, left = i // columns * (height + seam), i % columns * (width + seam)
        mosaic[top : top + height, left : left + width] = image
    return mosaic


def show_images(axes: Axes, mosaic: NDArray) -> None:
    """Draw black as 0 and white, or full colour, as 1; what lies beyond is cut off."""
    shades = np.where(np.isnan(mosaic), 1.0, np.clip(mosaic, 0.0, 1.0))
    axes.imshow(shades, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
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
        show_images(axes, tile(both, columns))
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
    show_images(figure.subplots(), tile(images, columns))
    return figure


def _image_rows(
    samples: NDArray,
    image_shape: Sequence[int],
    means: NDArray | None,
    names: list[str],
    words: tuple[str, str],
) -> Figure:
    blocks = 1 if len(samples) <= 12 else 2 if len(samples) <= 30 else 3
    per_block = math.ceil(len(samples) / blocks)
    columns = min(samples.shape[1], {1: 12, 2: 8, 3: 6}[blocks])
    images = as_images(samples[:, :columns], image_shape)
    shown = columns + (means is not None)
    ratio = image_shape[-2] / image_shape[-1]
    figure = new_figure(
        max(5.0, blocks * (0.75 + 0.6 * shown)),
        0.75 + 0.6 * per_block * ratio,
        words[0],
        "One row a component" + " (with its share of the examples)" * ("%" in names[0]) + words[1],
    )
    heads = None if means is None else as_images(np.asarray(means, dtype=float), image_shape)
    for block, axes in enumerate(figure.subplots(1, blocks, squeeze=False).flat):
        part = slice(block * per_block, min((block + 1) * per_block, len(samples)))
        _image_block(axes, images[part], None if heads is None else heads[part], names[part])
        pad = per_block - (part.stop - part.start)
        if pad > 0:  # blocks of unequal length keep one scale
            axes.set_ylim(axes.get_ylim()[0] * per_block / (per_block - pad), axes.get_ylim()[1])
    return figure


def _image_block(axes: Axes, images: NDArray, heads: NDArray | None, names: list[str]) -> None:
    count, columns, height, width, *channels = images.shape
    mosaic = tile(images.reshape(count * columns, height, width, *channels), columns)
    if heads is not None:
        gap = np.full((mosaic.shape[0], max(2, width // 4), *channels), np.nan)
        mosaic = np.hstack([tile(heads, 1), gap, mosaic])
    show_images(axes, mosaic)
    step = (mosaic.shape[0] - height) / max(count - 1, 1)
    for row, name in enumerate(names):
        axes.text(
            -0.18 * width, (height - 1) / 2 + row * step, name, ha="right", va="center",
            fontsize=LABEL, color=INK,
        )  # fmt: skip
