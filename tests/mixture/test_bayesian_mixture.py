# SPDX-License-Identifier: MIT
"""The Bayesian estimator beside scikit-learn's, and what it does beyond."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sklearn.mixture
import torch
from sklearn.base import BaseEstimator, clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.utils.estimator_checks import parametrize_with_checks

from pyvae.mixture import BayesianGaussianMixture, points
from pyvae.mixture.concentration import WEIGHTS
from tests.mixture.drawing import KINDS, THEIRS, clusters

each_kind = pytest.mark.parametrize("kind", KINDS)
each_of_theirs = pytest.mark.parametrize("kind", THEIRS)
each_type = pytest.mark.parametrize("weights", list(WEIGHTS))
FITTED = (
    "weight_concentration_", "mean_precision_", "means_", "degrees_of_freedom_", "covariances_",
    "precisions_", "precisions_cholesky_", "weights_", "weight_concentration_prior_",
    "mean_precision_prior_", "mean_prior_", "degrees_of_freedom_prior_", "covariance_prior_",
)  # fmt: skip
STATE = FITTED[:8]


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning", "ignore::UserWarning")
@parametrize_with_checks(
    [
        BayesianGaussianMixture(),
        BayesianGaussianMixture(2, covariance_type="tied", missing_values="marginalize",
                                weight_concentration_prior_type="dirichlet_distribution"),
    ],
    expected_failed_checks=lambda estimator: (
        # As KMeans: the random numbers of k-means++ fall on other points where points are repeated.
        {"check_sample_weight_equivalence_on_dense_data": "k-means++ draws other points"}
        if estimator.n_components > 1
        else {}
    ),
)  # fmt: skip
def test_scikit_learns_own_checks(estimator: BaseEstimator, check: Any) -> None:
    check(estimator)


def correlated() -> np.ndarray:
    random = np.random.default_rng(1)
    return clusters(30, d=3) @ random.normal(size=(3, 3)) + 100.0


def few_places() -> np.ndarray:
    return np.repeat(np.random.default_rng(2).normal(size=(4, 2)), [5, 20, 3, 9], axis=0)


def equal(ours: Any, theirs: Any, new: np.ndarray, rtol: float = 1e-6) -> None:
    """Attributes and methods."""
    for name in FITTED:
        got, want = np.asarray(getattr(ours, name)), np.asarray(getattr(theirs, name))
        assert got.shape == want.shape, name
        np.testing.assert_allclose(got, want, rtol=rtol, atol=1e-9, err_msg=name)
    assert ours.n_iter_ == theirs.n_iter_
    assert ours.converged_ == theirs.converged_
    assert ours.lower_bound_ == pytest.approx(np.ravel(theirs.lower_bound_)[0], rel=1e-9)
    np.testing.assert_allclose(ours.lower_bounds_, np.ravel(theirs.lower_bounds_), rtol=1e-9)
    for name in ("score_samples", "predict_proba", "predict", "score"):
        got, want = (getattr(fitted, name)(new) for fitted in (ours, theirs))
        np.testing.assert_allclose(got, want, rtol=1e-6, atol=1e-8, err_msg=name)


# Priors in each place, and concentrations so small that their exponentials are none.
@each_of_theirs
@each_type
@pytest.mark.parametrize(
    ("draw", "options"),
    [
        (correlated, {}),
        (clusters, {"weight_concentration_prior": 1e-4, "mean_precision_prior": 0.1,
                    "degrees_of_freedom_prior": 7.5}),
        (few_places, {"n_components": 6, "reg_covar": 0.0}),
    ],
)  # fmt: skip
def test_equal_to_scikit_learn(kind: str, weights: str, draw: Any, options: dict[str, Any]) -> None:
    x = draw()
    d = x.shape[1]
    if "degrees_of_freedom_prior" in options:
        matrix = np.eye(d) + 0.2
        covariance = {"full": matrix, "tied": matrix, "diag": matrix[0], "spherical": 2.0}[kind]
        options = {**options, "mean_prior": np.arange(d) / d, "covariance_prior": covariance}
    options = {"n_components": 5, "covariance_type": kind, "init_params": "random",
               "weight_concentration_prior_type": weights, "random_state": 0, "max_iter": 10,
               **options}  # fmt: skip
    ours = BayesianGaussianMixture(**options)
    theirs = sklearn.mixture.BayesianGaussianMixture(**options)
    np.testing.assert_array_equal(ours.fit_predict(x), theirs.fit_predict(x))
    far = x[:2] + 1e3 * x.std(0)  # where scores of -1000 nats are more than densities
    equal(ours, theirs, np.concatenate([x[::7], far]))


@each_of_theirs
@each_type
def test_weights_are_repetitions(kind: str, weights: str) -> None:
    """Of scikit-learn's, from where it stands after no iteration."""
    x = clusters(20, d=3)
    counts = np.random.default_rng(0).integers(0, 4, len(x))
    many = np.repeat(x, counts, axis=0)
    options: dict[str, Any] = {"n_components": 4, "covariance_type": kind, "warm_start": True,
                               "weight_concentration_prior_type": weights}  # fmt: skip
    theirs = sklearn.mixture.BayesianGaussianMixture(**options, max_iter=0, random_state=0).fit(
        many
    )
    ours = BayesianGaussianMixture(**options, max_iter=40)
    for name in STATE:
        setattr(ours, name, getattr(theirs, name))
    ours.n_features_in_ = 3
    np.testing.assert_allclose(ours.predict_proba(x), theirs.predict_proba(x), atol=1e-9)
    ours.fit(x, sample_weight=counts)
    equal(ours, theirs.set_params(max_iter=40).fit(many), x)
    assert ours.n_samples_seen_ == counts.sum()


