# SPDX-License-Identifier: MIT
"""The figures against cases worked by hand, and against one another."""

from __future__ import annotations

import itertools
import json
import math

import numpy as np
import pytest
import torch

from pyvae.data import Data, digits
from pyvae.models import VAE
from pyvae.training import evaluate
from pyvae.training.baselines import baselines, sample_size
from pyvae.training.batches import Batches
from pyvae.training.metrics import (
    active_units,
    adjusted_rand_index,
    as_json,
    clustering_accuracy,
    normalized_mutual_information,
    occupancy,
)
from tests.training.helpers import blobs, small_model, small_trainer


def test_accuracy_is_the_best_over_all_matchings():
    labels, clusters = torch.randint(0, 4, (2, 60))
    best = max(
        float((torch.tensor(matching)[clusters] == labels).float().mean())
        for matching in itertools.permutations(range(4))
    )
    assert clustering_accuracy(labels, clusters) == pytest.approx(best)


def test_accuracy_with_more_clusters_or_more_labels():
    assert clustering_accuracy(torch.zeros(4).long(), torch.arange(4)) == 0.25
    assert clustering_accuracy(torch.arange(4), torch.zeros(4).long()) == 0.25
    assert clustering_accuracy(torch.tensor([7, 7, 2]), torch.tensor([0, 0, 9])) == 1.0


