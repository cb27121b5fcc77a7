# SPDX-License-Identifier: MIT
"""Trimmed k-means: clusters of the points that are near one, without the share that is farthest.

k-means has no such share, so a few points far away get a cluster of their own, and two clusters
share what is left. Which points are left out is found with the clusters.

Source: Cuesta-Albertos, Gordaliza & Matrán (1997), "Trimmed k-means: an attempt to robustify
quantizers".
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from pyvae.errors import WrongValue

TRIMMED = 0.1  # of the points, by their weights
_STARTS, _MOST_STEPS = 10, 30
_ELEMENTS = 2**22  # distances at a time


def trimmed_method(method: str) -> str:
    """Give the start beside noise that stands for one without it.

    Raises
    ------
    ValueError
        If that starts at single points: beside these everything is noise.
    """
    if method in ("k-means++", "random_from_data"):
        raise WrongValue(
            f"init_params={method!r} starts at single points, beside which all others are noise; "
            'with noise="uniform" expected "kmeans", "trimmed_kmeans" or "random"'
        )
    return "trimmed_kmeans" if method == "kmeans" else method


def trimmed_kmeans(
    x: Tensor, weight: Tensor, k: int, random: np.random.RandomState
) -> tuple[Tensor, Tensor]:
    """Give the clusters of the points that are kept, and these points' rows.

    Of several starts the one is kept whose points are nearest to their centres.
    """
    best, least = None, math.inf
    for _ in range(_STARTS):
        labels, cost = trimmed_clusters(x, weight, _seeds(x, weight, k, random))
        if best is None or cost < least:
            best, least = labels, cost
    assert best is not None
    kept = (best >= 0).nonzero()[:, 0]
    return best[kept], kept


def trimmed_clusters(x: Tensor, weight: Tensor, centres: Tensor) -> tuple[Tensor, float]:
    """Give the clusters about centres ``(K, D)``, -1 for what is left out, and their squares' sum.

    A cluster that loses its points keeps its centre.
    """
    k, before = len(centres), None
    for _ in range(_MOST_STEPS):
        distance, nearest = _nearest(x, centres)
        kept = _kept(distance, weight)
        labels = torch.where(kept, nearest, -1)
        if before is not None and torch.equal(labels, before):
            break
        before, share = labels, torch.where(kept, weight, 0.0)
        counts = share.new_zeros(k).index_add_(0, nearest, share)
        sums = torch.zeros_like(centres).index_add_(0, nearest, x * share[:, None])
        centres = torch.where(counts[:, None] > 0, sums / counts[:, None], centres)
    return labels, (distance * torch.where(kept, weight, 0.0)).double().sum().item()


def _seeds(x: Tensor, weight: Tensor, k: int, random: np.random.RandomState) -> Tensor:
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
        chance = torch.where(_kept(distance, weight), distance * weight, 0.0).double()
    return x[drawn]


def _kept(distance: Tensor, weight: Tensor) -> Tensor:
    """Tell which points are left when the farthest share is taken away, by their weights."""
    order = torch.argsort(distance, descending=True, stable=True)
    beyond = weight.double()[order].cumsum(0) <= TRIMMED * weight.double().sum()
    kept = torch.empty_like(beyond)
    kept[order] = ~beyond
    return kept & (weight > 0)


def _nearest(x: Tensor, centres: Tensor) -> tuple[Tensor, Tensor]:
    parts = x.split(max(1, _ELEMENTS // len(centres)))
    found = [torch.cdist(part, centres).square().min(1) for part in parts]
    return torch.cat([part.values for part in found]), torch.cat([part.indices for part in found])
