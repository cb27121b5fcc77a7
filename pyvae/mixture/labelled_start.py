# SPDX-License-Identifier: MIT
"""Where a fit of partly labelled points starts: components with labels amid theirs, others apart.

Source: Basu, Banerjee & Mooney (2002), "Semi-supervised clustering by seeding": clusters are found
from the labelled points' means on, and what is labelled stays where it belongs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from pyvae.errors import WrongValue
from pyvae.mixture.labels import UNKNOWN
from pyvae.mixture.points import Points
from pyvae.mixture.processes import Processes

_ELEMENTS = 2**22  # distances at a time
Parts = list[tuple[Tensor, Tensor]]  # of every component the points, and its shares in them
# Rows, their weights and centres in, clusters out: -1 for points that are in none.
Clusters = Callable[[Tensor, Tensor, Tensor], Tensor]


def labelled_parts(
    points: Points,
    num_components: int,
    most: int,
    random: np.random.RandomState,
    clusters: Clusters,
    *,
    scattered: bool,
) -> Parts:
    """Give first shares of at most so many points with labels, and of as many without.

    Parameters
    ----------
    points, num_components, most, random
        What is started from.
    clusters
        What finds clusters about the components' centres.
    scattered
        Whether points without labels have random shares in all components instead.

    Raises
    ------
    ValueError
        If every point has labels, and a component none of them.
    """
    assert points.labels is not None
    component = points.labels.most_probable()
    if (component != UNKNOWN).all() and len(component.unique()) < num_components:
        component = points.labels.component.clamp_min(UNKNOWN)  # what is not certain is free
    known, weight, index = _those(points, component != UNKNOWN, most)
    free, free_weight, _ = _those(points, component == UNKNOWN, most)
    shares = torch.nn.functional.one_hot(component[index], num_components) * weight[:, None]
    counts = shares.sum(0)
    lacking = (counts == 0).nonzero()[:, 0]
    if len(lacking) and not len(free):
        raise WrongValue(
            f"every point has a label, and none that of components {lacking.tolist()}: set "
            "n_components to the number of labels, or leave some points unknown"
        )
    parts = [(known[share > 0], share[share > 0]) for share in shares.T]
    if not len(free):
        return parts
    if scattered:
        drawn = torch.from_numpy(random.uniform(size=(len(free), num_components))).to(free.device)
        drawn = drawn / drawn.sum(1, keepdim=True) * free_weight[:, None]
        return _joined(parts, [(free, share) for share in drawn.T])
    centres = shares.T @ known / counts[:, None]
    drawn = _apart(free, free_weight, centres[counts > 0], len(lacking), random)
    centres[lacking] = free[drawn]
    together = torch.cat([known, free]), torch.cat([weight, free_weight])
    found = clusters(*together, centres)[len(known) :]
    rows = [found == k for k in range(num_components)]
    return _joined(parts, [(free[some], free_weight[some]) for some in rows])


def nearest_centres(rows: Tensor, weight: Tensor, centres: Tensor) -> Tensor:
    """Give every row the nearest of the centres; some at a time, as there may be many of either."""
    parts = rows.split(max(1, _ELEMENTS // len(centres)))
    return torch.cat([torch.cdist(part, centres).argmin(1) for part in parts])


def require_labels_of_the_first(points: Points, num_components: int, processes: Processes) -> None:
    """Refuse labels that the first process, which the start is of, has none of.

    Raises
    ------
    ValueError
        In all processes.
    """
    if not processes.several:
        return
    counts = points.origin.new_zeros(num_components, dtype=torch.float64)
    if points.labels is not None:
        component = points.labels.most_probable()
        counts += torch.bincount(component[component != UNKNOWN], minlength=num_components)
    (first,) = processes.of_the_first([counts])
    lacking = ((processes.total(counts) > 0) & (first == 0)).nonzero()[:, 0].tolist()
    if lacking:
        raise WrongValue(
            f"rank 0, whose points the fit starts from, has no point labelled {lacking}, and "
            "another rank has: deal out the labelled points evenly"
        )


def _those(points: Points, wanted: Tensor, most: int) -> tuple[Tensor, Tensor, Tensor]:
    """Give at most so many of some points, in float64, with their weights and numbers."""
    weight = wanted.double() if points.weight is None else wanted * points.weight.double()
    some = replace(points, weight=weight, labels=None)
    index = some.spread(most).to(weight.device)
    return some.rows(index).double().nan_to_num(nan=0.0), weight[index], index


def _apart(
    x: Tensor, weight: Tensor, centres: Tensor, count: int, random: np.random.RandomState
) -> Tensor:
    """Draw rows far from centres and from each other, as k-means++ does; ``(count,)``."""
    drawn = torch.empty(count, dtype=torch.int64, device=x.device)
    nearest = torch.ones_like(weight)
    if len(centres):
        nearest = torch.cdist(x, centres).square().min(1).values
    for number, uniform in enumerate(random.random_sample(count).tolist()):
        chance = nearest * weight
        total = (chance if chance.sum() > 0 else weight).cumsum(0)
        row = torch.searchsorted(total, uniform * total[-1], right=True).clamp_max(len(x) - 1)
        drawn[number] = row
        squares = (x - x[row]).square().sum(1)
        nearest = torch.minimum(nearest, squares) if number or len(centres) else squares
    return drawn


def _joined(parts: Parts, more: Parts) -> Parts:
    return [
        (torch.cat([x, others]), torch.cat([share, of_others]))
        for (x, share), (others, of_others) in zip(parts, more, strict=True)
    ]