def test_agreement_and_chance():
    labels = torch.arange(3000) % 3
    renamed = (labels + 1) % 3
    chance = torch.randint(0, 3, (3000,))
    for metric in (normalized_mutual_information, adjusted_rand_index):
        assert metric(labels, renamed) == pytest.approx(1)
        assert abs(metric(labels, chance)) < 0.01
    # Two labels, each split into two clusters: MI = log 2, entropies log 2 and log 4.
    nmi = normalized_mutual_information(torch.arange(8) // 4, torch.arange(8) // 2)
    assert nmi == pytest.approx(math.log(2) / (1.5 * math.log(2)))


def test_labels_and_clusters_must_match():
    with pytest.raises(ValueError, match=r"labels have shape \(3,\) and clusters \(4,\)"):
        clustering_accuracy(torch.zeros(3).long(), torch.zeros(4).long())
    with pytest.raises(ValueError, match="labels must be integers from 0 on"):
        clustering_accuracy(torch.zeros(3), torch.zeros(3).long())


def test_occupancy_of_known_cases():
    even = occupancy(torch.full((10, 4), 0.25))
    assert even["effective_components"] == pytest.approx(4)
    assert even["smallest_share"] == pytest.approx(0.25)
    assert even["posterior_entropy"] == pytest.approx(math.log(4))
    collapsed = occupancy(torch.eye(4)[torch.zeros(10).long()])
    assert collapsed == {
        "effective_components": 1.0,
        "smallest_share": 0.0,
        "posterior_entropy": 0.0,
    }


def test_active_units_counts_variances_above_a_hundredth():
    means = torch.randn(5000, 4) * torch.tensor([1.0, 0.2, 0.05, 0.0])
    assert active_units(means) == 2
    assert active_units(means[:1]) == 0


def test_baselines_on_the_digits():
    data = digits()
    assert data.labels is not None
    found = baselines(data.x, data.labels, 10)
    assert found["kmeans"]["clustering_accuracy"] == pytest.approx(0.793, abs=0.02)
    assert 0.5 < found["gaussian_mixture"]["clustering_accuracy"] < 0.9


def test_baselines_are_fitted_to_a_sample_of_many_rows():
    """To as many at every call, in words that say so, and with figures of all rows."""
    told: list[str] = []
    x = blobs(3000)
    labels = torch.arange(3000) % 3
    found = baselines(x, labels, 3, examples=120, told=told.append)
    assert found["kmeans"]["clustering_accuracy"] == 1.0
    assert found == baselines(x, labels, 3, examples=120)
    assert told == [
        "scikit-learn's k-means on 120 of 3,000 rows",
        "scikit-learn's GaussianMixture on 120 of 3,000 rows",
    ]


def test_the_sample_is_sized_by_the_problem():
    few, many = Batches(torch.zeros(500, 20)), Batches(torch.zeros(1, 784).expand(60_000, -1))
    assert sample_size(few, 5) == sample_size(few, 5, training=0.0) == 500
    assert sample_size(many, 10) == 10_000
    assert sample_size(many, 100) == 1_000
    # Two passes of a network of half a million parameters take some ten seconds, and these fewer.
    short = sample_size(many, 10, training=6.0 * 540_000 * 120_000)
    assert 3_000 < short < 5_000
    assert sample_size(many, 10, training=0.0) < short


def test_evaluate_says_how_many_rows_the_baselines_had():
    x, labels = blobs(96), torch.arange(96) % 3
    figures = evaluate(small_model(), x, labels, num_samples=2, compare_examples=40)
    assert figures["baseline_examples"] == 40
    assert "baseline_examples" not in evaluate(small_model(), x, num_samples=2)


def test_evaluate_names_every_figure():
    x = blobs(90)
    data = Data(x.numpy(), torch.arange(90) % 3, name="blobs")
    model = small_model()
    small_trainer(epochs=20, pretrain_epochs=20, lr=1e-2).fit(model, data)
    before = torch.get_rng_state()
    figures = evaluate(model, data, num_samples=500)
    assert torch.equal(torch.get_rng_state(), before)
    assert json.loads(json.dumps(figures, allow_nan=False)) == figures
    parts = ("reconstruction", "log_prob_w", "neg_kl_z", "entropy_w")
    assert figures["bound"] == pytest.approx(sum(figures[p] for p in parts))
    # The importance-weighted estimate lies above the bound, where the bound averages the noise out.
    averaged = [evaluate(model, data, compare=False, seed=s)["bound"] for s in range(20)]
    assert figures["log_likelihood"] > sum(averaged) / 20
    assert figures["clustering"]["clustering_accuracy"] == 1.0
    assert figures["baselines"].keys() == {"kmeans", "gaussian_mixture"}
    assert figures == evaluate(model, data, num_samples=500)


def test_evaluate_without_labels_or_components():
    torch.manual_seed(0)
    vae = VAE(6, 2, hidden=(8,))
    figures = evaluate(vae, blobs(), labels=torch.arange(96) % 3)
    assert "clustering" not in figures
    assert figures["effective_components"] is None
    assert "clustering" not in evaluate(small_model(), blobs())
    assert "baselines" not in evaluate(small_model(), blobs(), torch.arange(96), compare=False)
    with pytest.raises(ValueError, match=r"labels have shape \(3,\); expected one for each of the"):
        evaluate(small_model(), blobs(), labels=torch.arange(3))


def test_labels_of_any_kind():
    """Arrays, backwards or of few bits, lists, and names, as they come with data sets."""
    labels = torch.arange(96) % 3
    model = small_model()
    expected = evaluate(model, blobs(), labels)
    array = labels.numpy()
    names = np.array(["cat", "dog", "fox"])[array]
    given = (array, array[::-1].copy()[::-1], array.astype(np.uint16), array.tolist(),
             names, names.astype(object), names.tolist())  # fmt: skip
    for some in given:
        assert evaluate(model, blobs(), some) == expected
    with pytest.raises(ValueError, match="labels must be integers from 0 on"):
        evaluate(model, blobs(), array.astype(float))
    with pytest.raises(ValueError, match=r"labels have shape \(3,\); expected one for each of the"):
        evaluate(model, blobs(), [0, 1, 2])


def test_json_has_no_nan():
    assert as_json({"a": math.nan, "b": {"c": math.inf, "d": 1.0}}) == {
        "a": None,
        "b": {"c": None, "d": 1.0},
    }
