# SPDX-License-Identifier: MIT
"""Coordinates that were not observed are integrated out exactly, for every kind of covariance."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy import optimize, stats
from scipy.special import logsumexp
from sklearn.base import clone

from pyvae.mixture import GaussianMixture
from tests.mixture.drawing import KINDS, clusters, same_start

each_kind = pytest.mark.parametrize("kind", KINDS)
MARGINALIZE: dict[str, Any] = {"missing_values": "marginalize"}


def holes(x: np.ndarray, share: float = 0.25, seed: int = 1) -> np.ndarray:
    """Some coordinates lost, and all of one row."""
    x = x.copy()
    x[np.random.default_rng(seed).random(x.shape) < share] = np.nan
    x[3] = np.nan
    return x


def log_joint(x: np.ndarray, fitted: GaussianMixture) -> np.ndarray:
    """By scipy's densities of what was observed, row by row."""
    matrices = fitted.covariance_matrices_
    k = len(matrices)
    found = np.zeros((len(x), k))
    for row, point in enumerate(x):
        seen = ~np.isnan(point)
        for component in range(k):
            found[row, component] = np.log(fitted.weights_[component])
            if seen.any():
                found[row, component] += stats.multivariate_normal.logpdf(
                    point[seen],
                    fitted.means_[component][seen],
                    matrices[component][np.ix_(seen, seen)],
                )
    return found


@each_kind
def test_densities_and_responsibilities(kind: str) -> None:
    x = holes(clusters(40))
    fitted = GaussianMixture(**same_start(clusters(), kind), **MARGINALIZE).fit(x)
    joint = log_joint(x, fitted)
    density = logsumexp(joint, axis=1)
    np.testing.assert_allclose(fitted.score_samples(x), density, rtol=1e-10, atol=1e-10)
    shares = np.exp(joint - density[:, None])
    np.testing.assert_allclose(fitted.predict_proba(x), shares, rtol=1e-8, atol=1e-10)
    np.testing.assert_array_equal(fitted.predict(x), shares.argmax(1))
    np.testing.assert_allclose(fitted.predict_proba(x)[3], fitted.weights_)
    assert fitted.score_samples(x)[3] == pytest.approx(0.0, abs=1e-15)  # log sum of the weights


@each_kind
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_nothing_missing_is_the_ordinary_fit(kind: str, dtype: type) -> None:
    x = clusters().astype(dtype)
    options = {**same_start(x, kind), "max_iter": 5, "tol": 0.0}
    with pytest.warns(UserWarning, match="did not converge"):
        plain = GaussianMixture(**options).fit(x)
    with pytest.warns(UserWarning, match="did not converge"):
        general = GaussianMixture(**options, **MARGINALIZE).fit(x)
    rtol = 1e-9 if dtype == np.float64 else 1e-4
    for name in ("weights_", "means_", "covariances_"):
        got, want = getattr(general, name), getattr(plain, name)
        np.testing.assert_allclose(got, want, rtol=rtol, atol=rtol)


@each_kind
def test_the_fit_is_a_maximum(kind: str) -> None:
    """EM's fixed point is where scipy finds no better likelihood of what was observed."""
    x = holes(clusters(40, d=2))
    options = {**same_start(clusters(d=2), kind, k=2), "tol": 1e-13, "max_iter": 3000}
    fitted = GaussianMixture(**options, reg_covar=0.0, **MARGINALIZE).fit(x)  # F never fell

    def loss(means: np.ndarray) -> float:
        moved = fitted.means_
        fitted.means_ = means.reshape(moved.shape)
        value = -logsumexp(log_joint(x, fitted), axis=1).sum()
        fitted.means_ = moved
        return value

    at = fitted.means_.ravel().copy()
    gradient = optimize.approx_fprime(at, loss, 1e-6)
    assert np.abs(gradient).max() < 1e-2
    root = fitted.covariances_.copy()

    def scaled(factor: float) -> float:
        fitted.covariances_ = root * factor
        value = -logsumexp(log_joint(x, fitted), axis=1).sum()
        fitted.covariances_ = root
        return value

    assert scaled(1.0) <= min(scaled(0.999), scaled(1.001))


@each_kind
def test_weights_count(kind: str) -> None:
    x = holes(clusters(40))
    counts = np.random.default_rng(0).integers(0, 3, len(x))
    options = same_start(clusters(), kind)
    weighted = GaussianMixture(**options, **MARGINALIZE).fit(x, sample_weight=counts)
    repeated = GaussianMixture(**options, **MARGINALIZE).fit(np.repeat(x, counts, axis=0))
    np.testing.assert_allclose(weighted.means_, repeated.means_, rtol=1e-8)
    np.testing.assert_allclose(weighted.covariances_, repeated.covariances_, rtol=1e-8, atol=1e-10)


@each_kind
@pytest.mark.parametrize("method", ["short_em", "kmeans", "random_from_data"])
def test_starts_with_holes(kind: str, method: str) -> None:
    x = holes(clusters(100))
    fitted = GaussianMixture(
        3, covariance_type=kind, init_params=method, n_init=3, max_iter=500, random_state=0,
        **MARGINALIZE,
    ).fit(x)  # fmt: skip
    found = np.sort(fitted.means_.mean(1))
    np.testing.assert_allclose(found, [-3.0, 0.0, 3.0], atol=0.4)


def test_nan_is_refused_unless_asked_for() -> None:
    x = holes(clusters(40))
    with pytest.raises(ValueError, match="NaN"):
        GaussianMixture(2).fit(x)
    x[0, 0] = np.inf
    for kind in (x, torch.from_numpy(x)):
        with pytest.raises(ValueError, match="infinity"):
            GaussianMixture(2, **MARGINALIZE).fit(kind)


@each_kind
def test_a_coordinate_that_nobody_observed(kind: str, tmp_path: Path) -> None:
    """Nothing is known of it, so there is nothing to fit; a batch may leave one out."""
    x = holes(clusters(40))
    mixture = GaussianMixture(2, covariance_type=kind, random_state=0, **MARGINALIZE)
    started = clone(mixture).partial_fit(x)
    weight = np.where(np.isnan(x[:, 1]), 1.0, 0.0)
    for fit in (mixture.fit, mixture.partial_fit):
        with pytest.raises(ValueError, match=r"nothing but NaN in column\(s\) 1 .*weight zero"):
            fit(x, sample_weight=weight)
    x[:, [0, 2]] = np.nan
    np.save(tmp_path / "x.npy", x)
    for stored in (x, torch.from_numpy(x), np.load(tmp_path / "x.npy", mmap_mode="r")):
        with pytest.raises(ValueError, match=r"nothing but NaN in column\(s\) 0, 2 \(counted"):
            mixture.fit(stored)
    before = started.score(clusters(40))
    assert started.partial_fit(x).score(clusters(40)) > before - 1.0
