# SPDX-License-Identifier: MIT
"""Counts of components against labels, and the one-to-one matching of the two."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from pyvae.errors import WrongValue


class Matching(NamedTuple):
    """A contingency table and its best one-to-one matching."""

    counts: NDArray  # (labels, components)
    labels: NDArray  # the label values, one a row
    partner: dict[int, int]  # component -> row of counts
    order: NDArray  # components: the matched ones by row, then the others by their main row


def match(components: NDArray, labels: NDArray, num_components: int) -> Matching:
    """Match components with labels so that the matched cells hold the most examples (Kuhn 1955)."""
    values, rows = np.unique(labels, return_inverse=True)
    counts = np.zeros((len(values), num_components), dtype=np.int64)
    np.add.at(counts, (rows, components), 1)
    matched_rows, matched_columns = linear_sum_assignment(counts, maximize=True)
    partner = {int(k): int(row) for row, k in zip(matched_rows, matched_columns, strict=True)}
    size, main = counts.sum(0), counts.argmax(0)
    order = sorted(
        range(num_components),
        key=lambda k: (k not in partner, partner.get(k, 0), size[k] == 0, main[k], -size[k]),
    )
    return Matching(counts, values, partner, np.array(order, dtype=np.int64))


def check_pair(name: str, components: NDArray, labels: NDArray | None) -> tuple[NDArray, NDArray]:
    """Give both as integer vectors of one length."""
    components = np.asarray(components)
    labels = components if labels is None else np.asarray(labels)
    if components.ndim != 1 or components.shape != labels.shape:
        raise WrongValue(
            f"{name}: expected one component and one label for each example, got shapes "
            f"{components.shape} and {labels.shape}"
        )
    return components.astype(np.int64), labels
