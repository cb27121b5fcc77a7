# SPDX-License-Identifier: MIT
"""Nearest neighbours, which are views of an example as well: most are of its kind."""

from __future__ import annotations

import importlib
import importlib.util
import sys

import torch
from torch import Tensor

from pyvae.errors import WrongValue

_BLOCK = 2**24  # distances at a time
# Examples up to which all pairs are looked at; a GPU takes them in the time of a hundredth part.
_MOST_ON_CPU, _MOST_ON_GPU = 100_000, 1_000_000
_LIBRARY, _EXTRA = "faiss", "neighbors"
# Elsewhere it and torch each bring a copy of OpenMP, which is known to end the process.
_LIBRARY_RUNS = sys.platform == "linux"
# Of its graph: links of an example, and candidates while it is built and searched.
_LINKS, _WHILE_BUILT, _WHILE_SEARCHED = 16, 64, 32


def nearest(x: Tensor, count: int, coordinates: int = 50) -> Tensor:
    """Give the nearest of every example's neighbours, nearest first, ``(N, count)``.

    By Euclidean distance in the leading principal components, among all pairs up to 100,000
    examples (a million on a GPU). Beyond, on Linux, by a navigable graph, which finds nearly all
    and needs the extra ``neighbors``; there an example that has fewer is its own.

    Parameters
    ----------
    x
        Examples ``(N, ...)``.
    count
        Neighbours of each, fewer than N; the example is none of its own, but a copy of it is.
    coordinates
        Most principal components.

    Raises
    ------
    ValueError
        If the extra is needed and missing.

    References
    ----------
    Malkov & Yashunin (2020), "Efficient and robust approximate nearest neighbor search using
    hierarchical navigable small world graphs".
    """
    most = _MOST_ON_CPU if x.device.type == "cpu" else _MOST_ON_GPU
    exact = len(x) <= most or not _LIBRARY_RUNS
    if not exact and importlib.util.find_spec(_LIBRARY) is None:
        raise WrongValue(
            f"X has {len(x)} examples, and neighbours among more than {most} are sought by "
            f"{_LIBRARY}, which is not installed: pip install 'pyvae[{_EXTRA}]', or do without "
            "neighbours: n_neighbors=0"
        )
    points = _leading(x.flatten(1), coordinates)
    return _exact(points, count) if exact else _navigated(points, count)


def _leading(points: Tensor, coordinates: int) -> Tensor:
    """Give the leading principal components, ``(N, coordinates)`` at most."""
    points = points - points.mean(0)
    if points.shape[1] <= coordinates:
        return points
    scatter = (points.mT @ points).double()  # in float32 LAPACKs have failed on pixels always dark
    directions = torch.linalg.eigh(scatter)[1][:, -coordinates:]
    return points @ directions.to(points.dtype)


def _exact(points: Tensor, count: int) -> Tensor:
    squares = points.square().sum(1)
    found: list[Tensor] = []
    step = max(1, _BLOCK // len(points))
    for start in range(0, len(points), step):
        rows = slice(start, start + step)
        distances = torch.addmm(squares, points[rows], points.mT, alpha=-2.0)
        own = torch.arange(start, start + len(distances), device=points.device)
        distances[own - start, own] = torch.inf
        found.append(distances.topk(count, largest=False).indices)
    return torch.cat(found)


def _navigated(points: Tensor, count: int) -> Tensor:
    """Build the graph and search it, with as many threads as torch has; their number is no matter.

    From its version 1.15.1 on the library builds the same graph by any number.
    """
    library = importlib.import_module(_LIBRARY)
    rows, threads = points.cpu().contiguous().numpy(), library.omp_get_max_threads()
    library.omp_set_num_threads(torch.get_num_threads())
    try:
        index = library.IndexHNSWFlat(rows.shape[1], _LINKS)
        index.hnsw.efConstruction = max(_WHILE_BUILT, 2 * count)
        index.add(rows)
        index.hnsw.efSearch = max(_WHILE_SEARCHED, 2 * count)
        found = torch.from_numpy(index.search(rows, count + 1)[1])
    finally:
        library.omp_set_num_threads(threads)
    return without_own(found, count).to(points.device)


def without_own(found: Tensor, count: int) -> Tensor:
    """Leave every example out of its neighbours ``(N, more than count)``, nearest first.

    Where none was found, which is -1, an example is its own.
    """
    own = torch.arange(len(found))[:, None]
    last = (found == own).to(torch.uint8).argsort(dim=1, stable=True)
    others = found.gather(1, last)[:, :count]
    return torch.where(others < 0, own, others)
