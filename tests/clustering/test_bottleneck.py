# SPDX-License-Identifier: MIT
"""Merging by the information bottleneck: its optimum, its moves, and what it cannot do."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from pyvae.clustering import bottleneck
from pyvae.clustering.bottleneck import information, merge, merge_uncut, merged


def symmetric_joint(over: int, seed: int = 0) -> np.ndarray:
    given = np.random.RandomState(seed).rand(over, over) ** 6
    return (given + given.T) / (2.0 * given.sum())


@pytest.mark.parametrize("balance", [1.0, 0.6])
@pytest.mark.parametrize("seed", range(5))
def test_the_best_of_all_maps(seed: int, balance: float) -> None:
    pairs = symmetric_joint(7, seed)
    maps = map(np.array, product(range(3), repeat=7))
    best = max(information(merged(pairs, into, 3), balance) for into in maps)
    found = merge(pairs, 3, np.random.RandomState(seed), starts=20, balance=balance)
    assert found.objective == pytest.approx(best, rel=1e-12)
    kept = information(merged(pairs, found.into, 3))
    assert found.information == pytest.approx(kept, rel=1e-12)
    assert kept <= information(pairs)
    assert found.reached == sorted(found.reached, reverse=True)
    assert found.reached[0] == found.objective


@pytest.mark.parametrize("balance", [1.0, 0.6, 2.0])
def test_gains_are_those_of_the_merged_joints(balance: float) -> None:
    pairs, random = symmetric_joint(12), np.random.RandomState(0)
    into = random.randint(4, size=12)
    for one in range(12):
        whole = []
        for cluster in range(4):
            moved = into.copy()
            moved[one] = cluster
            whole.append(information(merged(pairs, moved, 4), balance))
        gains = bottleneck._gains(pairs, into, one, 4, balance)
        np.testing.assert_allclose(gains - gains[0], np.array(whole) - whole[0], atol=1e-14)


def test_no_single_move_gains_in_the_end() -> None:
    pairs = symmetric_joint(30)
    found = merge(pairs, 5, np.random.RandomState(0), starts=1)
    for one in range(30):
        gains = bottleneck._gains(pairs, found.into, one, 5, balance=1.0)
        assert gains[found.into[one]] >= gains.max() - 1e-10


def test_twins_are_merged() -> None:
    pairs = np.kron(np.diag([0.5, 0.3, 0.2]), np.full((4, 4), 1.0 / 16.0))
    found = merge(pairs, 3, np.random.RandomState(1), starts=10)
    assert found.information == pytest.approx(information(pairs), rel=1e-12)
    assert all(len(set(found.into[4 * k : 4 * k + 4])) == 1 for k in range(3))


@pytest.mark.parametrize("balance", [1.0, 0.5])
def test_what_a_cut_gains(balance: float) -> None:
    share, crossing = 0.7, 0.2
    pairs = np.zeros((3, 3))
    pairs[0, 0] = 1.0 - share
    pairs[1:, 1:] = 0.5 * share * np.array([[1 - crossing, crossing], [crossing, 1 - crossing]])
    whole = information(merged(pairs, np.array([0, 1, 1]), 2), balance)
    h = -crossing * np.log(crossing) - (1 - crossing) * np.log(1 - crossing)
    gain = share * (balance * np.log(2.0) - h)
    assert information(pairs, balance) - whole == pytest.approx(gain, rel=1e-12)


def test_a_balance_below_one_parts_no_large_cluster_for_its_entropy() -> None:
    """Halves of a large one that a quarter of its pairs cross, beside two small ones apart."""
    pairs = np.zeros((4, 4))
    pairs[:2, :2] = 0.9 * np.array([[0.375, 0.125], [0.125, 0.375]])
    pairs[2:, 2:] = np.diag([0.05, 0.05])
    by = {b: merge(pairs, 3, np.random.RandomState(0), 20, b).into for b in (1.0, 0.8)}
    assert by[1.0][0] != by[1.0][1]
    assert by[1.0][2] == by[1.0][3]
    assert by[0.8][0] == by[0.8][1]
    assert by[0.8][2] != by[0.8][3]


def test_the_least_balance_that_all_are_in_use_at_where_information_cuts() -> None:
    apart = merge_uncut(
        np.kron(np.eye(2), [[0.45, 0.05], [0.05, 0.45]]), 4, np.random.RandomState(0), 5
    )
    assert apart.balance == 1.0  # h(0.1) is less than half of log 2
    near = np.kron(np.eye(2), [[0.4, 0.1], [0.1, 0.4]]) / 2.0  # views leave a half at 0.2: h = 0.72
    found = merge_uncut(near, 4, np.random.RandomState(0), 5)
    assert found.balance == 0.8
    assert sorted(found.into) == [0, 1, 2, 3]
    dead = np.zeros((8, 8))
    dead[:4, :4] = near
    assert merge_uncut(dead, 4, np.random.RandomState(0), 20).balance == 0.8
    none = merge_uncut(np.full((4, 4), 1.0 / 16.0), 4, np.random.RandomState(0), 5)
    assert none.balance == 1.0


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
