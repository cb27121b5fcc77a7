# SPDX-License-Identifier: MIT
"""k-means by the ops, which is for a GPU, comes to clusters as good as scikit-learn's."""

from __future__ import annotations

import pytest
import torch
from sklearn.cluster import KMeans
from torch import Tensor

from pyvae.mixture import lloyd


def _left(x: Tensor, weight: Tensor, labels: Tensor, k: int) -> float:
    """Sum of squares within the clusters."""
    shares = torch.nn.functional.one_hot(labels, k).double() * weight.double()[:, None]
    means = shares.T @ x.double() / shares.sum(0).clamp_min(1e-300)[:, None]
    return float((shares.sum(1) * (x - means[labels]).square().sum(1)).sum())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("spread", [0.3, 3.0])
def test_as_scikit_learn_from_the_same_centres(dtype: torch.dtype, spread: float) -> None:
    generator = torch.Generator().manual_seed(0)
    k, d = 7, 5
    x = 3 * torch.randn(k, d, generator=generator).repeat(200, 1)
    x = (x + spread * torch.randn(len(x), d, generator=generator)).to(dtype)
    weight = torch.rand(len(x), generator=generator).to(dtype)
    weight[::5] = 0.0
    found = lloyd.clusters(x, weight, x[:k].clone())
    kmeans = KMeans(k, init=x[:k].numpy(), n_init=1).fit(x.numpy(), sample_weight=weight.numpy())
    theirs = torch.from_numpy(kmeans.labels_).long()
    assert _left(x, weight, found, k) < 1.002 * _left(x, weight, theirs, k)


def test_a_cluster_without_points_goes_on_where_there_are_some() -> None:
    x = torch.tensor([[0.0], [0.1], [5.0], [5.1], [20.0], [20.1]])
    centres = torch.tensor([[0.0], [5.0], [-900.0]])
    found = lloyd.clusters(x, torch.ones(6), centres)
    assert found[::2].equal(found[1::2])
    assert len(found.unique()) == 3


def test_copies_of_one_point() -> None:
    x = torch.ones(6, 2)
    assert lloyd.clusters(x, torch.ones(6), x[:3].clone()).max() < 3
