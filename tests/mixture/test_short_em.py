# SPDX-License-Identifier: MIT
"""Short runs of EM start where k-means does not, and wherever k-means does."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
import torch

from pyvae.mixture import BayesianGaussianMixture, GaussianMixture
from pyvae.mixture.covariance import COVARIANCES, Parameters
from pyvae.mixture.points import Points
from pyvae.mixture.short_em import ShortEM
from tests.mixture.drawing import KINDS, clusters

LONG: dict[str, Any] = {"max_iter": 300, "tol": 1e-6}


def _fit(x: Any, k: int, method: str = "short_em", **more: Any) -> GaussianMixture:
    options = {"init_params": method, "random_state": 0, **more}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return GaussianMixture(k, **options).fit(x)


def _strips(random: np.random.Generator) -> np.ndarray:
    x = random.normal(size=(600, 2)) * (12.0, 0.7)
    return x + np.repeat([[0.0, 0.0], [0.0, 3.0], [0.0, 6.0], [0.0, 9.0]], 150, 0)


def _amid_noise(random: np.random.Generator) -> np.ndarray:
    x = random.normal(size=(1200, 8)) * ([1.0] * 2 + [6.0] * 6)
    x[:, :2] += np.repeat([[0.0, 0.0], [0.0, 5.0], [5.0, 0.0], [5.0, 5.0]], 300, 0)
    return x


@pytest.mark.parametrize("draw", [_strips, _amid_noise])
def test_what_kmeans_cuts_through(draw: Any) -> None:
    """Every seed ends at the best optimum; of k-means's starts some do not."""
    x, k = draw(np.random.default_rng(0)), 4
    labels = np.repeat(np.arange(k), len(x) // k)
    means = np.stack([x[labels == j].mean(0) for j in range(k)])
    precisions = np.stack([np.linalg.inv(np.cov(x[labels == j].T)) for j in range(k)])
    best = _fit(x, k, means_init=means, precisions_init=precisions, **LONG).lower_bound_
    reached = {
        method: [_fit(x, k, method, **LONG, random_state=seed).lower_bound_ for seed in range(3)]
        for method in ("short_em", "kmeans")
    }
    assert min(reached["short_em"]) > best - 1e-3
    assert min(reached["kmeans"]) < best - 1e-2


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_covariance(kind: str) -> None:
    """Before any iteration of the fit itself the clusters are found."""
    x = 2.0 * clusters(200)
    found = _fit(x, 3, covariance_type=kind, max_iter=0)
    np.testing.assert_allclose(np.sort(found.means_.mean(1)), [-6.0, 0.0, 6.0], atol=0.5)
    again = _fit(x, 3, covariance_type=kind, max_iter=0)
    np.testing.assert_array_equal(found.means_, again.means_)


@pytest.mark.parametrize("kind", KINDS)
def test_starts_wherever_kmeans_does(kind: str) -> None:
    random = np.random.default_rng(0)
    cases: dict[str, tuple[np.ndarray, int]] = {
        "copies of two points": (np.repeat([[0.0, 0.0], [1.0, 1.0]], 20, 0), 3),
        "copies of one": (np.ones((20, 2)), 2),
        "a constant coordinate": (np.c_[clusters(50), np.ones(150)], 3),
        "as many components as points": (random.normal(size=(6, 3)), 6),
        "one component": (random.normal(size=(50, 3)), 1),
        "one coordinate": (clusters(50)[:, :1], 3),
        "fewer points than coordinates": (random.normal(size=(20, 30)), 3),
        "far away": (clusters(50) + 1e6, 3),
        "tiny": (clusters(50) * 1e-150, 3),
        "two points": (np.array([[0.0], [1.0]]), 2),
    }
    for name, (x, k) in cases.items():
        found = _fit(x, k, covariance_type=kind)
        assert np.isfinite(found.lower_bound_), name
        assert np.isfinite(found.means_).all(), name


def test_without_covariances_it_is_kmeans() -> None:
    """Where reg_covar is zero no run has covariances; the error is that of k-means's start."""
    x = torch.ones(20, 2, dtype=torch.float64)
    points = Points.about_their_mean(x, None)
    runs = ShortEM.on_a_sample(COVARIANCES["full"], points, 2, 0.0)
    assert runs.best_sums(np.random.RandomState(0)) is None
    with pytest.raises(ValueError, match="ill-defined empirical covariance"):
        _fit(x, 2, reg_covar=0.0)


@pytest.mark.parametrize("kind", KINDS)
def test_points_without_weight_do_not_count(kind: str) -> None:
    x = clusters(100)
    weight = np.tile([0.0, 0.5], 150)
    some = _fit(x[1::2], 3, covariance_type=kind, max_iter=0)
    found = GaussianMixture(3, covariance_type=kind, init_params="short_em", max_iter=0,
                            random_state=0).fit(x, sample_weight=weight)  # fmt: skip
    np.testing.assert_allclose(found.means_, some.means_, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(found.covariances_, some.covariances_, rtol=1e-9)


def test_units_do_not_matter_to_the_best() -> None:
    """k-means sees one of the coordinates alone."""
    x = np.random.default_rng(0).normal(size=(600, 2))
    x[:, 0] += np.repeat([0.0, 8.0, 16.0], 200)
    x *= (1.0, 1e4)
    found = _fit(x, 3, max_iter=0)
    np.testing.assert_allclose(np.sort(found.means_[:, 0]), [0.0, 8.0, 16.0], atol=0.4)


def test_halves_lie_along_the_longest_axis() -> None:
    """By the mean of half a Gaussian, either way."""
    x = torch.randn(50, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    for kind in ("full", "diag"):
        covariance = COVARIANCES[kind]
        variances = torch.tensor([[9.0, 1.0], [1.0, 9.0]], dtype=torch.float64)
        p = Parameters(torch.full((2,), 0.5).double(), torch.zeros(2, 2).double(),
                       torch.diag_embed(variances) if kind == "full" else variances)  # fmt: skip
        runs = ShortEM(covariance, x, x.new_ones(50), 2, 1e-6)
        halves = runs._halves(p, np.random.RandomState(0))
        torch.testing.assert_close(halves.weights, torch.full((4,), 0.25).double())
        torch.testing.assert_close(halves.weights @ halves.means, torch.zeros(2).double())
        reach = halves.means.abs()
        far = torch.full((2,), 18.0 / torch.pi, dtype=torch.float64).sqrt()
        torch.testing.assert_close(reach[:2].amax(1), far, rtol=1e-3, atol=0.0)
        assert reach[0, 0] > 10 * reach[0, 1]
        assert reach[1, 1] > 10 * reach[1, 0]


def test_a_start_of_variational_bayes() -> None:
    """Its responsibilities stand for all points, not for those of a sample."""
    x = 2.0 * clusters(700)
    options: dict[str, Any] = {"init_params": "short_em", "random_state": 0, "max_iter": 300}
    found = BayesianGaussianMixture(3, **options).fit(x)
    np.testing.assert_allclose(np.sort(found.means_.mean(1)), [-6.0, 0.0, 6.0], atol=0.3)
    begun = BayesianGaussianMixture(3, **{**options, "max_iter": 0})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        begun.fit(x)
    assert begun.mean_precision_.sum() == pytest.approx(len(x) + 3.0)
