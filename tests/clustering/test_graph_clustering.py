# SPDX-License-Identifier: MIT
"""The estimator on a neighbour graph: what it separates, repeats, hands on and refuses."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import make_circles, make_moons
from sklearn.metrics import adjusted_rand_score
from sklearn.utils.estimator_checks import parametrize_with_checks
from torch import nn

from pyvae.clustering import NeighborGraphClustering
from pyvae.data import digits
from pyvae.models import AnchoredEncoder
from pyvae.training.metrics import clustering_metrics

GRAPH: dict[str, Any] = {"n_steps": 1, "n_init": 3, "random_state": 0}  # little of the network


@parametrize_with_checks([NeighborGraphClustering(2, n_steps=20, n_init=2, random_state=0)])
def test_scikit_learns_own_checks(estimator: Any, check: Any) -> None:
    check(clone(estimator))


def blobs(count: int = 120) -> tuple[np.ndarray, np.ndarray]:
    """Three round clusters, of columns on very different scales."""
    labels = np.repeat([0, 1, 2], count // 3)
    centres = np.array([[0.0, 0.0, 0.0], [12.0, 0.0, 0.0], [0.0, 12.0, 0.0]])
    x = centres[labels] + np.random.RandomState(0).randn(len(labels), 3)
    return x * [1.0, 1e3, 1e-3] + [0.0, 5e4, 0.0], labels


def same(labels: Any, found: Any) -> bool:
    return adjusted_rand_score(labels, np.asarray(found)) == 1.0


@pytest.mark.parametrize("n_neighbors", [5, 10, 15])
@pytest.mark.parametrize("make", [make_moons, make_circles])
def test_clusters_of_any_form(make: Any, n_neighbors: int) -> None:
    """Which no distance to a centre tells apart."""
    x, labels = make(300, **({"factor": 0.4} if make is make_circles else {}))
    found = NeighborGraphClustering(2, n_neighbors=n_neighbors, **GRAPH).fit(x)
    assert same(labels, found.graph_labels_)
    assert found.information_ == pytest.approx(np.log(2.0))


def test_a_table_and_what_is_kept_of_it() -> None:
    x, labels = blobs()
    found = NeighborGraphClustering(3, n_steps=60, random_state=0).fit(x)
    assert same(labels, found.graph_labels_)
    np.testing.assert_array_equal(found.labels_, found.graph_labels_)
    np.testing.assert_array_equal(found.predict(x[::-1])[::-1], found.labels_)
    np.testing.assert_allclose(found.predict_proba(x).sum(1), 1.0, rtol=1e-5)
    assert float(found.classifier_.information) == pytest.approx(found.information_)
    assert len(found.informations_) == 10
    assert 1.05 < found.information_ == max(found.informations_) < np.log(3.0)
    assert found.n_features_in_ == 3


def test_the_order_of_examples_is_no_matter() -> None:
    x = blobs()[0]
    order = np.random.RandomState(0).permutation(len(x))
    first, second = (NeighborGraphClustering(3, **GRAPH).fit(each) for each in (x, x[order]))
    assert same(first.graph_labels_[order], second.graph_labels_)


def test_a_seed_says_all_and_no_other_generator_moves() -> None:
    x = blobs()[0]
    before = torch.random.get_rng_state()
    fits = [
        NeighborGraphClustering(3, n_steps=20, n_refining_steps=10, random_state=seed).fit(x)
        for seed in (4, 4, 5)
    ]
    shares = [each.predict_proba(x) for each in fits]
    np.testing.assert_array_equal(shares[0], shares[1])
    np.testing.assert_array_equal(fits[0].graph_labels_, fits[1].graph_labels_)
    assert not np.array_equal(shares[0], shares[2])
    assert torch.equal(before, torch.random.get_rng_state())


def test_long_walks_keep_clusters_of_unlike_sizes() -> None:
    """The bottleneck parts a large one for the sake of information; a long walk joins it again."""
    random = np.random.RandomState(0)
    labels = np.repeat([0, 1], [270, 30])
    x = random.randn(300, 2) + np.where(labels == 0, 0.0, 12.0)[:, None]
    short = NeighborGraphClustering(2, **GRAPH).fit(x)
    long = NeighborGraphClustering(2, walk_length=200, **GRAPH).fit(x)
    assert not same(labels, short.graph_labels_)
    assert same(labels, long.graph_labels_)


def test_a_balance_below_one_keeps_them_too() -> None:
    random = np.random.RandomState(0)
    labels = np.repeat([0, 1, 2], [270, 20, 20])
    x = random.randn(310, 2) + np.array([[0, 0], [12, 0], [0, 12]])[labels]
    parted = NeighborGraphClustering(3, **GRAPH).fit(x)
    whole = NeighborGraphClustering(3, balance=0.3, **GRAPH).fit(x)
    assert not same(labels, parted.graph_labels_)
    assert same(labels, whole.graph_labels_)
    assert whole.information_ < parted.information_


def test_a_balance_that_leaves_clusters_empty_is_told() -> None:
    x, _ = blobs()
    with pytest.warns(UserWarning, match="a cluster is empty: ask for fewer, or raise balance"):
        NeighborGraphClustering(3, balance=0.0, **GRAPH).fit(x)


def test_a_tensor_gives_tensors() -> None:
    x, labels = blobs()
    given = torch.from_numpy(x).float().requires_grad_()
    found = NeighborGraphClustering(3, n_steps=60, random_state=0).fit(given)
    assert isinstance(found.labels_, torch.Tensor)
    assert isinstance(found.graph_labels_, torch.Tensor)
    assert not found.predict_proba(given).requires_grad
    assert same(labels, found.labels_)


def test_an_encoder_stands_on_the_classifier() -> None:
    x, labels = blobs()
    found = NeighborGraphClustering(3, n_steps=60, random_state=0).fit(x)
    assert torch.equal(found.classifier_.members, torch.eye(3))
    encoder = AnchoredEncoder(found.classifier_, 3, 3, latent_dim=2)
    given = torch.from_numpy(x).float()
    mean, _ = encoder(given)
    assert mean.shape == (120, 2)
    assert same(labels, found.classifier_(given).argmax(1))


def test_digits() -> None:
    """By the graph alone; k-means finds 0.793 of them."""
    data = digits()
    x = np.asarray(data.x).reshape(-1, 8, 8)
    found = NeighborGraphClustering(10, n_refining_steps=0, **GRAPH).fit(x)
    assert data.labels is not None
    scores = clustering_metrics(data.labels, torch.from_numpy(found.graph_labels_))
    assert scores["clustering_accuracy"] > 0.92


def test_a_network_and_views_of_ones_own() -> None:
    x, labels = blobs()
    seen: list[torch.Size] = []

    def views(batch: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        seen.append(batch.shape)
        return batch + 0.01 * torch.randn(batch.shape, generator=generator)

    found = NeighborGraphClustering(
        3, network=lambda classes: nn.Linear(3, classes), views=views, n_steps=60,
        n_refining_steps=2, batch_size=40, learning_rate=0.1, random_state=0,
    ).fit(x)  # fmt: skip
    assert seen == [(40, 3)] * 60 + [(80, 3)] * 2
    assert isinstance(found.classifier_.network, nn.Linear)
    assert same(labels, found.labels_)


@pytest.mark.parametrize(("shape", "refining"), [((4, 4), 100), ((16,), 0)])
def test_images_are_refined_and_tables_are_not(shape: tuple[int, ...], refining: int) -> None:
    """Pairs of views are twice as many as examples, those that are taught from are not."""
    seen: list[int] = []

    def views(batch: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        seen.append(len(batch))
        return batch

    x = np.random.RandomState(0).rand(30, *shape).astype(np.float32)
    NeighborGraphClustering(
        2, views=views, n_steps=3, n_init=1,
        network=lambda classes: nn.Sequential(nn.Flatten(), nn.Linear(16, classes)),
    ).fit(x)  # fmt: skip
    assert seen == [30] * 3 + [60] * refining


def test_more_parts_than_clusters_is_told() -> None:
    x = np.repeat([[0.0, 0.0], [9.0, 0.0], [0.0, 9.0]], 20, 0)
    x = x + 0.1 * np.random.RandomState(0).randn(60, 2)
    with pytest.warns(UserWarning, match="in 3 parts, .*n_clusters=2: raise n_neighbors"):
        NeighborGraphClustering(2, **GRAPH).fit(x)


@pytest.mark.parametrize("count", [2, 3, 7])
def test_as_few_examples_as_there_may_be(count: int) -> None:
    x = 9.0 * np.eye(count, 2)[:, :2] + np.arange(count)[:, None]
    found = NeighborGraphClustering(2, **GRAPH).fit(x)
    assert set(found.graph_labels_) == {0, 1}


def test_lines_of_progress(capsys: pytest.CaptureFixture[str]) -> None:
    NeighborGraphClustering(
        3, n_steps=4, n_refining_steps=2, n_init=1, verbose=1, verbose_interval=2
    ).fit(blobs()[0])
    lines = capsys.readouterr().err.splitlines()
    assert [line.split()[:4] for line in lines] == [
        ["network,", "step", "2:", "cross-entropy"],
        ["network,", "step", "4:", "cross-entropy"],
        ["network,", "step", "6:", "I"],
    ]


@pytest.mark.parametrize(
    ("x", "parameters", "match"),
    [
        (np.zeros(5), {}, "Expected 2D array"),
        (np.full((20, 2), np.nan), {}, "NaN"),
        (torch.full((20, 4, 4), torch.inf), {}, "NaN or infinity"),
        (np.zeros((2, 2)), {}, "n_samples=2, which must be >= n_clusters=3"),
        (np.zeros((20, 2)), {"n_overclusters": 2}, "n_overclusters=2 must be >= n_clusters=3"),
        (np.zeros((20, 2)), {"n_neighbors": 0}, "n_neighbors"),
        (np.zeros((20, 2)), {"walk_length": 0}, "walk_length"),
        (np.zeros((20, 2)), {"precision": "half"}, "precision"),
        (np.eye(20, 2), {"network": lambda classes: nn.Linear(2, 4)}, r"expected \(20, 3\)"),
    ],
)
def test_what_it_refuses(x: Any, parameters: dict[str, Any], match: str) -> None:
    found = NeighborGraphClustering(3, **{**GRAPH, **parameters})
    with pytest.raises(ValueError, match=match):
        found.fit(x)
    assert not hasattr(found, "labels_")


def test_a_network_that_diverges() -> None:
    def network(classes: int) -> nn.Module:
        found = nn.Linear(3, classes)
        nn.init.constant_(found.weight, torch.nan)
        return found

    with pytest.raises(ValueError, match="not finite after training: lower learning_rate"):
        NeighborGraphClustering(3, network=network, **GRAPH).fit(blobs()[0])
