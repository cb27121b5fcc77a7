# SPDX-License-Identifier: MIT
"""Trimmed k-means: clusters of the points that are near one, without the share that is farthest.

k-means has no such share, so a few points far away get a cluster of their own, and two clusters
share what is left. Which points are left out is found with the clusters; and so is how many. One
too few of them, and the squares of those that are kept count for more than all clusters do. So
shares are compared by the sum of log(distance^2 + s^2), in which no point far away counts for much,
and the least is taken that does as well as any.

Source: Cuesta-Albertos, Gordaliza & Matrán (1997), "Trimmed k-means: an attempt to robustify
quantizers".
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from pyvae.errors import WrongValue

SHARES = (0.1, 0.2, 0.3, 0.4)  # of the points, by their weights
SINGLE_POINTS = ("k-means++", "random_from_data")  # starts at these
_AS_WELL = 0.05  # within which the mean logarithms say the same of two shares
_STARTS, _MOST_STEPS = 10, 30  # of each share
_MOST_ROWS = 2**12  # that each start looks at
_ELEMENTS = 2**22  # distances at a time


def trimmed_method(method: str) -> str:
    """Give the start beside noise that stands for one without it.

    Raises
    ------
    ValueError
        If that starts at single points: beside these everything is noise.
    """
    if method in SINGLE_POINTS:
        raise WrongValue(
            f"init_params={method!r} starts at single points, beside which all others are noise; "
            'with noise="uniform" expected "kmeans", "trimmed_kmeans" or "random"'
        )
    return "trimmed_kmeans" if method in ("short_em", "kmeans") else method


def trimmed_kmeans(
    x: Tensor, weight: Tensor, k: int, random: np.random.RandomState
) -> tuple[Tensor, Tensor]:
    """Give the clusters of the points that are kept, and these points' rows.

    Of several starts on some of the points, evenly spread, the one goes on with all of them whose
    points are nearest to their centres.
    """
    counted = weight.nonzero()[:, 0]
    taken = min(len(counted), _MOST_ROWS)
    index = counted[torch.arange(taken, device=x.device) * len(counted) // max(taken, 1)]
    some, theirs = x[index], weight[index]
    found = [_best_of_starts(some, theirs, k, share, random) for share in SHARES]
    share, centres = _least_that_does(some, theirs, found)
    labels = _clusters(x, weight, centres, share)
    kept = (labels >= 0).nonzero()[:, 0]
    return labels[kept], kept


def trimmed_clusters(x: Tensor, weight: Tensor, centres: Tensor) -> Tensor:
    """Give the clusters that k-means comes to from centres ``(K, D)``, -1 for what is left out."""
    found = [_moved(x, weight, centres, share)[0] for share in SHARES]
    share, centres = _least_that_does(x, weight, found)
    return _clusters(x, weight, centres, share)


def _best_of_starts(
    x: Tensor, weight: Tensor, k: int, share: float, random: np.random.RandomState
) -> Tensor:
    starts = (_moved(x, weight, _seeds(x, weight, k, share, random), share) for _ in range(_STARTS))
    return min(starts, key=lambda start: start[1])[0]


def _least_that_does(x: Tensor, weight: Tensor, found: list[Tensor]) -> tuple[float, Tensor]:
    """Give the least of the shares whose centres are as near to the points as any, and these."""
    distances = [_nearest(x, centres)[0].double() for centres in found]
    medians = torch.stack([distance[weight > 0].median() for distance in distances])
    square = medians.min().clamp_min(torch.finfo(torch.float64).tiny)
    logs = torch.stack([(distance / square).log1p() for distance in distances])
    costs = logs @ weight.double() / weight.double().sum()
    chosen = int((costs <= costs.min() + _AS_WELL).int().argmax())
    return SHARES[chosen], found[chosen]


def _clusters(x: Tensor, weight: Tensor, centres: Tensor, share: float) -> Tensor:
    centres, _ = _moved(x, weight, centres, share)
    distance, nearest = _nearest(x, centres)
    return torch.where(_kept(distance, weight, share), nearest, -1)


def _moved(x: Tensor, weight: Tensor, centres: Tensor, share: float) -> tuple[Tensor, float]:
    """Give the centres that k-means comes to, and the sum of squares that they leave.

    A cluster that loses its points keeps its centre.
    """
    before, left = math.inf, math.inf
    for _ in range(_MOST_STEPS):
        distance, nearest = _nearest(x, centres)
        kept = torch.where(_kept(distance, weight, share), weight, 0.0)
        left = (distance * kept).double().sum().item()
        if not left < before:
            break
        before = left
        counts = kept.new_zeros(len(centres)).index_add_(0, nearest, kept)
        sums = torch.zeros_like(centres).index_add_(0, nearest, x * kept[:, None])
        centres = torch.where(counts[:, None] > 0, sums / counts[:, None], centres)
    return centres, left


def _seeds(
    x: Tensor, weight: Tensor, k: int, share: float, random: np.random.RandomState
) -> Tensor:
    """Draw centres as k-means++ does, none of them among the farthest at its turn."""
    chance, drawn, distance = weight.double(), [], None
    for uniform in random.random_sample(k).tolist():
        total = chance.cumsum(0)
        if not total[-1] > 0:  # no more points than centres
            total = weight.double().cumsum(0)
        row = int(torch.searchsorted(total, uniform * total[-1], right=True).clamp_max(len(x) - 1))
        drawn.append(row)
        squares = (x - x[row]).square().sum(1)
        distance = squares if distance is None else torch.minimum(distance, squares)
        chance = torch.where(_kept(distance, weight, share), distance * weight, 0.0).double()
    return x[drawn]


def _kept(distance: Tensor, weight: Tensor, share: float) -> Tensor:
    """Tell which points are left when the farthest share is taken away, by their weights."""
    order = torch.argsort(distance, descending=True, stable=True)
    beyond = weight.double()[order].cumsum(0) <= share * weight.double().sum()
    kept = torch.empty_like(beyond)
    kept[order] = ~beyond
    return kept & (weight > 0)


def _nearest(x: Tensor, centres: Tensor) -> tuple[Tensor, Tensor]:
    parts = x.split(max(1, _ELEMENTS // len(centres)))
    found = [torch.cdist(part, centres).square().min(1) for part in parts]
    return torch.cat([part.values for part in found]), torch.cat([part.indices for part in found])
