# SPDX-License-Identifier: MIT
"""Mutual information between views: what it is, what bounds it, and its gradient."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from pyvae.clustering import joint, mutual_information
from pyvae.clustering.information import entropy


def shares(count: int = 50, clusters: int = 6, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    logits = 3.0 * torch.randn(count, clusters, generator=generator, dtype=torch.float64)
    return logits.softmax(1)


def test_the_joint_is_symmetric_and_sums_to_one() -> None:
    found = joint(shares(seed=0), shares(seed=1))
    torch.testing.assert_close(found, found.mT)
    torch.testing.assert_close(found.sum(), found.new_tensor(1.0))


def test_it_is_the_divergence_from_independence() -> None:
    pairs = joint(shares(seed=0), shares(seed=1))
    marginal = pairs.sum(1)
    divergence = (pairs * (pairs / marginal / marginal[:, None]).log()).sum()
    torch.testing.assert_close(mutual_information(pairs), divergence)


def test_independent_views_share_nothing() -> None:
    marginal = torch.tensor([0.2, 0.3, 0.5], dtype=torch.float64)
    assert abs(mutual_information(marginal[:, None] * marginal).item()) < 1e-15


@pytest.mark.parametrize("clusters", [1, 2, 7])
def test_certain_clusters_of_one_size_share_all(clusters: int) -> None:
    pairs = torch.eye(clusters, dtype=torch.float64) / clusters
    assert mutual_information(pairs).item() == pytest.approx(math.log(clusters), abs=1e-15)


def test_a_map_of_the_clusters_adds_nothing() -> None:
    """The data-processing inequality, over random maps."""
    pairs = joint(shares(seed=0), shares(seed=0))
    generator = torch.Generator().manual_seed(0)
    for _ in range(50):
        into = torch.randint(3, (6,), generator=generator)
        members = torch.nn.functional.one_hot(into, 3).double()
        assert mutual_information(members.mT @ pairs @ members) <= mutual_information(pairs)


def test_the_balance_weighs_one_marginal_entropy() -> None:
    pairs = joint(shares(seed=0), shares(seed=1))
    more = mutual_information(pairs, balance=1.5) - mutual_information(pairs)
    torch.testing.assert_close(more, 0.5 * entropy(pairs.sum(1)))


def test_gradients() -> None:
    first, second = shares(8, 3, 0).requires_grad_(), shares(8, 3, 1).requires_grad_()
    assert torch.autograd.gradcheck(
        lambda *given: mutual_information(joint(*given), 1.2), (first, second)
    )


def test_clusters_that_nobody_is_in_leave_gradients_finite() -> None:
    given = torch.eye(3, dtype=torch.float64)[[0, 0, 1, 1]].requires_grad_()
    information = mutual_information(joint(given, given))
    information.backward()
    assert information.item() == pytest.approx(math.log(2.0))
    assert given.grad is not None
    assert given.grad.isfinite().all()
