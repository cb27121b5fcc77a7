# SPDX-License-Identifier: MIT
"""The estimator: clusters of tables and images, its runs, and what it refuses."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score
from sklearn.utils.estimator_checks import parametrize_with_checks
from torch import nn

from pyvae.clustering import ImageWarps, InvariantClustering

SHORT: dict[str, Any] = {"n_steps": 40, "n_refining_steps": 20, "n_init": 1, "random_state": 0}


QUICK = InvariantClustering(2, n_steps=40, n_refining_steps=20, n_init=1, random_state=0)


@parametrize_with_checks([QUICK])
def test_scikit_learns_own_checks(estimator: Any, check: Any) -> None:
    check(clone(estimator))


def table(count: int = 240) -> tuple[np.ndarray, np.ndarray]:
    """Three round clusters, of columns on very different scales."""
    labels = np.repeat([0, 1, 2], count // 3)
    centres = np.array([[0.0, 0.0, 0.0], [9.0, 0.0, 0.0], [0.0, 9.0, 0.0]])
    x = centres[labels] + np.random.RandomState(0).randn(len(labels), 3)
    return x * [1.0, 1e3, 1e-3] + [0.0, 5e4, 0.0], labels


def strokes(count: int = 90, side: int = 14) -> tuple[np.ndarray, np.ndarray]:
    """Horizontal strokes, vertical ones and crosses, in bytes and in different places."""
    random = np.random.RandomState(0)
    labels = np.repeat([0, 1, 2], count // 3)
    images = np.zeros((len(labels), side, side), np.uint8)
    for image, label in zip(images, labels, strict=True):
        row, column = random.randint(5, 8, size=2)
        if label != 1:
            image[row : row + 2, 2:-2] = random.randint(150, 256)
        if label != 0:
            image[2:-2, column : column + 2] = random.randint(150, 256)
    return images, labels


def agreement(labels: Any, found: Any) -> float:
    return normalized_mutual_info_score(labels, np.asarray(found))


def test_a_table() -> None:
    x, labels = table()
    found = InvariantClustering(3, **SHORT).fit(x)
    assert agreement(labels, found.labels_) > 0.97
    assert found.n_features_in_ == 3
    assert found.predict_proba(x).shape == (240, 3)
    np.testing.assert_allclose(found.predict_proba(x).sum(1), 1.0, rtol=1e-5)
    np.testing.assert_array_equal(found.predict(x[::-1])[::-1], found.labels_)
    assert found.merges_.shape == (15,)
    assert set(found.merges_) == {0, 1, 2}
    assert 0.0 < found.information_ <= np.log(3.0)


def test_images() -> None:
    x, labels = strokes()
    found = InvariantClustering(3, **{**SHORT, "n_steps": 60, "n_refining_steps": 30}).fit(x)
    assert agreement(labels, found.labels_) > 0.9
    as_channels = found.predict(x[:, None])
    np.testing.assert_array_equal(as_channels, found.labels_)


def test_a_tensor_gives_tensors() -> None:
    x, labels = table()
    given = torch.from_numpy(x).float().requires_grad_()
    found = InvariantClustering(3, **SHORT).fit(given)
    assert isinstance(found.labels_, torch.Tensor)
    assert not found.predict_proba(given).requires_grad
    assert agreement(labels, found.labels_) > 0.97


def test_a_seed_says_all_and_no_other_generator_moves() -> None:
    x = table()[0]
    before = torch.random.get_rng_state()
    first, second = (InvariantClustering(3, **SHORT).fit(x) for _ in range(2))
    np.testing.assert_array_equal(first.predict_proba(x), second.predict_proba(x))
    assert torch.equal(before, torch.random.get_rng_state())


def test_nor_do_layers_that_draw() -> None:
    def network(classes: int) -> nn.Module:
        return nn.Sequential(nn.Linear(3, 16), nn.Dropout(0.3), nn.ReLU(), nn.Linear(16, classes))

    x = table(60)[0]
    before = torch.random.get_rng_state()
    first = InvariantClustering(2, network=network, **SHORT).fit(x)
    assert torch.equal(before, torch.random.get_rng_state())
    torch.rand(7)
    second = InvariantClustering(2, network=network, **SHORT).fit(x)
    np.testing.assert_array_equal(first.predict_proba(x), second.predict_proba(x))


def test_a_network_of_other_classes() -> None:
    match = r"gives \(120, 4\) for 120 examples; expected \(120, 10\)"
    with pytest.raises(ValueError, match=match):
        InvariantClustering(2, network=lambda classes: nn.Linear(3, 4), **SHORT).fit(table(60)[0])


def test_a_network_that_diverges() -> None:
    def network(classes: int) -> nn.Module:
        found = nn.Linear(3, classes)
        nn.init.constant_(found.weight, torch.nan)
        return found

    with pytest.raises(ValueError, match="not finite after training: lower learning_rate"):
        InvariantClustering(2, network=network, **SHORT).fit(table(60)[0])


def test_one_of_the_runs_is_kept() -> None:
    x = table(90)[0]
    found = InvariantClustering(3, n_steps=8, n_refining_steps=4, n_init=4, random_state=0).fit(x)
    reached = [each.information for each in found.restarts_]
    assert len(set(reached)) == 4
    balance = max(each.balance for each in found.restarts_)
    compared = [each.information + (balance - 1.0) * each.entropy for each in found.restarts_]
    least = max(compared) - 0.01 * max(reached)
    pairs = zip(compared, found.restarts_, strict=True)
    likely = {nats: each for nats, each in pairs if nats >= least}
    kept = likely[max(likely, key=lambda nats: (likely[nats].agreement or 0.0, nats))]
    assert found.information_ == kept.information
    assert all(
        (each.agreement is None) == (len(likely) == 1 or each not in likely.values())
        for each in found.restarts_
    )
    alone = InvariantClustering(3, n_steps=8, n_refining_steps=4, n_init=1, random_state=0).fit(x)
    assert alone.restarts_ == found.restarts_[:1]
    for each in found.restarts_:
        assert each.merged_information <= each.over_information


def test_the_balance_is_of_merging_and_of_refining() -> None:
    """Over-clusters are found by information alone, and runs compared as they were refined."""
    x = table(90)[0]
    some = InvariantClustering(3, n_steps=20, n_refining_steps=10, n_init=1, random_state=0)
    low, high = (clone(some).set_params(balance=b).fit(x).restarts_[0] for b in (1.0, 3.0))
    assert low.over_information == high.over_information
    assert low.information != high.information
    assert (low.balance, high.balance) == (1.0, 3.0)
    assert low.entropy < high.entropy <= np.log(3.0) + 1e-6


def test_a_rare_cluster_of_its_own_beside_one_that_is_not_cut() -> None:
    random = np.random.RandomState(0)
    labels = np.repeat([0, 1, 2], [600, 30, 30])
    x = 0.5 * random.randn(660, 2) + 9.0 * np.eye(3)[labels, :2]
    some = InvariantClustering(3, n_steps=150, n_refining_steps=60, n_init=1, random_state=0)
    found = some.fit(x)
    assert adjusted_rand_score(labels, found.labels_) == 1.0
    assert found.restarts_[0].balance < 1.0


def test_refining_is_of_the_merged_clusters() -> None:
    """Without refining, information is what the merge left."""
    x = table(90)[0]
    (run,) = (
        InvariantClustering(3, n_steps=20, n_refining_steps=0, n_init=1, random_state=0)
        .fit(x)
        .restarts_
    )
    assert run.information == pytest.approx(run.merged_information, rel=1e-6)


def test_views_and_networks_of_ones_own() -> None:
    x, labels = table()
    seen: list[torch.Size] = []

    def views(batch: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        seen.append(batch.shape)
        return batch + 0.1 * torch.randn(batch.shape, generator=generator)

    def network(classes: int) -> nn.Module:
        return nn.Sequential(nn.Linear(3, 32), nn.ReLU(), nn.Linear(32, classes))

    found = InvariantClustering(
        3, views=views, network=network, batch_size=100, learning_rate=1e-2,
        **{**SHORT, "n_steps": 100, "n_init": 3},
    ).fit(x)  # fmt: skip
    assert seen[0] == (200, 3)
    assert isinstance(found.classifier_.network, nn.Sequential)
    assert agreement(labels, found.labels_) > 0.9


@pytest.mark.parametrize("shape", [(30, 3, 9, 11), (30, 40, 28)])
def test_images_of_any_shape(shape: tuple[int, ...]) -> None:
    x = np.random.RandomState(0).rand(*shape).astype(np.float32)
    found = InvariantClustering(
        2, views=ImageWarps(elastic=0), n_steps=2, n_refining_steps=1, n_init=1
    ).fit(x)
    assert found.predict_proba(x).shape == (30, 2)


@pytest.mark.parametrize("parameters", [{"n_neighbors": 0}, {"neighbor_share": 0.0}])
def test_without_neighbors(parameters: dict[str, Any]) -> None:
    x, labels = table()
    found = InvariantClustering(3, **parameters, **SHORT).fit(x)
    assert agreement(labels, found.labels_) > 0.9


@pytest.mark.parametrize("unit", [1e-300, 1e300])
def test_units_whose_squares_are_no_numbers(unit: float) -> None:
    x, labels = table()
    found = InvariantClustering(3, **SHORT).fit(x)
    again = InvariantClustering(3, **SHORT).fit(x * unit)
    assert agreement(labels, again.labels_) > 0.97
    np.testing.assert_allclose(again.predict_proba(x * unit), found.predict_proba(x), atol=1e-3)


def test_a_column_that_does_not_vary() -> None:
    x, labels = table()
    x = np.concatenate([x, np.full((len(x), 1), 7.0)], 1)
    found = InvariantClustering(3, **{**SHORT, "n_init": 3}).fit(x)
    assert agreement(labels, found.labels_) > 0.97


def test_lines_of_progress(capsys: pytest.CaptureFixture[str]) -> None:
    x = table(60)[0]
    InvariantClustering(
        2, n_steps=4, n_refining_steps=2, n_init=2, verbose=1, verbose_interval=3
    ).fit(x)
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(":")[0] for line in lines] == [
        "run 1 of 2, step 3", "run 1 of 2, step 6", "run 2 of 2, step 3", "run 2 of 2, step 6",
    ]  # fmt: skip
    assert "nats" in lines[0]


@pytest.mark.parametrize(
    ("x", "parameters", "match"),
    [
        (np.zeros(5), {}, "Expected 2D array"),
        (torch.zeros(5), {}, r"shape \(5,\); expected images"),
        (np.zeros((5, 0)), {}, r"0 feature\(s\)"),
        (torch.zeros(5, 0), {}, r"shape \(5, 0\)"),
        (np.zeros((2, 2, 2, 2, 2)), {}, "expected images"),
        (np.full((20, 2), np.nan), {}, "NaN"),
        (torch.full((20, 2), torch.inf), {}, "NaN or infinity"),
        (np.full((20, 4, 4), np.nan), {}, "NaN or infinity"),
        (torch.zeros(20, 2).to_sparse(), {}, "expected a dense one"),
        (np.zeros((20, 2, 2), "datetime64[s]"), {}, "holds datetime64.*expected numbers"),
        (np.zeros((2, 2)), {}, "n_samples=2, which must be >= n_clusters=3"),
        (np.zeros((20, 2), complex), {}, "Complex data not supported"),
        (np.zeros((20, 2)), {"n_overclusters": 2}, "n_overclusters=2 must be >= n_clusters=3"),
        (np.zeros((20, 2)), {"n_init": 0}, "n_init"),
        (np.zeros((20, 2)), {"neighbor_share": 1.5}, "neighbor_share"),
        (np.zeros((20, 2)), {"precision": "half"}, "precision"),
        (np.zeros((20, 2)), {"views": "warps"}, "views"),
    ],
)
def test_what_it_refuses(x: Any, parameters: dict[str, Any], match: str) -> None:
    found = InvariantClustering(3, **{**SHORT, **parameters})
    with pytest.raises(ValueError, match=match):
        found.fit(x)
    assert not hasattr(found, "labels_")


def test_examples_of_another_shape() -> None:
    x = table(60)[0]
    found = InvariantClustering(2, n_steps=2, n_refining_steps=1, n_init=1).fit(x)
    with pytest.raises(
        ValueError, match="X has 2 features, but InvariantClustering is expecting 3"
    ):
        found.predict(x[:, :2])
    with pytest.raises(ValueError, match=r"examples of shape \(2,\); the fit had \(3,\)"):
        found.predict(torch.from_numpy(x[:, :2]))
    with pytest.raises(ValueError, match=r"examples of shape \(1, 4, 4\); the fit had \(3,\)"):
        found.predict(np.zeros((2, 4, 4)))