@each_kind
def test_tensors(kind: str) -> None:
    """Tensors in, tensors out, equal to the same numbers in an array; float32 is near."""
    x = torch.from_numpy(clusters(50))
    options: dict[str, Any] = {"covariance_type": kind, "random_state": 0}
    k = 3 if kind == "tied_diag" else 4  # whose spare component fades too slowly for float32
    ours, other, near = (
        BayesianGaussianMixture(k, **options).fit(each)
        for each in (x.float(), x.float().numpy(), x)
    )
    for name in FITTED:
        got, want = getattr(ours, name), getattr(other, name)
        if name == "weight_concentration_":
            got, want = torch.stack(got), np.stack(want)
        np.testing.assert_array_equal(np.asarray(got), want, err_msg=name)
        assert isinstance(got, torch.Tensor | float), name
    assert ours.lower_bound_ == pytest.approx(near.lower_bound_, abs=2e-3)
    torch.testing.assert_close(ours.means_, near.means_, rtol=1e-3, atol=1e-3)
    for name in ("predict", "predict_proba", "score_samples"):
        found = getattr(ours, name)(x.float())
        np.testing.assert_array_equal(found.numpy(), getattr(other, name)(x.float().numpy()))
    ours.set_params(warm_start=True).fit(x.float())
    assert ours.sample(10)[0].shape == (10, 4)


