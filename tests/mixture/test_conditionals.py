# SPDX-License-Identifier: MIT
"""Marginals, conditionals, regressions and imputations of the estimator, by brute force."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mpmath
import numpy as np
import pytest
import torch
from scipy import stats
from scipy.special import logsumexp

from pyvae.mixture import (
    BayesianGaussianMixture,
    ConditionalMixtures,
    GaussianMixture,
    conditionals,
)
from tests.mixture.drawing import KINDS, clusters

each_kind = pytest.mark.parametrize("kind", KINDS)
GIVEN, REST = [3, 0], [1, 2]


def fitted(kind: str, d: int = 4, **options: Any) -> GaussianMixture:
    turn = np.linalg.qr(np.random.default_rng(5).normal(size=(d, d)))[0]
    x = clusters(60, d=d) @ turn
    return GaussianMixture(3, covariance_type=kind, random_state=0, **options).fit(x)


def by_hand(
    mixture: GaussianMixture, given: list[int], rest: list[int], x: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Weights, means and covariances given one point: Bishop (2006), (2.81) and (2.82)."""
    matrices, joint, means, left = mixture.covariance_matrices_, [], [], []
    for weight, mean, sigma in zip(mixture.weights_, mixture.means_, matrices, strict=True):
        inside, cross = sigma[np.ix_(given, given)], sigma[np.ix_(rest, given)]
        density = stats.multivariate_normal.logpdf(x, mean[given], inside) if given else 0.0
        joint.append(np.log(weight) + density)
        means.append(mean[rest] + cross @ np.linalg.solve(inside, x - mean[given]))
        left.append(sigma[np.ix_(rest, rest)] - cross @ np.linalg.solve(inside, cross.T))
    return np.exp(joint - logsumexp(joint)), np.array(means), np.array(left)


def moments(weights: np.ndarray, means: np.ndarray, left: np.ndarray) -> tuple[Any, Any]:
    mean = weights @ means
    gaps = means - mean
    return mean, np.einsum("k,kij->ij", weights, left + gaps[:, :, None] * gaps[:, None])


