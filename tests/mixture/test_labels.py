# SPDX-License-Identifier: MIT
"""Partly labelled points: what is known of a component, by its definition and at its edges."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats
from scipy.special import logsumexp

from pyvae.mixture import BayesianGaussianMixture, GaussianMixture, points
from tests.mixture.drawing import KINDS, clusters, same_start

each_kind = pytest.mark.parametrize("kind", KINDS)
each_estimator = pytest.mark.parametrize("estimator", [GaussianMixture, BayesianGaussianMixture])
TRUTH = np.repeat([2, 0, 1], 40)


def some_labels(every: int = 10) -> np.ndarray:
    """Every tenth point's cluster, in another order than a start would number them."""
    labels = np.full(120, -1)
    labels[::every] = TRUTH[::every]
    return labels


def probabilities(random: np.random.Generator) -> np.ndarray:
    """Rows of all kinds: certain, between two, graded, the same for all, and NaN."""
    found = random.dirichlet(np.ones(3), 120)
    found[::4] = np.eye(3)[TRUTH[::4]]
    found[1::4] = 1 / 3
    found[5] = (0.5, 0.5, 0.0)
    found[7] = np.nan
    return found


def evidence(labels: np.ndarray) -> np.ndarray:
    """By its definition, ``(N, K)``."""
    if labels.ndim == 1:
        return np.where((labels < 0)[:, None], 1.0, np.eye(3)[labels])
    found = np.where(np.isnan(labels), 1.0, labels)
    return found / found.max(1, keepdims=True)


