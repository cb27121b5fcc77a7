# SPDX-License-Identifier: MIT
"""The estimator beside scikit-learn's, and what it does beyond."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
import sklearn.mixture
import torch
from sklearn.base import BaseEstimator, clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.utils.estimator_checks import parametrize_with_checks

from pyvae.mixture import GaussianMixture
from tests.mixture.drawing import KINDS, THEIRS, clusters, same_start

each_kind = pytest.mark.parametrize("kind", KINDS)
FITTED = ("weights_", "means_", "covariances_", "precisions_", "precisions_cholesky_")


# Pandas and scipy's array API are not needed here, and some checks say so of themselves.
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning", "ignore::UserWarning")
@parametrize_with_checks(
    [
        GaussianMixture(),
        *(
            GaussianMixture(2, covariance_type=kind, init_params="kmeans", random_state=0)
            for kind in KINDS[1:]
        ),
        GaussianMixture(missing_values="marginalize"),
    ],
    expected_failed_checks=lambda estimator: (
        # As KMeans: the random numbers of k-means++ fall on other points where points are repeated.
        {"check_sample_weight_equivalence_on_dense_data": "k-means++ draws other points"}
        if estimator.n_components > 1
        else {}
    ),
)
def test_scikit_learns_own_checks(estimator: BaseEstimator, check: Any) -> None:
    check(estimator)


@pytest.mark.parametrize("kind", THEIRS)
def test_equal_to_scikit_learn(kind: str) -> None:
    x, new = clusters(), clusters(20, seed=1)
    options = {**same_start(x, kind), "tol": 1e-7, "max_iter": 200}
    ours, theirs = GaussianMixture(**options), sklearn.mixture.GaussianMixture(**options)
    np.testing.assert_array_equal(ours.fit_predict(x), theirs.fit_predict(x))
    assert ours.n_iter_ == theirs.n_iter_ > 2
    for name in FITTED:
        got, want = getattr(ours, name), getattr(theirs, name)
        assert got.shape == want.shape
        np.testing.assert_allclose(got, want, rtol=1e-6, atol=1e-9, err_msg=name)
    np.testing.assert_allclose(ours.lower_bounds_, theirs.lower_bounds_, rtol=1e-9)
    for name in ("score_samples", "predict_proba", "predict", "score", "aic", "bic"):
        got, want = (getattr(fitted, name)(new) for fitted in (ours, theirs))
        np.testing.assert_allclose(got, want, rtol=1e-6, atol=1e-9, err_msg=name)


@pytest.mark.parametrize("kind", THEIRS)
@pytest.mark.parametrize("method", ["kmeans", "k-means++", "random", "random_from_data"])
def test_starts(kind: str, method: str) -> None:
    """As good as scikit-learn's of the same kind; the same seed gives the same bits."""
    x = clusters()
    options: dict[str, Any] = {"covariance_type": kind, "init_params": method, "n_init": 3,
                               "max_iter": 300, "random_state": 0}  # fmt: skip
    first, again = (GaussianMixture(3, **options).fit(x) for _ in range(2))
    np.testing.assert_array_equal(first.means_, again.means_)
    theirs = sklearn.mixture.GaussianMixture(3, **options).fit(x)
    assert first.lower_bound_ > theirs.lower_bound_ - 0.02


@each_kind
def test_weights_are_repetitions(kind: str) -> None:
    x = clusters(60)
    counts = np.random.default_rng(0).integers(0, 4, len(x))
    options = same_start(x, kind)
    weighted = GaussianMixture(**options).fit(x, sample_weight=counts)
    repeated = GaussianMixture(**options).fit(np.repeat(x, counts, axis=0))
    for name in FITTED:
        np.testing.assert_allclose(
            getattr(weighted, name), getattr(repeated, name), rtol=1e-8, atol=1e-10
        )
    assert weighted.lower_bound_ == pytest.approx(repeated.lower_bound_, rel=1e-10)


@each_kind
@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64, torch.int64])
def test_tensors(kind: str, dtype: torch.dtype) -> None:
    """Tensors in, tensors out, equal to the same numbers in an array."""
    x = torch.from_numpy(clusters() * 10).round().to(dtype)
    array = (x.float() if dtype == torch.float16 else x).numpy()
    options = {"covariance_type": kind, "random_state": 0}
    ours, other = GaussianMixture(3, **options).fit(x), GaussianMixture(3, **options).fit(array)
    for name in (*FITTED, "covariance_matrices_"):
        value = getattr(ours, name)
        assert isinstance(value, torch.Tensor)
        np.testing.assert_array_equal(value.numpy(), getattr(other, name))
    for name in ("predict", "predict_proba", "score_samples"):
        found = getattr(ours, name)(x)
        assert isinstance(found, torch.Tensor)
        np.testing.assert_array_equal(found.numpy(), getattr(other, name)(array))
    points, labels = ours.sample(10)
    assert points.shape == (10, 4)
    assert labels.dtype == torch.int64