@each_kind
def test_conditionals(kind: str) -> None:
    """Of points at a time, and of one: an estimator in the same type of covariance."""
    mixture = fitted(kind)
    x = np.random.default_rng(1).normal(scale=3.0, size=(7, 2))
    many = mixture.condition(GIVEN, x)
    assert isinstance(many, ConditionalMixtures)
    assert many.weights.shape == (7, 3)
    assert many.means.shape == (7, 3, 2)
    for row, point in enumerate(x):
        weights, means, left = by_hand(mixture, GIVEN, REST, point)
        one = mixture.condition(GIVEN, point.tolist())
        assert isinstance(one, GaussianMixture)
        np.testing.assert_allclose(many.weights[row], weights, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(many.means[row], means, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(one.weights_, many.weights[row], rtol=1e-12)
        np.testing.assert_allclose(one.means_, many.means[row], rtol=1e-12)
        np.testing.assert_array_equal(one.covariances_, many.covariances)
        np.testing.assert_allclose(one.covariance_matrices_, left, rtol=1e-9, atol=1e-12)
    y = np.random.default_rng(2).normal(size=(5, 2))
    whole = np.empty((5, 4))
    whole[:, GIVEN], whole[:, REST] = x[0], y
    parts = mixture.condition(GIVEN, x[0]).score_samples(y)  # type: ignore[union-attr]
    parts = parts + mixture.marginal(GIVEN).score_samples(x[:1])
    np.testing.assert_allclose(parts, mixture.score_samples(whole), rtol=1e-9)


@each_kind
def test_marginals(kind: str) -> None:
    mixture = fitted(kind, missing_values="marginalize")
    found, x = mixture.marginal([2, 0]), clusters(5, seed=1)
    hidden = x.copy()
    hidden[:, [1, 3]] = np.nan
    np.testing.assert_allclose(found.score_samples(x[:, [2, 0]]), mixture.score_samples(hidden))
    matrices = mixture.covariance_matrices_[:, [2, 0]][:, :, [2, 0]]
    np.testing.assert_array_equal(found.covariance_matrices_, matrices)
    assert found.n_features_in_ == 2
    assert found.partial_fit(x[:, [2, 0]]).n_features_in_ == 2  # a mixture like any other
    assert mixture.marginal(slice(1, 2)).means_.shape == (3, 1)


@each_kind
def test_regression(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    mixture = fitted(kind)
    x = np.random.default_rng(1).normal(scale=3.0, size=(7, 2))
    monkeypatch.setattr(conditionals, "_ELEMENTS", 30)  # a few points at a time
    whole = mixture.regress(GIVEN, x, full_covariance=True)
    for row, point in enumerate(x):
        mean, covariance = moments(*by_hand(mixture, GIVEN, REST, point))
        np.testing.assert_allclose(whole.mean[row], mean, rtol=1e-9, atol=1e-10)
        np.testing.assert_allclose(whole.covariance[row], covariance, rtol=1e-9, atol=1e-10)
    plain, one = mixture.regress(GIVEN, x), mixture.regress(GIVEN, x[0])
    np.testing.assert_allclose(plain.covariance, np.diagonal(whole.covariance, axis1=1, axis2=2))
    assert one.mean.shape == one.covariance.shape == (2,)
    some = mixture.regress(GIVEN, x, targets=[2])
    np.testing.assert_allclose(some.mean[:, 0], whole.mean[:, 1])
    np.testing.assert_allclose(some.covariance[:, 0], plain.covariance[:, 1])
    tensors = mixture.regress(GIVEN, torch.from_numpy(x).float())
    assert isinstance(tensors.mean, torch.Tensor)
    np.testing.assert_allclose(tensors.mean, plain.mean, rtol=1e-5)


@each_kind
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_imputed_means(kind: str, dtype: type, tmp_path: Path) -> None:
    """Row by row as by hand; what was observed keeps its bits, and order does not matter."""
    mixture, random = fitted(kind), np.random.default_rng(3)
    x = (clusters(15, seed=2) + 0.1).astype(dtype)
    whole = x.copy()
    x[random.random(x.shape) < 0.4] = np.nan
    x[4], x[5] = np.nan, whole[5]
    found = mixture.impute(x)
    assert found.dtype == dtype
    np.testing.assert_array_equal(found[~np.isnan(x)], x[~np.isnan(x)])
    for row, point in enumerate(x.astype(float)):
        seen, unseen = np.flatnonzero(~np.isnan(point)), np.flatnonzero(np.isnan(point))
        if len(unseen):
            want, _ = moments(*by_hand(mixture, list(seen), list(unseen), point[seen]))
            np.testing.assert_allclose(found[row, unseen], want, rtol=1e-5 if dtype == np.float32
                                       else 1e-9, atol=1e-6)  # fmt: skip
    order = random.permutation(len(x))
    np.testing.assert_allclose(mixture.impute(x[order]), found[order], rtol=1e-6)
    np.save(tmp_path / "x.npy", x)
    mapped = mixture.impute(np.load(tmp_path / "x.npy", mmap_mode="r"))
    np.testing.assert_array_equal(mapped, found)
    tensor = mixture.impute(torch.from_numpy(x))
    assert isinstance(tensor, torch.Tensor)
    np.testing.assert_array_equal(tensor, found)


@each_kind
def test_imputed_draws(kind: str) -> None:
    """They have the conditional's moments; a seed says which, and torch's own stay as they were."""
    mixture = fitted(kind)
    x = np.array([[np.nan, 0.5, np.nan, -1.0], [np.nan] * 4, [1.0, 2.0, 3.0, 4.0]])
    before = torch.get_rng_state()
    count = 20_000
    drawn = mixture.impute(x, n_draws=count, random_state=0)
    assert torch.equal(torch.get_rng_state(), before)
    assert drawn.shape == (count, 3, 4)
    np.testing.assert_array_equal(drawn, mixture.impute(x, n_draws=count, random_state=0))
    assert not np.array_equal(drawn[:9], mixture.impute(x, n_draws=9, random_state=1))
    assert (drawn[:, 2] == x[2]).all()
    assert (drawn[:, 0, [1, 3]] == x[0, [1, 3]]).all()
    for row, given, rest in ((0, [1, 3], [0, 2]), (1, [], [0, 1, 2, 3])):
        mean, covariance = moments(*by_hand(mixture, given, rest, x[row, given]))
        sigma = np.sqrt(np.diag(covariance))
        error = np.abs(drawn[:, row, rest].mean(0) - mean) / sigma
        assert error.max() < 5 / np.sqrt(count)
        gap = np.abs(np.cov(drawn[:, row, rest].T) - covariance) / np.outer(sigma, sigma)
        assert gap.max() < 10 / np.sqrt(count)


@each_kind
def test_far_points(kind: str) -> None:
    mixture = fitted(kind)
    x = np.array([[1e200, -1e200], [1e9, 0.0]])
    weights = mixture.condition(GIVEN, x).weights  # type: ignore[union-attr]
    np.testing.assert_allclose(weights.sum(1), 1.0)
    found = mixture.impute(np.array([[1e200, np.nan, np.nan, -1e200]]))
    assert np.isfinite(found).all()
    if kind in ("full", "diag"):
        sigma = mixture.covariance_matrices_[:, GIVEN][:, :, GIVEN]
        gap = np.array([1.0, -1.0])
        assert weights[0].argmax() == np.argmin([gap @ np.linalg.solve(s, gap) for s in sigma])


def test_a_covariance_near_singular() -> None:
    """Errors by eps times the condition number, against eighty digits."""
    random, d, eps = np.random.default_rng(0), 5, 2.0**-52
    basis = np.linalg.qr(random.normal(size=(d, d)))[0]
    sigma = basis * 10.0 ** -np.linspace(0, 10, d) @ basis.T
    sigma = (sigma + sigma.T) / 2
    mixture = GaussianMixture(1)
    mixture.weights_, mixture.means_ = np.ones(1), np.zeros((1, d))
    mixture.covariances_ = sigma[None]
    given, rest = [4, 0, 2], [1, 3]
    with mpmath.workdps(80):

        def block(rows: list[int], columns: list[int]) -> Any:
            return mpmath.matrix([[mpmath.mpf(sigma[i, j]) for j in columns] for i in rows])

        b = block(rest, given) * block(given, given) ** -1
        left = np.array((block(rest, rest) - b * block(given, rest)).tolist(), dtype=float)
        b = np.array(b.tolist(), dtype=float)
    found = mixture.condition(given, np.eye(3))
    cond = 1e10
    assert np.abs(found.means[:, 0].T - b).max() < 30 * cond * eps * np.abs(b).max()
    gap = np.abs(found.covariances[0] - left)
    assert gap.max() < 30 * cond * eps * np.abs(left).max()
    np.linalg.cholesky(found.covariances[0])  # positive definite as it comes


def test_names() -> None:
    mixture = fitted("full")
    mixture.feature_names_in_ = np.array(["a", "b", "c", "d"], dtype=object)
    found = mixture.marginal(["d", "a"])
    np.testing.assert_array_equal(found.feature_names_in_, ["d", "a"])
    np.testing.assert_array_equal(found.means_, mixture.means_[:, GIVEN])
    one = mixture.condition("b", [0.0])
    np.testing.assert_array_equal(one.feature_names_in_, ["a", "c", "d"])  # type: ignore[union-attr]
    np.testing.assert_array_equal(
        mixture.regress(["d", "a"], [[0.0, 1.0]], "c").mean,
        mixture.regress(GIVEN, [[0.0, 1.0]], [2]).mean,
    )
    with pytest.raises(ValueError, match="no column is called 'e'; there are 'a', 'b', 'c', 'd'"):
        mixture.marginal(["a", "e"])


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda m: m.marginal([]), "marginal: none of the 4 columns is left"),
        (lambda m: m.condition(range(4), np.zeros(4)), "condition: none of the 4 columns is left"),
        (lambda m: m.condition([0, 4], np.zeros(2)), "condition: column 4 is out of range"),
        (lambda m: m.condition([0, -4], np.zeros(2)), r"column\(s\) 0 are named more than once"),
        (lambda m: m.condition([0], np.zeros(2)), r"values have shape \(2,\); expected \(..., 1\)"),
        (lambda m: m.condition([0], np.zeros((2, 1, 1))), r"expected \(a,\), or \(N, a\) of N poi"),
        (lambda m: m.condition([0], 1.0), r"expected \(a,\), or \(N, a\) of N points"),
        (lambda m: m.condition([0], ["x"]), "values are no array of numbers"),
        (lambda m: m.condition([0], [np.nan]), "values hold NaN or infinity"),
        (lambda m: m.regress([0], [np.inf]), "values hold NaN or infinity"),
        (lambda m: m.regress([0], [0.0], targets=[0, 1]), "named more than once"),
        (lambda m: m.regress("a", [0.0]), "column 'a', and the columns have no names"),
        (
            lambda m: m.impute(np.zeros((2, 3))),
            "X has 3 features, but GaussianMixture is expecting",
        ),
        (lambda m: m.impute(np.full((2, 4), np.inf)), "infinity"),
        (lambda m: m.impute(np.zeros((2, 4)), n_draws=0), "n_draws=0; expected at least 1"),
    ],
)
def test_what_is_refused(call: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        call(fitted("full"))


@each_kind
def test_of_a_bayesian_mixture(kind: str) -> None:
    """All is of exp E[log p(x, z)], whose responsibilities and densities the estimator gives."""
    x = clusters(60, d=4)
    options: dict[str, Any] = {"covariance_type": kind, "missing_values": "marginalize"}
    mixture = BayesianGaussianMixture(4, random_state=0, max_iter=30, tol=1.0, **options).fit(x)
    plain = mixture.marginal(slice(None))
    assert type(plain) is GaussianMixture
    np.testing.assert_allclose(plain.predict_proba(x), mixture.predict_proba(x), atol=1e-12)
    lacking = plain.score_samples(x) - mixture.score_samples(x)
    np.testing.assert_allclose(lacking, lacking[0], rtol=1e-9)
    assert lacking[0] > 1e-4  # the integral of exp E[log p] is below one

    hidden = x.copy()
    hidden[:, REST] = np.nan
    many = mixture.condition(GIVEN, x[:, GIVEN])
    assert isinstance(many, ConditionalMixtures)
    np.testing.assert_allclose(many.weights, mixture.predict_proba(hidden), atol=1e-12)
    one = mixture.condition(GIVEN, x[0, GIVEN])
    assert type(one) is GaussianMixture
    whole = x.copy()
    whole[:, GIVEN] = x[0, GIVEN]
    parts = one.score_samples(x[:, REST]) + mixture.score_samples(hidden[:1])
    np.testing.assert_allclose(parts, mixture.score_samples(whole), rtol=1e-9)

    mean, covariance = mixture.regress(GIVEN, x[:, GIVEN], full_covariance=True)
    for row, point in enumerate(x[:5]):
        expected = moments(*by_hand(plain, GIVEN, REST, point[GIVEN]))
        np.testing.assert_allclose(mean[row], expected[0], rtol=1e-9, atol=1e-10)
        np.testing.assert_allclose(covariance[row], expected[1], rtol=1e-9, atol=1e-10)
    np.testing.assert_allclose(mixture.impute(hidden)[:, REST], mean, rtol=1e-9, atol=1e-10)


def test_a_share_below_all_numbers_decides() -> None:
    """Of a component without points E[log pi] is about -1000, and far away it is the nearest."""
    mixture = BayesianGaussianMixture(
        2,
        weight_concentration_prior_type="dirichlet_distribution",
        missing_values="marginalize",
    )
    mixture.weights_, mixture.means_ = np.array([1.0, 1e-5]), np.array([[0.0, 0.0], [0.0, 5.0]])
    mixture.covariances_ = np.array([np.eye(2), 1e4 * np.eye(2)])
    mixture.weight_concentration_ = np.array([100.0, 1e-3])
    mixture.mean_precision_ = mixture.degrees_of_freedom_ = np.array([101.0, 2.0])
    far = np.array([[0.0, np.nan], [100.0, np.nan]])
    found = mixture.condition([0], far[:, :1])
    assert isinstance(found, ConditionalMixtures)
    np.testing.assert_allclose(found.weights, [[1.0, 0.0], [0.0, 1.0]], atol=1e-12)
    np.testing.assert_allclose(found.weights, mixture.predict_proba(far), atol=1e-12)
    np.testing.assert_allclose(mixture.impute(far)[:, 1], [0.0, 5.0], atol=1e-9)
