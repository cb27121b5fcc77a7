# SPDX-License-Identifier: MIT
"""What the columns of a table are called, and the scales on which they can be compared."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pyvae.errors import WrongValue

from .style import shortened


class Features(NamedTuple):
    """What the columns of a table are called on a picture."""

    labels: list[str]
    named: bool  # and not only numbered


def features_of(count: int, names: Sequence[str] | None, caller: str) -> Features:
    """Check the names of so many features, and make them fit to be drawn."""
    if names is None:
        return Features([str(i) for i in range(count)], named=False)
    if isinstance(names, str) or len(names) != count:
        came = repr(names) if isinstance(names, str) else f"{len(names)} of them"
        raise WrongValue(
            f"{caller}: feature_names must hold one name for each of {count} features, got {came}"
        )
    return Features([shortened(str(name)) for name in names], named=True)


def even_scales(x: NDArray) -> tuple[NDArray, NDArray, str]:
    """Give the shift and scale that make features comparable, and the words that say so.

    Features whose spreads lie within a factor of ten share an axis as they are.
    """
    spread = x.std(0)
    varying = spread[spread > 0]
    if varying.size == 0 or varying.max() <= 10 * varying.min():
        return np.zeros_like(spread), np.ones_like(spread), "value"
    return x.mean(0), np.where(spread > 0, spread, 1.0), "standardised value"
