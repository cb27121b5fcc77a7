# SPDX-License-Identifier: MIT
"""The graph of neighbours, its embedding, and the walk on it, by what is known of them."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from pyvae.clustering.neighbor_graph import embedding, graph, joint_of_walk, parts


def cliques(sizes: list[int]) -> sparse.csr_array:
    """Join all within a clique, and none of two."""
    return sparse.csr_array(
        sparse.block_diag([np.ones((size, size)) - np.eye(size) for size in sizes])
    )


def ring(count: int) -> sparse.csr_array:
    each = np.arange(count)[:, None]
    return graph(np.concatenate([(each + 1) % count, (each - 1) % count], 1))


def random_graph(count: int = 60) -> sparse.csr_array:
    random = np.random.RandomState(0)
    others = [np.delete(np.arange(count), one) for one in range(count)]
    return graph(np.array([random.choice(each, 4, replace=False) for each in others]))


def test_a_weight_is_one_where_both_are_neighbors() -> None:
    weights = graph(np.array([[1], [0], [1]]))
    np.testing.assert_array_equal(
        weights.toarray(), [[0.0, 1.0, 0.0], [1.0, 0.0, 0.5], [0.0, 0.5, 0.0]]
    )
    assert parts(weights) == 1
    assert parts(cliques([3, 4, 5])) == 3


@pytest.mark.parametrize("sizes", [[3, 4, 5, 6], [7] * 8, [150] * 6, [300, 200, 100]])
def test_cliques_are_orthogonal_points(sizes: list[int]) -> None:
    """Of as many dimensions as there are cliques, and whatever solver finds these."""
    rows = embedding(cliques(sizes), len(sizes))
    clique = np.repeat(np.arange(len(sizes)), sizes)
    np.testing.assert_allclose(rows @ rows.T, clique[:, None] == clique, atol=1e-8)


def test_rows_out_of_reach_are_zero() -> None:
    """Three dimensions cannot reach four cliques of different examples, but give no NaN."""
    rows = embedding(cliques([200, 200, 200, 200]), 3)
    lengths = np.linalg.norm(rows, axis=1)
    assert np.all((lengths == 0.0) | (np.abs(lengths - 1.0) < 1e-12))


@pytest.mark.parametrize("count", [40, 601])
def test_of_a_ring_the_leading_vectors_are_waves(count: int) -> None:
    """A constant, and sine and cosine of one turn: the rows differ by the angle alone."""
    rows = embedding(ring(count), 3)
    angle = 2.0 * np.pi * np.arange(count) / count
    expected = (1.0 + 2.0 * np.cos(angle[:, None] - angle)) / 3.0
    np.testing.assert_allclose(rows @ rows.T, expected, atol=1e-8)


@pytest.mark.parametrize("count", [60, 700])
def test_the_order_of_examples_is_no_matter(count: int) -> None:
    weights = random_graph(count)
    order = np.random.RandomState(1).permutation(count)
    rows, again = embedding(weights, 6), embedding(weights[order][:, order], 6)
    np.testing.assert_allclose(again @ again.T, (rows @ rows.T)[order][:, order], atol=1e-7)
    np.testing.assert_array_equal(embedding(weights, 6), rows)


def test_a_walk_within_cliques_stays_there() -> None:
    labels = np.repeat([0, 1, 2], [3, 4, 5])
    for steps in (1, 2, 9):
        found = joint_of_walk(cliques([3, 4, 5]), labels, 3, steps)
        np.testing.assert_allclose(found, np.diag([6, 12, 20]) / 38, rtol=1e-12)


def test_a_walk_by_powers_of_its_matrix() -> None:
    weights = random_graph()
    labels = np.random.RandomState(2).randint(5, size=60)
    dense = weights.toarray()
    degrees = dense.sum(1)
    indicators = np.eye(6)[labels]  # one cluster is empty
    walk = np.diag(degrees) @ np.linalg.matrix_power(dense / degrees[:, None], 3)
    found = joint_of_walk(weights, labels, 6, 3)
    np.testing.assert_allclose(found, indicators.T @ walk @ indicators / degrees.sum(), rtol=1e-12)
    np.testing.assert_array_equal(found, found.T)


def test_a_long_walk_forgets_where_it_began() -> None:
    labels = np.random.RandomState(2).randint(5, size=60)
    found = joint_of_walk(random_graph(), labels, 5, 200)
    shares = found.sum(1)
    np.testing.assert_allclose(found, np.outer(shares, shares), rtol=1e-6)