@each_kind
def test_a_mapped_file(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(points, "_CHUNK", 1000)
    x = clusters(40)
    np.save(tmp_path / "x.npy", x)
    mixture = BayesianGaussianMixture(3, covariance_type=kind, random_state=0)
    mapped = clone(mixture).fit(np.load(tmp_path / "x.npy", mmap_mode="r"))
    for name in FITTED:
        np.testing.assert_array_equal(getattr(mapped, name), getattr(mixture.fit(x), name))


def test_a_start_of_a_sample_counts_all_points(monkeypatch: pytest.MonkeyPatch) -> None:
    x = clusters(100)
    whole = BayesianGaussianMixture(3, max_iter=0, random_state=0).fit(x)
    monkeypatch.setattr("pyvae.mixture.start._WHOLE", 1)
    monkeypatch.setattr("pyvae.mixture.start._MOST_ROWS", 200)
    fitted = BayesianGaussianMixture(3, max_iter=0, random_state=0).fit(x)
    assert fitted.degrees_of_freedom_.sum() == pytest.approx(whole.degrees_of_freedom_.sum())
    assert fitted.lower_bound_ == fitted.evidence_lower_bound_ == -np.inf


@each_kind
@each_type
def test_missing_coordinates(kind: str, weights: str) -> None:
    """Where none is missing the fit is the ordinary one; of a row of NaN nothing is known."""
    x = clusters(30, d=2)
    options: dict[str, Any] = {"covariance_type": kind, "random_state": 0, "reg_covar": 0.0,
                               "weight_concentration_prior_type": weights}  # fmt: skip
    plain = BayesianGaussianMixture(3, **options).fit(x)
    fitted = BayesianGaussianMixture(3, **options, missing_values="marginalize").fit(x)
    assert fitted.lower_bound_ == pytest.approx(plain.lower_bound_, rel=1e-9)
    assert fitted.score_samples(np.full((1, 2), np.nan)) < 0.0  # scores are no weights: less
    half = np.array([[0.5, np.nan]])
    grid = np.column_stack([np.full(4001, 0.5), np.linspace(-80.0, 80.0, 4001)])
    over = np.log(np.exp(fitted.score_samples(grid)).sum() * 0.04)
    assert fitted.score_samples(half)[0] == pytest.approx(over, abs=1e-6)


@each_kind
@each_type
def test_a_batch_of_all_points_leaves_a_fit(kind: str, weights: str) -> None:
    x = clusters(20, d=2)
    options: dict[str, Any] = {"covariance_type": kind, "random_state": 0, "tol": 1e-9,
                               "weight_concentration_prior_type": weights,
                               "max_iter": 2000}  # fmt: skip
    fitted = BayesianGaussianMixture(3, **options, total_samples=len(x)).fit(x)
    before = clone(fitted).fit(x)
    assert fitted.partial_fit(x).n_iter_ == before.n_iter_ + 1
    for name in FITTED:
        got, want = np.asarray(getattr(fitted, name)), np.asarray(getattr(before, name))
        np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-6, err_msg=name)
    assert fitted.evidence_lower_bound_ == pytest.approx(before.evidence_lower_bound_, abs=1e-3)


@pytest.mark.parametrize(
    ("kind", "weights"), [("full", "dirichlet_process"), ("diag", "dirichlet_distribution")]
)
def test_minibatches_reach_the_fit(kind: str, weights: str) -> None:
    """Under the same prior, of as many points: natural-gradient steps."""
    x, random = clusters(60, d=2), np.random.default_rng(0)
    options: dict[str, Any] = {"covariance_type": kind, "random_state": 0, "tol": 1e-5,
                               "weight_concentration_prior_type": weights,
                               "max_iter": 1000}  # fmt: skip
    exact = BayesianGaussianMixture(3, **options).fit(x)
    prior = {"mean_prior": exact.mean_prior_, "covariance_prior": exact.covariance_prior_}
    mixture = BayesianGaussianMixture(3, **options, **prior, total_samples=len(x))
    for _ in range(25):
        for part in random.permutation(len(x)).reshape(3, -1):
            mixture.partial_fit(x[part])
    order, same = exact.means_[:, 0].argsort(), mixture.means_[:, 0].argsort()
    np.testing.assert_allclose(mixture.means_[same], exact.means_[order], atol=0.1)
    np.testing.assert_allclose(mixture.weights_[same], exact.weights_[order], atol=0.01)
    np.testing.assert_allclose(
        mixture.mean_precision_[same], exact.mean_precision_[order], atol=2.0
    )
    assert mixture.mean_precision_.sum() == pytest.approx(exact.mean_precision_.sum())


def test_batches_of_a_stream_count_what_was_seen() -> None:
    x = clusters(30, d=2)
    mixture = BayesianGaussianMixture(2, random_state=0).partial_fit(x[::3]).partial_fit(x[1::3])
    prior = mixture.covariance_prior_
    mixture.partial_fit(x[2::3])
    assert mixture.n_samples_seen_ == len(x)
    assert mixture.mean_precision_.sum() == pytest.approx(len(x) + 2 * 1.0)
    np.testing.assert_array_equal(mixture.covariance_prior_, prior)


DEGENERATE = {
    "copies": np.ones((12, 2)),
    "collinear": np.outer(np.random.default_rng(0).normal(size=40), [1.0, 2.0]) + 0.1,
    "constant": np.column_stack([np.random.default_rng(0).normal(size=40), np.full(40, 0.1)]),
}


