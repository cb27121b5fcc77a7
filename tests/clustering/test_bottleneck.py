# SPDX-License-Identifier: MIT
"""Merging by the information bottleneck: its optimum, its moves, and what it cannot do."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from pyvae.clustering import bottleneck
from pyvae.clustering.bottleneck import information, merge, merged


def symmetric_joint(over: int, seed: int = 0) -> np.ndarray:
    given = np.random.RandomState(seed).rand(over, over) ** 6
    return (given + given.T) / (2.0 * given.sum())


@pytest.mark.parametrize("seed", range(5))
def test_the_best_of_all_maps(seed: int) -> None:
    pairs = symmetric_joint(7, seed)
    best = max(information(merged(pairs, np.array(g), 3)) for g in product(range(3), repeat=7))
    found = merge(pairs, 3, np.random.RandomState(seed), starts=20)
    assert found.information == pytest.approx(best, rel=1e-12)
    assert information(merged(pairs, found.into, 3)) == pytest.approx(best, rel=1e-12)
    assert found.reached == sorted(found.reached, reverse=True)
    assert found.reached[0] == found.information <= information(pairs)


def test_gains_are_those_of_the_merged_joints() -> None:
    pairs, random = symmetric_joint(12), np.random.RandomState(0)
    into = random.randint(4, size=12)
    for one in range(12):
        whole = []
        for cluster in range(4):
            moved = into.copy()
            moved[one] = cluster
            whole.append(information(merged(pairs, moved, 4)))
        gains = bottleneck._gains(pairs, into, one, 4)
        np.testing.assert_allclose(gains - gains[0], np.array(whole) - whole[0], atol=1e-14)


def test_no_single_move_gains_in_the_end() -> None:
    pairs = symmetric_joint(30)
    found = merge(pairs, 5, np.random.RandomState(0), starts=1)
    for one in range(30):
        gains = bottleneck._gains(pairs, found.into, one, 5)
        assert gains[found.into[one]] >= gains.max() - 1e-10


def test_twins_are_merged() -> None:
    pairs = np.kron(np.diag([0.5, 0.3, 0.2]), np.full((4, 4), 1.0 / 16.0))
    found = merge(pairs, 3, np.random.RandomState(1), starts=10)
    assert found.information == pytest.approx(information(pairs), rel=1e-12)
    assert all(len(set(found.into[4 * k : 4 * k + 4])) == 1 for k in range(3))


def test_as_many_as_there_are() -> None:
    pairs = symmetric_joint(5)
    found = merge(pairs, 5, np.random.RandomState(0), starts=3)
    assert sorted(found.into) == list(range(5))
    assert found.information == pytest.approx(information(pairs), rel=1e-12)


def test_clusters_that_nobody_is_in() -> None:
    pairs = np.zeros((4, 4))
    pairs[:2, :2] = np.diag([0.5, 0.5])
    assert merge(pairs, 2, np.random.RandomState(0), starts=5).information == pytest.approx(
        np.log(2.0)
    )


def test_more_than_there_are() -> None:
    with pytest.raises(ValueError, match="2 clusters cannot be merged to 3"):
        merge(symmetric_joint(2), 3, np.random.RandomState(0), starts=1)
