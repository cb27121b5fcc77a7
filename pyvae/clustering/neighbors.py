# SPDX-License-Identifier: MIT
"""Nearest neighbours, which are views of an example as well: most are of its kind."""

from __future__ import annotations

import torch
from torch import Tensor

_BLOCK = 2**24  # distances at a time


def nearest(x: Tensor, count: int, coordinates: int = 50) -> Tensor:
    """Give the nearest of every example's neighbours, nearest first, ``(N, count)``.

    By Euclidean distance in the leading principal components; exact in these.

    Parameters
    ----------
    x
        Examples ``(N, ...)``.
    count
        Neighbours of each, fewer than N; the example is none of its own, but a copy of it is.
    coordinates
        Most principal components.
    """
    flat = x.flatten(1)
    flat = flat - flat.mean(0)
    if flat.shape[1] > coordinates:
        directions = torch.linalg.eigh(flat.mT @ flat)[1][:, -coordinates:]
        flat = flat @ directions
    squares = flat.square().sum(1)
    found: list[Tensor] = []
    step = max(1, _BLOCK // len(flat))
    for start in range(0, len(flat), step):
        rows = slice(start, start + step)
        distances = torch.addmm(squares, flat[rows], flat.mT, alpha=-2.0)
        own = torch.arange(start, start + len(distances), device=x.device)
        distances[own - start, own] = torch.inf
        found.append(distances.topk(count, largest=False).indices)
    return torch.cat(found)
