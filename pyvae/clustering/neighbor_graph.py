# SPDX-License-Identifier: MIT
"""The graph of nearest neighbours, its spectral embedding, and what a walk on it tells.

With symmetric weights W and degrees d_i = sum_j W_ij, the leading eigenvectors of
D^-1/2 W D^-1/2 are those that a random walk on the graph forgets last. Their rows, normalised, are
points on a sphere where examples lie together that the walk seldom leaves; the rows of separate
parts of the graph are orthogonal.

Of a walk in equilibrium that is in cluster J now and in J' some steps later, the joint is
P = H^T D (D^-1 W)^steps H / sum d, with H the clusters' indicators. It is symmetric, since the walk
is reversible, and a step is an example and one of its neighbours.

Sources: Ng, Jordan & Weiss (2001), "On spectral clustering: analysis and an algorithm"; Tishby &
Slonim (2000), "Data clustering by Markovian relaxation and the information bottleneck method".
"""

from __future__ import annotations

import numpy as np
from scipy import linalg, sparse
from scipy.sparse.linalg import eigsh

_DENSE = 500  # examples up to which all of the matrix is no matter


def graph(neighbors: np.ndarray) -> sparse.csr_array:
    """Join every example and its neighbours ``(N, count)``: weights ``(N, N)``, symmetric.

    One where either is a neighbour of the other, half of it where only one is.
    """
    count, each = neighbors.shape
    rows = np.repeat(np.arange(count), each)
    directed = sparse.coo_array(
        (np.full(count * each, 0.5), (rows, neighbors.ravel())), shape=(count, count)
    ).tocsr()
    return directed + directed.T


def parts(weights: sparse.csr_array) -> int:
    """Count what of a graph hangs together."""
    return int(sparse.csgraph.connected_components(weights, directed=False)[0])


def embedding(weights: sparse.csr_array, dimension: int) -> np.ndarray:
    """Give the rows of the leading eigenvectors, of length one, ``(N, dimension)``.

    A row that they do not reach, which takes more parts of the graph than dimensions, is zero.

    Examples
    --------
    >>> import numpy as np
    >>> pairs = graph(np.array([[1], [0], [3], [2]]))
    >>> rows = embedding(pairs, 2)
    >>> np.allclose(rows @ rows.T, np.kron(np.eye(2), np.ones((2, 2))))
    True
    """
    count = len(_degrees(weights))
    scale = sparse.diags_array(1.0 / np.sqrt(_degrees(weights)))
    walk = scale @ weights @ scale
    if count <= max(_DENSE, 2 * dimension):
        leading = (count - dimension, count - 1)
        vectors = linalg.eigh(walk.toarray(), subset_by_index=leading)[1]
    else:
        start = np.random.RandomState(0).uniform(size=count)
        vectors = eigsh(walk, k=dimension, which="LA", v0=start)[1]
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(lengths > count * np.finfo(vectors.dtype).eps, lengths, np.inf)


def joint_of_walk(
    weights: sparse.csr_array, labels: np.ndarray, clusters: int, steps: int
) -> np.ndarray:
    """Give the joint of the clusters ``labels (N,)`` now and some steps later, ``(M, M)``.

    Examples
    --------
    >>> pairs = graph(np.array([[1], [0], [3], [2]]))
    >>> joint_of_walk(pairs, np.array([0, 0, 1, 1]), 2, steps=3)
    array([[0.5, 0. ],
           [0. , 0.5]])
    """
    indicators = np.eye(clusters)[labels]
    degrees = _degrees(weights)[:, None]
    later = indicators
    for _ in range(steps):
        later = weights @ later / degrees
    found = indicators.T @ (degrees * later) / degrees.sum()
    return 0.5 * (found + found.T)


def _degrees(weights: sparse.csr_array) -> np.ndarray:
    return np.asarray(weights.sum(1)).ravel()
