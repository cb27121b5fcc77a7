# SPDX-License-Identifier: MIT
"""k-means++: points far apart from each other, drawn at random."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor


def seeds(x: Tensor, weight: Tensor, k: int, random: np.random.RandomState) -> Tensor:
    """Draw k points of ``(N, D)``, each with a chance in proportion to its squared distance.

    That is its distance to the nearest point drawn before, times its weight. Of a few drawn each
    time the one is kept that leaves the least sum of these. The products are one matrix product a
    point, where scikit-learn's checks and copies take most of the time.

    Returns
    -------
    Their rows, ``(k,)``.

    References
    ----------
    Arthur & Vassilvitskii (2007), "k-means++: the advantages of careful seeding"; for the choice
    among a few, their section 6.
    """
    trials = 2 + int(math.log(k))
    squares = x.square().sum(1)
    draws = torch.from_numpy(random.random_sample((k, trials))).to(x.device)
    rows = torch.empty(k, dtype=torch.int64, device=x.device)
    rows[0] = _drawn(weight, draws[0, :1])[0]
    nearest = _distances(x, squares, rows[:1])[:, 0]
    for number in range(1, k):
        candidates = _drawn(nearest * weight, draws[number])
        distances = torch.minimum(_distances(x, squares, candidates), nearest[:, None])
        best = (weight @ distances).argmin()
        rows[number], nearest = candidates[best], distances[:, best].contiguous()
    return rows


def _drawn(chance: Tensor, uniform: Tensor) -> Tensor:
    """Draw rows in proportion to their chance, or evenly where none has any."""
    total = chance.double().cumsum(0)
    if not total[-1] > 0:
        return (uniform * len(chance)).long().clamp_max(len(chance) - 1)
    return torch.searchsorted(total, uniform * total[-1], right=True).clamp_max(len(chance) - 1)


def _distances(x: Tensor, squares: Tensor, rows: Tensor) -> Tensor:
    """Squared distances of all points to some, ``(N, rows)``; to itself exactly zero."""
    found = torch.addmm(squares[:, None], x, x[rows].T, alpha=-2.0).add_(squares[rows])
    found.clamp_min_(0.0)
    found[rows, torch.arange(len(rows), device=x.device)] = 0.0
    return found
