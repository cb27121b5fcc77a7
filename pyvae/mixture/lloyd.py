# SPDX-License-Identifier: MIT
"""k-means by the ops, for points on a GPU.

It is EM of equal spheres so small that a point is in the nearest one's alone. So a step is one call
of the op, its sums have a fixed order, and several steps are under way before the host looks. So
far from their centre, in such spheres, components have their differences taken first.

Source: Lloyd (1982), "Least squares quantization in PCM"; for the limit Bishop (2006), section
9.3.2.
"""

from __future__ import annotations

import torch
from torch import Tensor

from pyvae import ops
from pyvae.mixture.kind import TINY
from pyvae.mixture.seeding import nearest

_MOST_LOOKS, _STEPS = 30, 10  # at how far the centres moved, after so many steps each
_STANDS = 1e-4  # sum of squared moves, in variances of a coordinate: scikit-learn's
_RADIUS = 2.0**-14  # variance of a sphere, in the points'
_EMPTY = 1e-6  # points


def clusters(x: Tensor, weight: Tensor, centres: Tensor) -> Tensor:
    """Give the clusters that k-means comes to from centres ``(K, D)``, ``(N,)``.

    A cluster that has lost its points goes on at one of those that are farthest from a centre.
    """
    k, point = len(centres), weight.sum() / len(x)
    share = weight / weight.sum()
    variance = (share @ (x - share @ x).square()).mean()
    least = torch.finfo(x.dtype).tiny / _RADIUS
    logvars = (variance.clamp_min(least) * _RADIUS).log().expand(k, 1)
    even = x.new_zeros(k)
    for _ in range(_MOST_LOOKS):
        moves, counts = even, even
        for _ in range(_STEPS):
            found = ops.mixture_statistics(x, even, centres, logvars, weight)
            moves, counts = found.sum_dx / found.counts.clamp_min(TINY)[:, None], found.counts
            centres = centres + moves.to(x.dtype)
        lost = (counts < _EMPTY * point).nonzero()[:, 0]
        if len(lost):
            farthest = (nearest(x, centres) * weight).topk(min(k, len(x))).indices
            centres[lost[: len(farthest)]] = x[farthest[: len(lost)]]
        elif moves.square().sum() <= _STANDS * variance:
            break
    return ops.mixture_predict(x, even, centres, logvars).component
