# SPDX-License-Identifier: MIT
"""k-means++ draws points of every cluster, as scikit-learn's does."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.cluster import kmeans_plusplus

from pyvae.mixture import seeding
from pyvae.mixture.seeding import seeds


def _inertia(x: np.ndarray, centres: np.ndarray, weight: np.ndarray) -> float:
    return float((weight * ((x[:, None] - centres) ** 2).sum(2).min(1)).sum())


@pytest.mark.parametrize("many", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_as_good_as_scikit_learn(
    dtype: torch.dtype, many: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One point by one, and, where there are many, from candidates of a few passes."""
    monkeypatch.setattr(seeding, "_MANY", 0 if many else 2**60)
    random = np.random.default_rng(0)
    centres = 10 * random.normal(size=(20, 3))
    x = (centres[:, None] + random.normal(size=(20, 60, 3))).reshape(-1, 3)
    weight = random.uniform(0.5, 2.0, len(x))
    ours, theirs = [], []
    for seed in range(20):
        state = np.random.RandomState(seed)
        rows = seeds(torch.from_numpy(x).to(dtype), torch.from_numpy(weight).to(dtype), 20, state)
        assert len(rows.unique()) == 20
        ours.append(_inertia(x, x[rows.numpy()], weight))
        found, _ = kmeans_plusplus(x, 20, sample_weight=weight, random_state=seed)
        theirs.append(_inertia(x, found, weight))
    assert np.median(ours) < 1.1 * np.median(theirs)


def test_points_without_weight_are_not_drawn() -> None:
    x = torch.tensor([[0.0], [1.0], [2.0], [100.0]])
    weight = torch.tensor([1.0, 1.0, 1.0, 0.0])
    for seed in range(20):
        assert 3 not in seeds(x, weight, 3, np.random.RandomState(seed)).tolist()


def test_candidates_of_many_points(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few points far away are found, those without weight are not drawn, copies are no trap."""
    monkeypatch.setattr(seeding, "_MANY", 0)
    monkeypatch.setattr(seeding, "_ELEMENTS", 100)  # some points at a time
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(400, 2, generator=generator)
    x[:3] += 1e3 * torch.eye(3)[:, :2] + 500.0
    x[3] = -1e5
    weight = torch.ones(400)
    weight[3] = 0.0
    for seed in range(10):
        rows = seeds(x, weight, 5, np.random.RandomState(seed)).tolist()
        assert len(set(rows)) == 5
        assert {0, 1, 2} <= set(rows)
        assert 3 not in rows
    copies = seeds(torch.zeros(400, 2), torch.ones(400), 5, np.random.RandomState(0))
    assert copies.shape == (5,)


def test_fewer_places_than_seeds() -> None:
    rows = seeds(torch.zeros(4, 2), torch.ones(4), 3, np.random.RandomState(0))
    assert rows.shape == (3,)
    assert ((rows >= 0) & (rows < 4)).all()
