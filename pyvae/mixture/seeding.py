# SPDX-License-Identifier: MIT
"""k-means++: points far apart from each other, drawn at random."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

_MANY = 2**22  # points times seeds from which on candidates are drawn first
_ROUNDS, _OVERSAMPLED = 3, 2  # passes, and candidates of each, in k
_ELEMENTS, _ELEMENTS_ON_GPU = 2**20, 2**26  # distances at a time
_FEW = 2**18  # numbers up to which a turn on the CPU takes less than a GPU's kernels need to start


def seeds(
    x: Tensor, weight: Tensor, k: int, random: np.random.RandomState, trials: int | None = None
) -> Tensor:
    """Draw k points of ``(N, D)``, each with a chance in proportion to its squared distance.

    That is its distance to the nearest point drawn before, times its weight. Of a few drawn each
    time (``trials``; None is 2 + log k) the one is kept that leaves the least sum of these. Where
    one pass over all points for each of the k would take long, a few passes draw many, of which the
    k are drawn.

    Returns
    -------
    Their rows, ``(k,)``.

    References
    ----------
    Arthur & Vassilvitskii (2007), "k-means++: the advantages of careful seeding"; for the choice
    among a few, their section 6. Bahmani et al. (2012), "Scalable k-means++", for many points.
    """
    if len(x) * k >= _MANY and len(x) >= 8 * _ROUNDS * _OVERSAMPLED * k:
        candidates, stands_for = _candidates(x, weight, k, random)
        if len(candidates) > k:
            return candidates[_by_turns(x[candidates], stands_for, k, random, trials)]
    return _by_turns(x, weight, k, random, trials)


def nearest(x: Tensor, centres: Tensor) -> Tensor:
    """Give every point's squared distance to the nearest of these centres, ``(N,)``."""
    squares, step = x.square().sum(1), _rows_at_a_time(x, len(centres))
    parts = zip(x.split(step), squares.split(step), strict=True)
    return torch.cat([_distances(part, own, centres).amin(1) for part, own in parts])


def _by_turns(
    x: Tensor, weight: Tensor, k: int, random: np.random.RandomState, trials: int | None
) -> Tensor:
    """k-means++: a pass over all points for each one drawn, as a matrix product."""
    if not x.is_cpu and x.numel() <= _FEW:
        return _by_turns(x.cpu(), weight.cpu(), k, random, trials).to(x.device)
    trials = 2 + int(math.log(k)) if trials is None else trials
    squares = x.square().sum(1)
    draws = torch.from_numpy(random.random_sample((k, trials))).to(x.device)
    rows = [_drawn(weight, draws[0, :1])]
    nearest = _distances(x, squares, x[rows[0]])[:, 0]
    nearest[rows[0]] = 0.0  # exactly: it is not drawn again
    each = torch.arange(trials, device=x.device)
    for uniform in draws[1:]:
        candidates = _drawn(nearest * weight, uniform)
        distances = torch.minimum(_distances(x, squares, x[candidates]), nearest[:, None])
        distances[candidates, each] = 0.0
        best = (weight @ distances).argmin(0, keepdim=True)  # an index of size one is not read
        rows.append(candidates[best])
        nearest = distances.index_select(1, best).view(-1)
    return torch.cat(rows)


def _candidates(
    x: Tensor, weight: Tensor, k: int, random: np.random.RandomState
) -> tuple[Tensor, Tensor]:
    """k-means||: rows drawn by a few passes, and the weight of the points nearest to each."""
    draws = torch.from_numpy(random.random_sample((_ROUNDS, len(x)))).to(x)
    first = torch.from_numpy(random.random_sample(1)).to(x.device)
    rows = _drawn(weight, first)
    nearest = torch.full_like(weight, math.inf)
    owner = torch.zeros(len(x), dtype=torch.int64, device=x.device)
    squares = x.square().sum(1)
    _approach(x, squares, rows, 0, nearest, owner)
    for draw in draws:
        chance = nearest * weight
        share = _OVERSAMPLED * k / chance.double().sum().clamp_min(1e-300)
        drawn = (draw < share.to(x.dtype) * chance).nonzero()[:, 0]
        _approach(x, squares, drawn, len(rows), nearest, owner)
        rows = torch.cat([rows, drawn])
    stands_for = torch.zeros(len(rows), dtype=torch.float64, device=x.device)
    return rows, stands_for.index_add_(0, owner, weight.double()).to(weight.dtype)


def _approach(
    x: Tensor, squares: Tensor, rows: Tensor, first: int, nearest: Tensor, owner: Tensor
) -> None:
    """Note for every point whether one of these, numbered from ``first`` on, is nearer."""
    if not len(rows):
        return
    centres, step = x[rows], _rows_at_a_time(x, len(rows))
    for at in range(0, len(x), step):
        part = slice(at, at + step)
        least, which = _distances(x[part], squares[part], centres).min(1)
        nearer = least < nearest[part]
        owner[part] = torch.where(nearer, which + first, owner[part])
        nearest[part] = torch.where(nearer, least, nearest[part])
    nearest[rows] = 0.0


def _drawn(chance: Tensor, uniform: Tensor) -> Tensor:
    """Draw rows in proportion to their chance, or evenly where none has any."""
    total = chance.double().cumsum(0)
    drawn = torch.searchsorted(total, uniform * total[-1], right=True)
    evenly = (uniform * len(chance)).long()
    return torch.where(total[-1] > 0, drawn, evenly).clamp_max(len(chance) - 1)


def _rows_at_a_time(x: Tensor, centres: int) -> int:
    return max(1, (_ELEMENTS if x.is_cpu else _ELEMENTS_ON_GPU) // max(1, centres))


def _distances(x: Tensor, squares: Tensor, centres: Tensor) -> Tensor:
    """Squared distances of points, with their own squares, to centres, ``(N, K)``."""
    found = torch.addmm(squares[:, None], x, centres.T, alpha=-2.0)
    return found.add_(centres.square().sum(1)).clamp_min_(0.0)
