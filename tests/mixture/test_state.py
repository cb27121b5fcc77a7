# SPDX-License-Identifier: MIT
"""The public attributes are all of a mixture; a failed call leaves them as they were."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
import sklearn.mixture
import torch
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError

from pyvae.mixture import ConjugatePrior, GaussianMixture
from pyvae.mixture.gaussian_em import GaussianEM
from tests.mixture.drawing import KINDS, THEIRS, clusters

each_kind = pytest.mark.parametrize("kind", KINDS)
MIXTURE = ("weights_", "means_", "covariances_", "precisions_", "precisions_cholesky_")
STATE = (*MIXTURE, "converged_", "n_iter_", "lower_bound_", "n_features_in_")
PRIOR = ConjugatePrior(2.0, (1.0, 0.0, -1.0, 0.5), 0.5, 3.0, 6.0)


def fitted(kind: str, **options: Any) -> GaussianMixture:
    return GaussianMixture(3, covariance_type=kind, random_state=0, **options).fit(clusters())


def by_json(mixture: GaussianMixture) -> GaussianMixture:
    """Another one, of which only what the documentation lists was set, from lists of numbers."""
    other = GaussianMixture(**mixture.get_params())
    for name in STATE:
        value = json.loads(json.dumps(np.asarray(getattr(mixture, name)).tolist()))
        setattr(other, name, np.array(value) if isinstance(value, list) else value)
    return other


def by_joblib(mixture: GaussianMixture, folder: Path) -> GaussianMixture:
    joblib.dump(mixture, folder / "mixture")
    return joblib.load(folder / "mixture")


def same(one: GaussianMixture, other: GaussianMixture, x: np.ndarray) -> None:
    """They say the same of points, and go on in the same way."""
    for name in ("predict", "predict_proba", "score_samples", "bic", "aic", "score"):
        np.testing.assert_array_equal(getattr(one, name)(x), getattr(other, name)(x), name)
    np.testing.assert_array_equal(one.covariance_matrices_, other.covariance_matrices_)
    for drawn in zip(one.sample(20), other.sample(20), strict=True):
        np.testing.assert_array_equal(*drawn)
    on = [clone(m).set_params(warm_start=True, tol=1e-9, max_iter=500) for m in (one, other)]
    for mixture, original in zip(on, (one, other), strict=True):
        vars(mixture).update({name: getattr(original, name) for name in STATE})
        mixture.fit(x)
    np.testing.assert_array_equal(on[0].means_, on[1].means_)
    on = [pickle.loads(pickle.dumps(mixture)) for mixture in (one, other)]
    for mixture in on:
        mixture.n_samples_seen_ = 100.0  # which the documentation lets one leave out
        mixture.partial_fit(x)
    np.testing.assert_array_equal(on[0].means_, on[1].means_)


@each_kind
@pytest.mark.parametrize("missing", ["refuse", "marginalize"])
def test_copies(kind: str, missing: str, tmp_path: Path) -> None:
    mixture = fitted(kind, missing_values=missing)
    assert all(not isinstance(v, torch.Tensor) for v in vars(mixture).values())
    assert not [name for name in vars(mixture) if name.startswith("_")]
    for copy in (
        by_json(mixture), pickle.loads(pickle.dumps(mixture)), by_joblib(mixture, tmp_path),
    ):  # fmt: skip
        same(mixture, copy, clusters(50, seed=1))


@each_kind
def test_copies_of_a_fit_in_batches(kind: str) -> None:
    mixture = GaussianMixture(3, covariance_type=kind, random_state=0)
    batches = np.split(clusters()[np.random.default_rng(0).permutation(900)], 6)
    for batch in batches[:5]:
        mixture.partial_fit(batch)
    other = by_json(mixture)  # without n_samples_seen_: 5 batches of that size
    for each in (mixture, other):
        each.partial_fit(batches[5])
    np.testing.assert_array_equal(other.means_, mixture.means_)


@each_kind
@pytest.mark.parametrize("only", ["precisions_cholesky_", "covariances_", "precisions_"])
def test_the_least_that_is_a_mixture(kind: str, only: str) -> None:
    """Lists of float32 will do, without a word about how they were found."""
    mixture, x = fitted(kind), clusters(50, seed=1)
    other = GaussianMixture(3, covariance_type=kind)
    for name in ("weights_", "means_", only):
        setattr(other, name, getattr(mixture, name).tolist())
    np.testing.assert_allclose(other.score_samples(x), mixture.score_samples(x), rtol=1e-10)
    np.testing.assert_allclose(
        other.covariance_matrices_, mixture.covariance_matrices_, rtol=1e-9, atol=1e-12
    )
    assert other.sample(5)[0].shape == (5, 4)
    assert other.partial_fit(x).n_iter_ == 2
    vars(other).pop("means_")
    with pytest.raises(NotFittedError, match=r"has no means_: call fit\(\), or set weights_"):
        other.predict(x)


@pytest.mark.parametrize("kind", THEIRS)
def test_as_scikit_learn_takes_them(kind: str) -> None:
    """Its densities read weights_, means_ and precisions_cholesky_; so do ours and samples."""
    x = clusters(50, seed=1)
    theirs = sklearn.mixture.GaussianMixture(3, covariance_type=kind, random_state=1).fit(x)
    ours, order = fitted(kind), np.array([2, 0, 1])
    for name in ("weights_", "means_", "precisions_cholesky_"):
        value = getattr(theirs, name)
        if not (kind == "tied" and name == "precisions_cholesky_"):
            value = value[order]
        setattr(ours, name, value)
        setattr(theirs, name, value)
    for name in ("score_samples", "predict_proba", "predict"):
        got, want = (getattr(mixture, name)(x) for mixture in (ours, theirs))
        np.testing.assert_allclose(got, want, rtol=1e-8, atol=1e-10)
    with pytest.warns(UserWarning, match="covariances_ are of another mixture"):
        points, labels = ours.sample(20_000)
    matrices = theirs.covariances_ if kind in ("tied", "spherical") else theirs.covariances_[order]
    for component in range(3):
        mine = points[labels == component]
        np.testing.assert_allclose(mine.mean(0), ours.means_[component], atol=0.2)
        if kind == "full":
            np.testing.assert_allclose(np.cov(mine.T), matrices[component], atol=0.3)


@each_kind
def test_reordered(kind: str) -> None:
    mixture, x = fitted(kind), clusters(50, seed=1)
    before = mixture.predict_proba(x), mixture.score_samples(x)
    order = np.array([1, 2, 0])
    for name in MIXTURE:
        if not kind.startswith("tied") or name in ("weights_", "means_"):
            setattr(mixture, name, getattr(mixture, name)[order])
    np.testing.assert_allclose(mixture.predict_proba(x), before[0][:, order], atol=1e-12)
    np.testing.assert_allclose(mixture.score_samples(x), before[1], rtol=1e-12)


@each_kind
@pytest.mark.parametrize("prior", [None, PRIOR])
@pytest.mark.parametrize("reg_covar", [0.0, 1e-2])
def test_the_sums_behind_a_mixture(
    kind: str, prior: ConjugatePrior | None, reg_covar: float
) -> None:
    """A batch that weighs nothing leaves every mixture as it is, whatever fitted it."""
    mixture = fitted(kind, prior=prior, reg_covar=reg_covar, tol=1e-6, max_iter=500)
    before = {name: getattr(mixture, name) for name in MIXTURE}
    assert mixture.n_samples_seen_ == 900.0
    mixture.n_samples_seen_, few = 1e30, clusters(1, seed=2)
    mixture.partial_fit(few)
    for name, value in before.items():
        np.testing.assert_allclose(getattr(mixture, name), value, rtol=1e-6, atol=1e-8)


@each_kind
def test_a_fit_forgets_batches_and_batches_go_on_from_a_fit(kind: str) -> None:
    a, b = clusters(100), 3.0 * clusters(100, seed=1) + 100.0
    new = GaussianMixture(3, covariance_type=kind, random_state=0)
    straight = clone(new).fit(b).partial_fit(b)
    around = clone(new).partial_fit(a).fit(b).partial_fit(b)
    for name in MIXTURE:
        np.testing.assert_array_equal(getattr(around, name), getattr(straight, name))
    assert straight.n_samples_seen_ == 2 * len(b)
    whole = clone(new).fit(a)
    before = whole.score(a)
    assert whole.partial_fit(a[:5]).score(a) > before - 0.1


def test_a_prior_weighs_as_many_points_in_batches_as_in_a_fit() -> None:
    x, prior = clusters(100), ConjugatePrior(mean=np.full(4, 50.0), mean_precision=1.0)
    whole = GaussianMixture(1, prior=prior).fit(x)
    np.testing.assert_allclose(GaussianMixture(1, prior=prior).partial_fit(x).means_, whole.means_)


def _interrupted(mixture: GaussianMixture, fit: Callable[..., Any]) -> None:
    def e_step(*_: Any) -> None:
        raise KeyboardInterrupt

    x = clusters(40, d=mixture.n_features_in_)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(GaussianEM, "e_step", e_step)
        with pytest.raises(KeyboardInterrupt):
            fit(x)


@each_kind
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
@pytest.mark.parametrize("warm_start", [False, True])
def test_a_failed_call_changes_nothing(kind: str, method: str, warm_start: bool) -> None:
    mixture = fitted(kind, warm_start=warm_start)
    before = dict(vars(mixture))
    fit = getattr(mixture, method)
    wrong = (
        np.full((50, 4), np.nan), np.zeros((50, 2)), torch.zeros(50, 3, 3), np.zeros((0, 4)),
        [["a"] * 4] * 50, torch.full((50, 2), torch.inf),
    )  # fmt: skip
    for x in wrong:
        if warm_start or method == "partial_fit" or not isinstance(x, np.ndarray) or x.any():
            with pytest.raises((ValueError, TypeError)):
                fit(x)
            assert vars(mixture) == before
    with pytest.raises(ValueError, match="sample_weight"):
        fit(clusters(40, d=4), sample_weight=np.ones(3))
    assert vars(mixture) == before
    _interrupted(mixture, fit)
    assert vars(mixture) == before
    if not warm_start and method == "fit":
        mixture.reg_covar = 0.0
        with pytest.raises(ValueError, match="ill-defined"):
            fit(np.ones((50, 2)))
        mixture.reg_covar = before["reg_covar"]
        with pytest.raises(ValueError, match="n_components = 3, n_samples = 2"):
            fit(np.zeros((2, 7)))
        mixture.set_params(max_iter=1, tol=0.0)
        with pytest.warns(ConvergenceWarning):
            fit(clusters(40, d=2))
        assert mixture.n_features_in_ == 2


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("other", KINDS)
@pytest.mark.parametrize("size", [2, 3, 4])
def test_another_kind_of_covariance(kind: str, other: str, size: int) -> None:
    """Refused by name, as long as the numbers are not those of both; also where shapes agree."""
    x = clusters(50, d=size)
    mixture = GaussianMixture(size, covariance_type=kind, random_state=0).fit(x)
    if kind == other or {kind, other} == {"spherical", "tied_diag"}:  # D numbers are of both
        return
    mixture.set_params(covariance_type=other)
    warm = clone(mixture).set_params(warm_start=True)
    vars(warm).update({name: getattr(mixture, name) for name in STATE})
    for call in (
        mixture.predict,
        mixture.score_samples,
        mixture.bic,
        mixture.partial_fit,
        warm.fit,
    ):
        with pytest.raises(ValueError, match=rf"covariance_type='{other}' of {size} components"):
            call(x)
    with pytest.raises(ValueError, match="covariance_type"):
        mixture.sample()
    mixture.fit(x).predict(x)  # starts anew


def test_another_number_of_components_or_coordinates() -> None:
    x = clusters(50)
    mixture = fitted("full", warm_start=True)
    mixture.n_components = 4
    assert mixture.predict_proba(x).shape == (150, 3)
    for fit, way in ((mixture.fit, "warm_start=True"), (mixture.partial_fit, "partial_fit")):
        with pytest.raises(ValueError, match=rf"n_components=4, .* {way} goes on from has 3: set"):
            fit(x)
    mixture.n_components = 3
    for wrong in (x[:, :2], torch.from_numpy(x[:, :2])):
        for call in (mixture.fit, mixture.partial_fit, mixture.predict):
            with pytest.raises(ValueError, match="X has 2 features, but GaussianMixture is expec"):
                call(wrong)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("weights_", np.ones(2) / 2, r"weights_ has shape \(2,\); expected \(3,\): one for each"),
        ("weights_", [0.5, 0.7, -0.2], "weights_ must not be negative"),
        ("weights_", [0.5, 0.5, np.nan], "weights_ holds NaN"),
        ("means_", np.zeros(3), r"means_ has shape \(3,\); expected \(K, D\)"),
        ("means_", np.zeros((3, 2)), r"precisions_cholesky_ has shape \(3, 4, 4\); expected"),
        ("precisions_cholesky_", -np.stack([np.eye(4)] * 3), "precisions_cholesky_ of components"),
        ("precisions_cholesky_", np.ones((3, 4, 4)), "precisions_cholesky_ of components"),
    ],
)
def test_attributes_that_are_no_mixture(name: str, value: Any, words: str) -> None:
    mixture = fitted("full")
    setattr(mixture, name, value)
    with pytest.raises(ValueError, match=words):
        mixture.predict(clusters(5))
