# SPDX-License-Identifier: MIT
"""Trimmed k-means: clusters without what is farthest, by weights."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from pyvae.mixture import GaussianMixture, trimming
from tests.mixture.drawing import clusters


def scattered() -> Tensor:
    random = np.random.default_rng(0)
    x = np.concatenate([clusters(60), random.uniform(30, 60, (20, 4))])
    return torch.from_numpy(x[random.permutation(200)])


def test_a_tenth_is_left_out_with_the_clusters() -> None:
    x = scattered()
    labels, kept = trimming.trimmed_kmeans(x, x.new_ones(200), 3, np.random.RandomState(0))
    assert len(kept) == 180
    assert (x[kept] < 30).all()
    centres = torch.stack([x[kept][labels == k].mean(0) for k in range(3)])
    np.testing.assert_allclose(sorted(centres.mean(1).tolist()), [-3, 0, 3], atol=0.5)
    own = (x[kept] - centres[labels]).square().sum(1)
    torch.testing.assert_close(torch.cdist(x[kept], centres).square().min(1).values, own)


@pytest.mark.parametrize("share", [0.0, 0.12, 0.25, 0.38])
def test_more_is_left_out_where_more_is_far_away(share: float) -> None:
    """Of outliers however far; and of none a tenth."""
    random = np.random.default_rng(0)
    count = round(share / (1 - share) * 180)
    x = torch.from_numpy(np.concatenate([clusters(60), random.uniform(-300, 300, (count, 4))]))
    labels, kept = trimming.trimmed_kmeans(x, x.new_ones(len(x)), 3, np.random.RandomState(0))
    assert len(kept) == pytest.approx(len(x) * (0.9 - np.ceil(share * 10 - 1).clip(0) / 10), abs=2)
    centres = torch.stack([x[kept][labels == k].mean(0) for k in range(3)])
    np.testing.assert_allclose(sorted(centres.mean(1).tolist()), [-3, 0, 3], atol=0.5)


def test_weights_are_repetitions() -> None:
    x, counts = scattered(), torch.from_numpy(np.random.default_rng(1).integers(0, 3, 200))
    centres = torch.tensor([[-3.0], [0.0], [3.0]], dtype=torch.float64).expand(3, 4)
    weighted = trimming.trimmed_clusters(x, counts.double(), centres)
    several = x.repeat_interleave(counts, 0)
    repeated = trimming.trimmed_clusters(several, several.new_ones(len(several)), centres)
    same = weighted.repeat_interleave(counts) == repeated
    assert (~same).sum() <= 4  # copies of the point at the border
    assert (weighted[counts == 0] == -1).all()


def test_few_points_and_copies() -> None:
    random = np.random.RandomState(0)
    for x in (torch.zeros(5, 2), torch.eye(3), torch.ones(4, 1, dtype=torch.float64)):
        labels, kept = trimming.trimmed_kmeans(x, x.new_ones(len(x)), 3, random)
        assert len(labels) == len(kept) == len(x)  # a tenth of them is no point
        assert set(labels.tolist()) <= {0, 1, 2}


def test_many_points_are_started_from_some(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trimming, "_MOST_ROWS", 50)
    x = scattered()
    _, kept = trimming.trimmed_kmeans(x, x.new_ones(200), 3, np.random.RandomState(0))
    assert (x[kept] < 30).double().mean() > 0.95


def test_a_start_without_outliers() -> None:
    x = scattered().numpy()
    fitted = GaussianMixture(3, init_params="trimmed_kmeans", max_iter=0, random_state=0).fit(x)
    np.testing.assert_allclose(np.sort(fitted.means_.mean(1)), [-3, 0, 3], atol=0.5)
    again = GaussianMixture(3, init_params="trimmed_kmeans", max_iter=0, random_state=0).fit(x)
    np.testing.assert_array_equal(again.means_, fitted.means_)