@each_kind
@pytest.mark.parametrize("name", list(DEGENERATE))
def test_data_without_a_covariance(kind: str, name: str) -> None:
    """What has spread of its own is as scikit-learn has it; else `reg_covar` holds it up."""
    x = DEGENERATE[name]
    options: dict[str, Any] = {"covariance_type": kind, "random_state": 0}
    fitted = BayesianGaussianMixture(4, **options).fit(x)
    assert np.isfinite(fitted.score_samples(x)).all()
    assert (np.linalg.eigvalsh(fitted.covariance_matrices_) > 1e-9).all()
    singular = (
        kind in ("full", "tied")
        or name == "copies"
        or (name == "constant" and kind.endswith("diag"))
    )
    assert np.isfinite(fitted.evidence_lower_bound_) == (not singular)
    one = BayesianGaussianMixture(1, **options).fit(x)
    untied = {**options, "covariance_type": kind if kind in THEIRS else kind.removeprefix("tied_")}
    theirs = sklearn.mixture.BayesianGaussianMixture(n_components=1, **untied).fit(x)
    want = theirs.covariances_.reshape(np.shape(one.covariances_))
    np.testing.assert_allclose(one.covariances_, want, rtol=1e-6, atol=1e-12)
    if singular:
        with pytest.raises(ValueError, match=r"covariance_prior, which holds up .* is singular"):
            BayesianGaussianMixture(4, **options, reg_covar=0.0).fit(x)


def test_a_warm_start_goes_on() -> None:
    x = clusters(60)
    options: dict[str, Any] = {"random_state": 0, "tol": 1e-6, "max_iter": 400}
    whole = BayesianGaussianMixture(4, **options).fit(x)
    parts = BayesianGaussianMixture(4, **{**options, "max_iter": 5}, warm_start=True).fit(x)
    parts.set_params(max_iter=400).fit(x)
    np.testing.assert_allclose(parts.means_, whole.means_, rtol=1e-9)
    assert parts.n_iter_ + 5 == whole.n_iter_


def test_progress_is_told_in_nats(capsys: pytest.CaptureFixture[str]) -> None:
    BayesianGaussianMixture(2, random_state=0, verbose=2, verbose_interval=1).fit(clusters(20))
    assert " nats" in (told := "".join(capsys.readouterr()))
    assert "a point" not in told


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"weight_concentration_prior_type": "pitman_yor"}, "weight_concentration_prior_type"),
        ({"weight_concentration_prior": 0.0}, "weight_concentration_prior"),
        ({"mean_precision_prior": -1.0}, "mean_precision_prior"),
        ({"total_samples": 0}, "total_samples"),
        ({"mean_prior": np.zeros(3)}, r"'means' should have the shape of \(4,\), but got \(3,\)"),
        ({"mean_prior": np.full(4, np.nan)}, "'mean_prior' holds NaN"),
        ({"degrees_of_freedom_prior": 3.0}, "should be greater than 3, but got 3.000"),
        ({"covariance_prior": 1.0}, r"'full covariance_prior' should have the shape of \(4, 4\)"),
        ({"covariance_prior": -np.eye(4)}, "should be symmetric, positive-definite"),
        ({"covariance_prior": np.triu(np.ones((4, 4)))}, "should be symmetric, positive-definite"),
        ({"covariance_prior": -np.ones(4), "covariance_type": "diag"}, "should be positive"),
        ({"n_components": 100}, "Expected n_samples >= n_components"),
    ],
)
def test_bad_parameters(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        BayesianGaussianMixture(**{"n_components": 2, **options}).fit(clusters(5))


def test_what_is_no_posterior() -> None:
    x = clusters(20)
    with pytest.raises(ValueError, match="give a covariance_prior"):
        BayesianGaussianMixture().fit(x, sample_weight=np.full(len(x), 1.0 / len(x)))
    mixture = BayesianGaussianMixture(2, random_state=0).fit(x)
    mixture.mean_precision_ = np.array([1.0, -1.0])
    with pytest.raises(ValueError, match="mean_precision_ must be greater than 0"):
        mixture.predict(x)
    mixture.mean_precision_ = np.ones(3)
    with pytest.raises(ValueError, match=r"mean_precision_ has shape \(3,\); expected \(2,\)"):
        mixture.predict(x)
    del mixture.mean_precision_
    with pytest.raises(NotFittedError, match="has no mean_precision_"):
        mixture.predict(x)
    with pytest.raises(ValueError, match="weight_concentration_ has shape"):
        BayesianGaussianMixture(2, random_state=0).fit(x).set_params(
            weight_concentration_prior_type="dirichlet_distribution"
        ).predict(x)