@each_kind
def test_float32_far_from_the_origin(kind: str) -> None:
    """Data at 1e4 with sigma 0.1, where scikit-learn's diagonal fits in float32 fail."""
    near = (0.1 * clusters()).astype(np.float32)
    far = (near + np.float32(1e4)).astype(np.float32)
    options = {"covariance_type": kind, "random_state": 0, "tol": 1e-5, "max_iter": 300}
    exact = GaussianMixture(3, **options).fit(far.astype(np.float64))
    fitted = GaussianMixture(3, **options).fit(far)
    order, same = exact.means_[:, 0].argsort(), fitted.means_[:, 0].argsort()
    np.testing.assert_allclose(fitted.means_[same], exact.means_[order], atol=2e-3)
    np.testing.assert_allclose(fitted.weights_[same], exact.weights_[order], atol=5e-3)
    assert fitted.lower_bound_ == pytest.approx(exact.lower_bound_, abs=1e-3)


def test_minibatches_reach_the_fit() -> None:
    x = clusters(3000)
    np.random.default_rng(0).shuffle(x)
    whole = GaussianMixture(3, random_state=0, tol=1e-6).fit(x)
    stepwise = GaussianMixture(3, random_state=0)
    for _ in range(3):
        for batch in np.split(x, 30):
            assert stepwise.partial_fit(batch) is stepwise
    assert stepwise.n_iter_ == 90
    order = [stepwise.means_[:, 0].argsort(), whole.means_[:, 0].argsort()]
    np.testing.assert_allclose(stepwise.means_[order[0]], whole.means_[order[1]], atol=0.1)
    assert stepwise.score(x) > whole.score(x) - 0.01
    with pytest.raises(ValueError, match="X has 2 features, but GaussianMixture is expecting 4"):
        stepwise.partial_fit(x[:, :2])


def test_one_batch_over_and_over_is_em() -> None:
    """Sums of one batch averaged over steps end where EM ends."""
    x = clusters(100)
    fitted = GaussianMixture(3, random_state=0, tol=1e-9, max_iter=500).fit(x)
    stepwise = GaussianMixture(3, random_state=0)
    for _ in range(400):
        stepwise.partial_fit(x)
    np.testing.assert_allclose(stepwise.means_, fitted.means_, atol=1e-3)


def test_warm_start_goes_on() -> None:
    x = clusters()
    options = same_start(x, "full")
    whole = GaussianMixture(**options, max_iter=6, tol=0.0)
    parts = GaussianMixture(**options, max_iter=3, tol=0.0, warm_start=True)
    with pytest.warns(ConvergenceWarning, match="did not converge"):
        whole.fit(x)
    for _ in range(2):
        with pytest.warns(ConvergenceWarning, match="did not converge"):
            parts.fit(x)
    np.testing.assert_allclose(parts.means_, whole.means_, rtol=1e-12)


def test_no_iterations() -> None:
    x = clusters()
    fitted = GaussianMixture(3, max_iter=0, random_state=0).fit(x)
    assert fitted.n_iter_ == 0
    assert not fitted.converged_
    assert fitted.predict(x).shape == (len(x),)


@each_kind
def test_samples_have_the_moments(kind: str) -> None:
    fitted = GaussianMixture(2, covariance_type=kind, random_state=0).fit(clusters(d=2))
    points, labels = fitted.sample(40_000)
    for component in range(2):
        mine = points[labels == component]
        np.testing.assert_allclose(len(mine) / 40_000, fitted.weights_[component], atol=0.01)
        np.testing.assert_allclose(mine.mean(0), fitted.means_[component], atol=0.1)
        matrix = fitted.covariances_
        matrix = matrix if kind.startswith("tied") else matrix[component]
        matrix = matrix if matrix.ndim == 2 else matrix * np.eye(2)  # of one or of two variances
        np.testing.assert_array_equal(fitted.covariance_matrices_[component], matrix)
        np.testing.assert_allclose(np.cov(mine.T), matrix, atol=0.05 * np.abs(matrix).max())


def test_it_is_an_estimator() -> None:
    x = clusters()
    fitted = GaussianMixture(3, random_state=0).fit(x)
    again = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(again.predict(x), fitted.predict(x))
    assert clone(fitted).get_params() == fitted.get_params()
    with pytest.raises(NotFittedError):
        clone(fitted).predict(x)