@each_kind
@pytest.mark.parametrize("graded", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.filterwarnings("ignore:the best start did not converge")
def test_em_by_its_definition(kind: str, graded: bool, weighted: bool) -> None:
    """Steps of responsibilities that evidence weighs; F is checked at each by the fit itself."""
    x, random = clusters(40), np.random.default_rng(0)
    labels = probabilities(random) if graded else some_labels()
    weight = random.random(120) if weighted else np.ones(120)
    options = {**same_start(x, kind), "reg_covar": 0.0, "max_iter": 4, "tol": 0.0}
    fitted = GaussianMixture(**options).fit(x, sample_weight=weight, labels=labels)
    steps = {**options, "max_iter": 1}
    by_steps, bounds = GaussianMixture(**{**steps, "max_iter": 0}).fit(x), []
    for _ in range(4):
        joint = np.log(by_steps.weights_) + np.column_stack([
            stats.multivariate_normal(mean, matrix).logpdf(x)
            for mean, matrix in zip(by_steps.means_, by_steps.covariance_matrices_, strict=True)
        ])  # fmt: skip
        with np.errstate(divide="ignore"):
            joint = joint + np.log(evidence(labels))
        density = logsumexp(joint, axis=1)
        bounds.append(weight @ density / weight.sum())
        shares = np.exp(joint - density[:, None]) * weight[:, None]
        # An M step from these is a fit of K copies of the points, each of a known component.
        copies = np.tile(x, (3, 1)), np.repeat(np.arange(3), 120)
        by_steps.set_params(warm_start=True, max_iter=1)
        by_steps.fit(copies[0], sample_weight=shares.T.reshape(-1), labels=copies[1])
    np.testing.assert_allclose(fitted.lower_bounds_, bounds, rtol=1e-10)
    for name in ("weights_", "means_", "covariances_"):
        np.testing.assert_allclose(getattr(fitted, name), getattr(by_steps, name), rtol=1e-8)


@each_kind
def test_all_labels_are_a_fit_of_each_class(kind: str) -> None:
    x = clusters(40)
    options: dict[str, Any] = {"covariance_type": kind, "reg_covar": 0.0}
    fitted = GaussianMixture(3, **options).fit(x, labels=TRUTH)
    own = [GaussianMixture(**options).fit(x[k == TRUTH]) for k in range(3)]
    np.testing.assert_allclose(fitted.means_, [each.means_[0] for each in own])
    np.testing.assert_allclose(fitted.weights_, 1 / 3)
    matrices = np.array([each.covariance_matrices_[0] for each in own])
    pooled = kind.startswith("tied")
    np.testing.assert_allclose(fitted.covariance_matrices_,
                               matrices.mean(0, keepdims=True).repeat(3, 0) if pooled else matrices,
                               atol=1e-12)  # fmt: skip
    density = logsumexp(np.log(fitted.predict_proba(x)[np.arange(120), TRUTH])[:, None], axis=1)
    joint = fitted.score_samples(x) + density
    assert fitted.lower_bound_ == pytest.approx(joint.mean(), rel=1e-12)


@each_estimator
@pytest.mark.parametrize("method", ["kmeans", "k-means++", "random", "random_from_data",
                                    "trimmed_kmeans"])  # fmt: skip
def test_components_are_numbered_by_their_labels(estimator: Any, method: str) -> None:
    x = clusters(40)
    options = {"init_params": method, "random_state": 3}
    few = 3 if method == "random" else 20  # random shares of all others hide what few labels say
    for given in (some_labels(few), torch.from_numpy(some_labels(3)), np.eye(3)[TRUTH] * 0.7 + 0.1):
        fitted = estimator(3, **options).fit(x, labels=given)
        assert (fitted.predict(x) == TRUTH).mean() > 0.95


@each_estimator
@pytest.mark.parametrize("method", ["kmeans", "k-means++", "trimmed_kmeans"])
def test_gaps_in_the_labels_are_clusters_without_any(estimator: Any, method: str) -> None:
    x = clusters(40)
    labels = np.where(TRUTH == 2, 2, -1)
    labels[5::7] = -1
    fitted = estimator(3, init_params=method, random_state=0).fit(x, labels=labels)
    found = fitted.predict(x)
    assert (found[TRUTH == 2] == 2).mean() > 0.95
    assert {np.bincount(found[k == TRUTH], minlength=3).argmax() for k in (0, 1)} == {0, 1}


@each_estimator
def test_labels_that_say_nothing_leave_the_fit_as_it_is(estimator: Any) -> None:
    x = clusters(40)
    plain = estimator(3, random_state=0).fit(x)
    for silent in (np.full(120, -1), np.full((120, 3), 1 / 3), np.full((120, 3), np.nan)):
        fitted = estimator(3, random_state=0).fit(x, labels=silent)
        np.testing.assert_array_equal(fitted.means_, plain.means_)
        assert fitted.lower_bounds_ == plain.lower_bounds_
    one = np.zeros((120, 3)) + 1 / 3
    one[0] = (0.999999, 5e-7, 5e-7)  # nearly a label
    fitted, other = (estimator(3, random_state=0, max_iter=500, tol=1e-9).fit(x, labels=labels)
                     for labels in (one, np.where(np.arange(120) == 0, 0, -1)))  # fmt: skip
    np.testing.assert_allclose(fitted.means_, other.means_, atol=3e-3)


@each_kind
def test_missing_values_beside_labels(kind: str) -> None:
    """Without any missing it is the same fit; with some, F is checked by the fit itself."""
    x = clusters(40)
    options = {**same_start(x, kind), "reg_covar": 0.0, "max_iter": 8, "tol": 1e-3}
    for labels in (some_labels(), probabilities(np.random.default_rng(0))):
        plain, general = (
            GaussianMixture(**options, missing_values=mode).fit(x, labels=labels)
            for mode in ("refuse", "marginalize")
        )
        np.testing.assert_allclose(general.means_, plain.means_, rtol=1e-8)
        holes = np.where(np.random.default_rng(1).random(x.shape) < 0.2, np.nan, x)
        holes[:12] = np.nan  # some of them with labels
        general.fit(holes, labels=labels)
        assert (np.diff(general.lower_bounds_) > -1e-9).all()
        assert (general.predict(holes) == TRUTH)[12:].mean() > 0.9


@pytest.mark.parametrize("graded", [False, True])
def test_mapped_files_and_chunks(
    graded: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    x = clusters(40)
    labels = probabilities(np.random.default_rng(0)) if graded else some_labels()
    whole = GaussianMixture(3, random_state=0).fit(x, labels=labels)
    np.save(tmp_path / "x.npy", x)
    monkeypatch.setattr(points, "_CHUNK", 1000)
    mapped = GaussianMixture(3, random_state=0).fit(
        np.load(tmp_path / "x.npy", mmap_mode="r"), labels=labels
    )
    np.testing.assert_allclose(mapped.means_, whole.means_, rtol=1e-9)
    np.testing.assert_allclose(mapped.lower_bounds_, whole.lower_bounds_, rtol=1e-10)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_tensors(dtype: torch.dtype) -> None:
    x, labels = torch.from_numpy(clusters(40)), torch.from_numpy(some_labels())
    want = GaussianMixture(3, random_state=0).fit(x, labels=labels)
    for given in (labels.to(torch.int8), torch.from_numpy(evidence(labels.numpy())) / 3):
        given = given if given.ndim == 1 else given / given.sum(1, keepdim=True)
        fitted = GaussianMixture(3, random_state=0).fit(x.to(dtype), labels=given)
        torch.testing.assert_close(fitted.means_, want.means_, rtol=1e-4, atol=1e-4)


def test_points_without_weight_have_no_labels() -> None:
    x = clusters(40)
    weight = np.ones(120)
    weight[0] = 0.0
    labels = some_labels()
    labels[0] = 0  # a wrong one
    fitted = GaussianMixture(3, random_state=0).fit(x, sample_weight=weight, labels=labels)
    labels[0] = -1
    other = GaussianMixture(3, random_state=0).fit(x, sample_weight=weight, labels=labels)
    np.testing.assert_array_equal(fitted.means_, other.means_)


def test_minibatches() -> None:
    x = clusters(400)
    truth = np.repeat([2, 0, 1], 400)
    order = np.random.default_rng(0).permutation(1200)
    labels = np.where(np.arange(1200) % 10 == 0, truth, -1)
    stepwise = GaussianMixture(3, random_state=0)
    for batch in np.split(order, 12):
        stepwise.partial_fit(x[batch], labels=labels[batch])
    assert (stepwise.predict(x) == truth).mean() > 0.97


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (np.full(119, -1), r"labels has shape \(119,\); expected \(120,\)"),
        (np.zeros((120, 2)), r"labels has shape \(120, 2\); .* probabilities \(120, 3\)"),
        (np.full(120, 3), r"labels holds 3 in row 0 .* expected 0 to 2"),
        (np.full(120, -2), "labels holds -2 in row 0"),
        (np.full(120, 0.0), "labels is of torch.float64; expected integers"),
        (np.full(120, "a"), "labels is no array of numbers"),
        ([None] * 120, "labels is no array of numbers"),
        (np.full(120, True), "labels is of torch.bool; expected integers"),
        (np.full((120, 3), 0.5), "labels holds no probabilities in row 0"),
        (np.tile([1.2, -0.2, 0.0], (120, 1)), "labels holds no probabilities in row 0"),
        (np.tile([np.nan, 1.0, 0.0], (120, 1)), "labels holds no probabilities in row 0"),
        (np.where(TRUTH == 1, 0, TRUTH), r"none that of components \[1\]"),
    ],
)
@each_estimator
def test_what_are_no_labels(estimator: Any, labels: np.ndarray, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        estimator(3, random_state=0).fit(clusters(40), labels=labels)


def test_a_label_of_a_component_without_weight() -> None:
    x = clusters(40)
    options = {**same_start(x, "full"), "weights_init": np.array([0.5, 0.5, 0.0])}
    with pytest.raises(ValueError, match=r"row 0 .* whose weight is zero"):
        GaussianMixture(**options).fit(x, labels=some_labels())
