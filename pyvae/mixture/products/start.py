# SPDX-License-Identifier: MIT
"""Where a fit of a mixture of products starts: an M step from first responsibilities.

They leave no component without a share in any point: a probability of zero would never leave it.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import reduce
from operator import add

import numpy as np
import torch
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning
from torch import Tensor
from torch.nn import functional

from pyvae.mixture.processes import Processes
from pyvae.mixture.products.product import Product, ProductParameters, ProductSums
from pyvae.mixture.products.rows import Rows

METHODS = ("kmeans", "random")
_SHARED = 0.1  # of a point, evenly among all components
_MOST_NUMBERS, _LEAST_ROWS = 2**23, 2**12  # that k-means looks at

Shares = Callable[[Tensor], Tensor]  # first responsibilities (N, K) of points


def of_one_component(product: Product, rows: Rows, processes: Processes) -> ProductParameters:
    """Give the maximum likelihood of one component: means, variances, frequencies of all data."""
    some, _ = rows.sample(_LEAST_ROWS)
    reference = product.reference(some)
    reference = reference.of_tensors(processes.of_the_first(reference.tensors()))
    sums = _sums(product, rows, lambda x: x.new_ones(len(x), 1), reference)
    sums = sums.from_flat(processes.total(sums.flat()))
    return product.m_step(sums)


def start(
    product: Product,
    rows: Rows,
    whole: ProductParameters,
    num_components: int,
    method: str,
    random: np.random.RandomState,
    processes: Processes,
) -> ProductParameters:
    """Give parameters to start from, by one M step.

    ``"kmeans"`` gives a point to the nearest centre, but for a tenth that all components share; of
    very many points the centres are those of a sample, of several processes those of the first.
    ``"random"`` draws responsibilities that are uniform but for their sum.
    """
    if method == "random":
        width, shares = 1, _random(num_components, random)
    else:
        width, shares = _nearest(product, rows, whole, num_components, random, processes)
    blocks = tuple(
        tuple(part.expand(num_components, -1) for part in block) for block in whole.blocks
    )
    reference = ProductParameters(whole.weights.expand(num_components) / num_components, blocks)
    sums = _sums(product, rows, shares, reference, width)
    return product.m_step(sums.from_flat(processes.total(sums.flat())))


def _sums(
    product: Product, rows: Rows, shares: Shares, reference: ProductParameters, width: int = 1
) -> ProductSums:
    width = max(rows.source.shape[1], len(reference.weights), width)
    parts = (product.sums(x, w, shares(x), reference) for x, w in rows.chunks(width))
    return reduce(add, parts)


def _random(k: int, random: np.random.RandomState) -> Shares:
    def shares(x: Tensor) -> Tensor:
        drawn = torch.from_numpy(random.uniform(size=(len(x), k))).to(x.device)
        return drawn / drawn.sum(1, keepdim=True)

    return shares


def _nearest(
    product: Product,
    rows: Rows,
    whole: ProductParameters,
    k: int,
    random: np.random.RandomState,
    processes: Processes,
) -> tuple[int, Shares]:
    """Give the numbers that a point takes where distances are, and the shares."""
    width = product.embedded(rows.sample(1)[0], whole).shape[1]
    some, weight = rows.sample(max(_MOST_NUMBERS // max(1, width), _LEAST_ROWS, k))
    points = product.embedded(some, whole)
    few = min(k, len(points))
    kmeans = KMeans(few, n_init=1, random_state=random)  # type: ignore[arg-type]
    with warnings.catch_warnings():
        # Fewer distinct points than clusters: some centres are the same.
        warnings.simplefilter("ignore", ConvergenceWarning)
        kmeans.fit(points.cpu().numpy(), sample_weight=_array(weight))
    centres = torch.from_numpy(kmeans.cluster_centers_).to(points)[torch.arange(k) % few]
    (centres,) = processes.of_the_first([centres])

    def shares(x: Tensor) -> Tensor:
        labels = torch.cdist(product.embedded(x, whole), centres).argmin(1)
        return (1.0 - _SHARED) * functional.one_hot(labels, k).double() + _SHARED / k

    return width, shares


def _array(weight: Tensor | None) -> np.ndarray | None:
    return None if weight is None else weight.cpu().numpy()