@pytest.mark.parametrize("kind", ["full", "diag", "spherical"])
def test_an_empty_component_starts_again(kind: str) -> None:
    x = clusters()
    options = same_start(x, kind)
    options["means_init"] = options["means_init"].copy()
    options["means_init"][1] = 1e6
    with pytest.warns(ConvergenceWarning, match=r"components \[1\] had lost their points"):
        fitted = GaussianMixture(**options, max_iter=300, random_state=0).fit(x)
    assert fitted.weights_.min() > 0.01
    assert fitted.score(x) > GaussianMixture(2, covariance_type=kind, random_state=0).fit(x).score(
        x
    )


def test_a_collapsed_component_starts_again() -> None:
    x = np.concatenate([clusters(d=2), [[50.0, 50.0]]])
    options: dict[str, Any] = {
        "covariance_type": "diag",
        "means_init": [[50.0, 50.0], [0.0, 0.0]],
        "weights_init": [0.5, 0.5],
        "precisions_init": [[1.0, 1.0], [1.0, 1.0]],
        "reg_covar": 0.0,
        "random_state": 0,
    }
    with pytest.warns(ConvergenceWarning, match=r"components \[0\] had lost"):
        GaussianMixture(2, **options).fit(x)
    with pytest.raises(ValueError, match=r"ill-defined empirical covariance of components 0: .*"):
        GaussianMixture(2, reseed=False, **options).fit(x)


def test_copies_of_one_point() -> None:
    """Nothing is to be moved where all points are one."""
    fitted = GaussianMixture(1, random_state=0).fit(np.ones((10, 2)))
    np.testing.assert_allclose(fitted.means_, 1.0)
    with pytest.raises(ValueError, match="ill-defined"):
        GaussianMixture(1, reg_covar=0.0).fit(np.ones((10, 2)))


def test_progress(capsys: pytest.CaptureFixture[str]) -> None:
    GaussianMixture(3, verbose=1, verbose_interval=1, random_state=0, tol=1e-6).fit(clusters())
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("start 1, iteration 1: -")
    assert "nats a point, change " in lines[1]
    GaussianMixture(3, random_state=0).fit(clusters())
    assert capsys.readouterr().err == ""


BAD = {
    "n_components": 0,
    "covariance_type": "round",
    "tol": -1.0,
    "reg_covar": -1.0,
    "max_iter": -1,
    "init_params": "guess",
    "missing_values": "drop",
    "prior": 3.0,
}


@pytest.mark.parametrize(("name", "value"), BAD.items())
def test_bad_parameters(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"The '{name}' parameter of GaussianMixture must be"):
        GaussianMixture(**{name: value}).fit(clusters())


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"weights_init": [0.5, 0.4]}, r"should be normalized, but got sum\(weights\) = 0\.9"),
        ({"weights_init": [1.5, -0.5]}, r"'weights' should be in the range \[0, 1\]"),
        ({"weights_init": [1.0]}, r"'weights' should have the shape of \(2,\), but got \(1,\)"),
        ({"means_init": np.zeros((2, 3))}, r"'means' should have the shape of \(2, 4\)"),
        ({"precisions_init": -np.ones((2, 4))}, "'diag precision' should be positive"),
        (
            {"precisions_init": -np.stack([np.eye(4)] * 2), "covariance_type": "full"},
            "'full precision' should be positive definite",
        ),
    ],
)
def test_bad_starts(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        GaussianMixture(2, **{"covariance_type": "diag", **options}).fit(clusters())


@pytest.mark.parametrize(
    ("weight", "words"),
    [
        (np.ones(3), "sample_weight"),
        (-np.ones(900), "not negative"),
        (np.zeros(900), "at least one non-zero number"),
        (torch.zeros(900), "zero for every point"),
        (torch.ones(3), r"sample_weight has shape \(3,\); expected \(900,\)"),
        (torch.full((900,), torch.nan), "must be finite"),
    ],
)
def test_bad_weights(weight: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        GaussianMixture(2).fit(clusters(), sample_weight=weight)


@pytest.mark.parametrize(
    ("x", "words"),
    [
        (torch.zeros(5), r"X has shape \(5,\); expected points \(N, D\)"),
        (torch.zeros(1, 2), r"1 sample\(s\)"),
        (torch.zeros(5, 0), r"0 feature\(s\)"),
        (torch.tensor([[0.0], [torch.nan]]), r"NaN or infinity in row 1 .*marginalize"),
        (torch.zeros(3, 2, dtype=torch.complex64), "expected real numbers"),
        (clusters()[:3], "Expected n_samples >= n_components but got n_components = 4"),
    ],
)
def test_bad_points(x: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        GaussianMixture(4 if len(x) == 3 else 1).fit(x)
