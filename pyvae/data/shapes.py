# SPDX-License-Identifier: MIT
"""Which arrays are images, where their channels are, and what scales them to [0, 1]."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np

_CHANNELS = (1, 3, 4)  # grey, RGB, RGBA
_READ = 1 << 24  # numbers at a time
_LEAST_SIDE = 8  # of an image that nothing but the number of its pixels tells from a table


def channels_first(stored: np.ndarray) -> np.ndarray:
    """Give images ``(N, H, W, C)`` as ``(N, C, H, W)``, torch's order; all others as they are.

    Nothing is copied: of a mapped file the rows are put in order as they are read.
    """
    if stored.ndim != 4 or stored.shape[1] in _CHANNELS or stored.shape[3] not in _CHANNELS:
        return stored
    return np.moveaxis(stored, 3, 1)


def image_shape(stored: np.ndarray) -> tuple[int, ...] | None:
    """Return ``(H, W)``, or ``(C, H, W)`` of several channels, where rows are images."""
    sizes = tuple(n for n in stored.shape[1:] if n > 1)
    if stored.ndim > 2 and len(sizes) == 2:
        return sizes
    if stored.ndim == 4 and stored.shape[1] in _CHANNELS[1:]:
        return stored.shape[1:]
    side = math.isqrt(stored.shape[1])
    # Flat rows of bytes, as published versions of MNIST hold them, are taken for square images.
    is_square = side >= _LEAST_SIDE and side**2 == stored.shape[1]
    if stored.dtype.kind in "bu" and stored.ndim == 2 and is_square:
        return side, side
    return None


def sides(shape: Sequence[int]) -> int:
    """Return how many dimensions of an example, in an array of that shape, are more than one."""
    return sum(size > 1 for size in shape[1:])


def scale(stored: np.ndarray) -> float:
    """1/255 for images of pixels from 0 to 255, unless all are 0 or 1 (binarised); else 1."""
    if image_shape(stored) is None and sides(stored.shape) < 2:
        return 1.0
    if stored.dtype == np.uint8:
        return byte_scale(stored)
    return 1 / 255 if _are_pixels(_parts(stored)) else 1.0


def byte_scale(stored: np.ndarray) -> float:
    """1/255 for bytes of any shape, unless all are 0 or 1: what there was before, of tables too."""
    if stored.dtype != np.uint8:
        return 1.0
    return 1 / 255 if any((part > 1).any() for part in _parts(stored)) else 1.0


def lie_within_one(stored: np.ndarray) -> bool:
    """Tell whether numbers of a floating type are in [0, 1]: scaled already."""
    parts = _parts(stored) if stored.dtype.kind == "f" else ()
    return stored.dtype.kind == "f" and all(float(part.max()) <= 1 for part in parts)


def _parts(stored: np.ndarray) -> Iterable[np.ndarray]:
    step = max(1, _READ // max(1, stored[:1].size))
    return (np.asarray(stored[i : i + step]) for i in range(0, len(stored), step))


def _are_pixels(parts: Iterable[np.ndarray]) -> bool:
    """Tell whether numbers of any type are grey levels from 0 to 255: what bytes could hold.

    Levels between them (of images that were resized) are so where they reach the upper half. What
    begins with fractions of 1 is scaled already, and is not read to its end.
    """
    largest, whole = 0.0, True
    for part in parts:
        if not ((part >= 0).all() and (part <= 255).all()):  # nor where one is NaN
            return False
        largest = max(largest, float(part.max()))
        whole = whole and bool((part == np.floor(part)).all())
        if largest <= 1 and not whole:
            return False
    return largest > 1 and (whole or largest > 127)
