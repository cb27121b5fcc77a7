# SPDX-License-Identifier: MIT
"""Mixtures of products: their formulas beside a reference in loops, and EM's promises."""

from __future__ import annotations

import itertools
import math
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy import optimize, stats
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

from pyvae.mixture import BernoulliMixture, CategoricalMixture, GaussianMixture, TableMixture
from pyvae.mixture.products import rows
from pyvae.mixture.products.discrete import Binary, Categories
from pyvae.mixture.products.gaussian import Gaussians
from pyvae.mixture.products.product import Product, ProductParameters
from tests.mixture.tables import FAMILIES, K, fitted, table


def joint_by_loops(mixture: TableMixture, x: np.ndarray) -> np.ndarray:
    """log p(x, z) of what is seen, ``(N, K)``: a point, a component and a column at a time."""
    found = np.log(mixture.weights_) + np.zeros((len(x), 1))
    for n, k, (d, family) in itertools.product(range(len(x)), range(K), FAMILIES.items()):
        value = x[n, d]
        if np.isnan(value):
            continue
        if family == "gaussian":
            at = [0, 4].index(d)
            sigma = math.sqrt(mixture.variances_[k, at])
            found[n, k] += stats.norm.logpdf(value, mixture.means_[k, at], sigma)
        elif family == "bernoulli":
            found[n, k] += stats.bernoulli.logpmf(value, mixture.probabilities_[d][k])
        else:
            found[n, k] += math.log(mixture.probabilities_[d][k, int(value)])
    return found


@pytest.mark.parametrize("missing", [0.0, 0.3])
@pytest.mark.parametrize("weighted", [False, True])
def test_a_fit_by_its_definition(missing: float, weighted: bool) -> None:
    """Densities, responsibilities, and the parameters that one M step in loops leaves."""
    x = table(missing=missing)
    weight = np.random.default_rng(1).integers(0, 3, len(x)) * 0.7 if weighted else np.ones(len(x))
    mixture = fitted(x, weight_prior=2.0, probability_prior=1.5, variance_prior=0.3,
                     sample_weight=weight if weighted else None, tol=1e-13)  # fmt: skip
    joint = joint_by_loops(mixture, x)
    density = np.logaddexp.reduce(joint, 1)
    np.testing.assert_allclose(mixture.score_samples(x), density, rtol=1e-12)
    r = np.exp(joint - density[:, None])
    np.testing.assert_allclose(mixture.predict_proba(x), r, rtol=1e-9, atol=1e-14)
    r *= weight[:, None]
    counts = r.sum(0) + 1.0
    np.testing.assert_allclose(mixture.weights_, counts / counts.sum(), atol=1e-6)
    log_prior = np.log(mixture.weights_).sum()
    for d, family in FAMILIES.items():
        seen = ~np.isnan(x[:, d])
        value, share = x[seen, d], r[seen]
        if family == "gaussian":
            at = [0, 4].index(d)
            overall = np.average(value, weights=weight[seen])
            scale = np.average((value - overall) ** 2, weights=weight[seen])
            mean = share.T @ value / share.sum(0)
            square = (share * (value[:, None] - mean) ** 2).sum(0) + 0.3 * scale
            np.testing.assert_allclose(mixture.means_[:, at], mean, atol=1e-5)
            variance = mixture.variances_[:, at]
            np.testing.assert_allclose(variance, square / (share.sum(0) + 0.3), rtol=1e-4)
            log_prior -= 0.15 * (np.log(variance) + scale / variance).sum()
        else:
            values = np.unique(value)
            found = np.stack([share[value == v].sum(0) + 0.5 for v in values], 1)
            found /= found.sum(1, keepdims=True)
            got = mixture.probabilities_[d]
            got = np.stack([1 - got, got], 1) if family == "bernoulli" else got
            np.testing.assert_allclose(got, found, atol=1e-5)
            log_prior += 0.5 * np.log(got).sum()
    bound = (weight @ density + log_prior) / weight.sum()
    assert mixture.lower_bound_ == pytest.approx(bound, rel=1e-9)
    assert all(b >= a - 1e-12 for a, b in itertools.pairwise(mixture.lower_bounds_))
    free = K - 1 + K * (2 * 2 + 2 + 2 + 3)
    assert mixture.n_parameters_ == free
    assert mixture.bic(x) == pytest.approx(-2 * density.sum() + free * math.log(len(x)))


def test_the_published_latent_classes_of_role_conflict() -> None:
    """Stouffer and Toby's table of 216 respondents: two classes, as Goodman (1974) has them."""
    answers = np.array(list(itertools.product([1, 2], repeat=4)))
    counts = np.array([42, 23, 6, 25, 6, 24, 7, 38, 1, 4, 1, 6, 2, 9, 2, 20])
    options: dict[str, Any] = {"random_state": 0, "tol": 1e-9, "max_iter": 2000}
    mixture = CategoricalMixture(2, **options).fit(answers, sample_weight=counts)
    assert mixture.score_samples(answers) @ counts == pytest.approx(-504.4677, abs=1e-4)
    np.testing.assert_allclose(np.sort(mixture.weights_), [0.279, 0.721], atol=1e-3)
    first = np.array([p[mixture.weights_.argmin(), 0] for p in mixture.probabilities_])
    np.testing.assert_allclose(first, [0.993, 0.940, 0.927, 0.769], atol=2e-3)
    assert mixture.n_parameters_ == 9


def test_one_mechanism() -> None:
    """Of binary columns all three estimators are one; of Gaussian ones it is a diagonal mixture."""
    x = (np.random.default_rng(0).random((300, 6)) < np.linspace(0.2, 0.8, 6)).astype(float)
    bernoulli = BernoulliMixture(2, random_state=0).fit(x)
    mixed = TableMixture(2, random_state=0).fit(x)
    assert set(mixed.columns_.values()) == {"bernoulli"}
    np.testing.assert_array_equal(mixed.predict_proba(x), bernoulli.predict_proba(x))
    # the same parameters as categories
    other = CategoricalMixture(2, random_state=0).fit(x)
    other.weights_ = bernoulli.weights_
    ones = bernoulli.probabilities_
    other.probabilities_ = [np.stack([1 - ones[:, d], ones[:, d]], 1) for d in range(6)]
    np.testing.assert_allclose(other.score_samples(x), bernoulli.score_samples(x), rtol=1e-12)
    y = table()[:, [0, 4]]
    gaussian = GaussianMixture(K, covariance_type="diag", random_state=0, reg_covar=0.0).fit(y)
    mixed = TableMixture(K, random_state=0).fit(y)
    mixed.weights_, mixed.means_ = gaussian.weights_, gaussian.means_
    mixed.variances_ = gaussian.covariances_
    np.testing.assert_allclose(mixed.score_samples(y), gaussian.score_samples(y), rtol=1e-10)
    assert mixed.n_parameters_ == gaussian.n_parameters_


@pytest.mark.parametrize("prior", [1.0, 2.0])
def test_the_fixed_point_is_an_optimum(prior: float) -> None:
    random = np.random.default_rng(0)
    chances = np.array([[0.9, 0.2], [0.1, 0.8]]).repeat(3, 1)
    x = (random.random((200, 6)) < chances[random.integers(0, 2, 200)]).astype(float)
    mixture = BernoulliMixture(2, weight_prior=1.5 * prior - 0.5, probability_prior=prior,
                               random_state=0, tol=1e-10, max_iter=2000).fit(x)  # fmt: skip

    def loss(free: np.ndarray) -> float:
        pi, p = 1 / (1 + np.exp(-free[0])), 1 / (1 + np.exp(-free[1:].reshape(2, -1)))
        each = x @ np.log(p).T + (1 - x) @ np.log1p(-p).T + np.log([pi, 1 - pi])
        priors = (prior - 1) * (np.log(p) + np.log1p(-p)).sum()
        priors += (mixture.weight_prior - 1) * (np.log(pi) + np.log1p(-pi))
        return -np.logaddexp.reduce(each, 1).sum() - priors

    p = np.concatenate([mixture.weights_[:1], mixture.probabilities_.ravel()])
    found = np.log(p) - np.log1p(-p)
    assert -loss(found) == pytest.approx(mixture.lower_bound_ * len(x), rel=1e-8)
    assert loss(found) - optimize.minimize(loss, found, method="BFGS").fun < 1e-6 * len(x)


@pytest.mark.parametrize("missing", [False, True])
def test_what_has_no_chance(missing: bool) -> None:
    """0 log 0 is 0, a value of probability zero has density zero, and nothing is NaN."""
    x = np.array([[0.0, 1.0, 1.0], [0.0, 1.0, 0.0], [0.0, 1.0, 1.0]])
    options: dict[str, Any] = {"missing_values": "marginalize"} if missing else {}
    new = np.array([[0.0, 1.0, 1.0], [1.0, 1.0, 1.0], [0.0, 0.0, 0.0]])
    expected = [math.log(2 / 3), -np.inf, -np.inf]
    for kind in (BernoulliMixture, TableMixture, CategoricalMixture):
        mixture: Any = kind(1, **options)
        if kind is CategoricalMixture:
            mixture.set_params(categories=[[0.0, 1.0]] * 3)
        mixture.fit(x)
        np.testing.assert_allclose(mixture.score_samples(new), expected, rtol=1e-12)
        np.testing.assert_array_equal(mixture.predict_proba(new), np.ones((3, 1)))
        if missing:
            hidden = np.array([[np.nan, 0.0, 1.0], [np.nan, np.nan, np.nan], [0.0, np.nan, 1.0]])
            seen = [-np.inf, 0.0, math.log(2 / 3)]
            np.testing.assert_allclose(mixture.score_samples(hidden), seen, atol=1e-15)
    two = BernoulliMixture(2, random_state=0).fit([[0, 0], [0, 0], [1, 1]])
    two.probabilities_ = two.probabilities_.round()
    assert np.isneginf(two.score_samples([[0, 1]]))
    np.testing.assert_array_equal(two.predict_proba([[0, 1]])[0], two.weights_)
    two.set_params(warm_start=True)
    with pytest.raises(ValueError, match="no component of the mixture can have made"):
        two.fit([[0, 1], [0, 0]])


def test_columns_of_one_value_under_weights() -> None:
    """Rounding of sums leaves no trace of a value that is not there."""
    random = np.random.default_rng(0)
    x = np.ones((500, 4))
    x[:, 3] = random.random(500) < 0.5
    for seed in range(3):
        mixture = BernoulliMixture(3, random_state=seed, init_params="random", tol=0.0, max_iter=30)
        with pytest.warns(ConvergenceWarning):
            mixture.fit(x, sample_weight=random.random(500))
        assert (mixture.probabilities_[:, :3] > 1.0 - 1e-12).all()


@pytest.mark.parametrize("method", ["kmeans", "random"])
def test_weights_are_repetitions(method: str) -> None:
    x = table(60, missing=0.1)
    weight = np.random.default_rng(0).integers(0, 3, len(x))
    start = fitted(x, init_params=method, max_iter=0).set_params(
        warm_start=True, tol=1e-6, max_iter=50
    )
    one, other = pickle.loads(pickle.dumps(start)), start
    one.fit(x, sample_weight=weight)
    other.fit(np.repeat(x, weight, axis=0))
    np.testing.assert_allclose(one.means_, other.means_, rtol=1e-9)
    np.testing.assert_allclose(one.probabilities_[3], other.probabilities_[3], atol=1e-9)
    assert one.lower_bound_ == pytest.approx(other.lower_bound_, rel=1e-10)


@pytest.mark.parametrize(
    "dtype", [torch.bool, torch.uint8, torch.int64, torch.float16, torch.float32, torch.float64]
)
def test_tensors(dtype: torch.dtype) -> None:
    x = torch.from_numpy(table()[:, [1, 5, 1, 5]]).to(dtype)
    for kind in (BernoulliMixture, CategoricalMixture, TableMixture):
        one, other = kind(2, random_state=0).fit(x), kind(2, random_state=0).fit(x.numpy())
        assert isinstance(one.weights_, torch.Tensor)
        for name in ("predict", "predict_proba", "score_samples", "impute"):
            found = getattr(one, name)(x)
            assert isinstance(found, torch.Tensor)
            np.testing.assert_array_equal(found.numpy(), getattr(other, name)(x.numpy()))
        drawn, labels = one.sample(5)
        assert drawn.shape == (5, 4)
        assert labels.dtype == torch.int64
        assert isinstance(drawn, torch.Tensor)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int64, np.float32])
def test_mapped_files(dtype: type, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Read by chunks, with codes that are no numbers from 0 on, equal to the fit in memory."""
    x = (10 * np.nan_to_num(table()[:, [1, 2, 3]])).astype(dtype)
    np.save(tmp_path / "x.npy", x)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    weight = np.random.default_rng(0).random(len(x))
    whole = CategoricalMixture(K, random_state=0).fit(x, sample_weight=weight)
    monkeypatch.setattr(rows, "_CHUNK", 1000)
    part = CategoricalMixture(K, random_state=0).fit(mapped, sample_weight=weight)
    assert len(list(rows.Rows(mapped, None, torch.Tensor.double).chunks(3))) > 3
    assert part.lower_bound_ == pytest.approx(whole.lower_bound_, rel=1e-12)
    np.testing.assert_allclose(part.predict_proba(mapped), whole.predict_proba(x), atol=1e-9)
    assert [c.tolist() for c in part.categories_] == [[0, 10], [0, 10, 20], [0, 10, 20, 30]]
    binary = np.load(tmp_path / "x.npy", mmap_mode="r")[:, :1]
    small, large = (
        BernoulliMixture(2, binarize=5, random_state=0).fit(v) for v in (binary, x[:, :1])
    )
    np.testing.assert_allclose(small.probabilities_, large.probabilities_, atol=1e-9)


def test_draws_are_of_the_mixture() -> None:
    mixture = fitted(table(400))
    drawn, labels = mixture.set_params(random_state=1).sample(20_000)
    assert (np.diff(labels) >= 0).all()
    np.testing.assert_allclose(np.bincount(labels) / 20_000, mixture.weights_, atol=0.02)
    for k in range(K):
        own = drawn[labels == k]
        np.testing.assert_allclose(own[:, [0, 4]].mean(0), mixture.means_[k], atol=0.06)
        np.testing.assert_allclose(own[:, [0, 4]].var(0), mixture.variances_[k], rtol=0.08)
        shares = np.bincount(own[:, 3].astype(int), minlength=4) / len(own)
        np.testing.assert_allclose(shares, mixture.probabilities_[3][k], atol=0.03)
        assert own[:, 1].mean() == pytest.approx(mixture.probabilities_[1][k], abs=0.03)


def test_imputation_by_its_definition() -> None:
    x = table(missing=0.3)
    mixture = fitted(x)
    r, found = mixture.predict_proba(x), mixture.impute(x)
    np.testing.assert_array_equal(found[~np.isnan(x)], x[~np.isnan(x)])
    gap = np.isnan(x)
    np.testing.assert_allclose(found[gap[:, 0], 0], (r @ mixture.means_[:, 0])[gap[:, 0]])
    modes = (r @ mixture.probabilities_[2]).argmax(1)
    np.testing.assert_array_equal(found[gap[:, 2], 2], modes[gap[:, 2]])
    ones = r @ mixture.probabilities_[1] > 0.5
    np.testing.assert_array_equal(found[gap[:, 1], 1], ones[gap[:, 1]])
    complete = TableMixture(K, random_state=0, columns=FAMILIES).fit(table())
    assert not np.isnan(complete.impute(x)).any()


def test_a_variance_that_is_lost() -> None:
    x = np.array([[0.0], [0.0], [0.0], [5.0], [6.0], [7.0]])
    with pytest.raises(ValueError, match="has lost its variance in column 0"):
        TableMixture(2, random_state=0, variance_prior=0.0, max_iter=500, tol=0).fit(x)
    kept = TableMixture(2, random_state=0, variance_prior=0.1).fit(x)
    assert kept.variances_.min() > 0.0


@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize("apart", [1.0, 1e3, 1e9])
def test_gaussian_sums_lose_no_digits_to_the_distance_of_means(apart: float, missing: bool) -> None:
    """Beside the gaps to each mean, a component at a time; of one column the means are near."""
    random = np.random.default_rng(0)
    means = torch.from_numpy(random.normal(size=(K, 4))) * torch.tensor([apart, 1.0, apart, 1.0])
    x = means[torch.arange(60) % K] + torch.from_numpy(random.normal(size=(60, 4)))
    shares = torch.from_numpy(random.dirichlet(np.ones(K), 60))
    shares = torch.where(torch.arange(60)[:, None] % K == torch.arange(K), shares, 1e-30)
    seen = torch.from_numpy(random.random(x.shape) < 0.7) if missing else None
    x = x if seen is None else torch.where(seen, x, torch.nan)
    block = Gaussians(range(4), 0.0)
    reference = means + 0.1, torch.ones_like(means)
    counts, first, second = block.sums(x, seen, shares, reference)
    there = torch.ones_like(x) if seen is None else seen.double()
    gaps = (x[:, None] - reference[0]).nan_to_num() * shares[:, :, None]
    for found, exact in (
        (counts, shares.T @ there),
        (first, gaps.sum(0)),
        (second, (gaps * (x[:, None] - reference[0]).nan_to_num()).sum(0)),
    ):
        torch.testing.assert_close(found, exact, rtol=1e-12, atol=1e-11)


def test_shares_that_underflow() -> None:
    """They leave no zero behind that a share speaks for, so that F is finite after the M step."""
    for block in (Binary(1, 1.0), Categories([2], 1.0)):
        product = Product([(block, [0])], 1.0, incomplete=False)
        x = torch.tensor([[1.0], [0.0], [0.0], [0.0]], dtype=torch.float64)
        shares = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0], [0.0, 1.0]]).double()
        shares[0, 1] = 5e-324  # the least that there is
        half = torch.full((2, 2), 0.5, dtype=torch.float64)
        reference = ProductParameters(half[0], ((half,),))
        sums = product.sums(x, None, shares, reference)
        assert product.expected_log_joint(sums, product.m_step(sums)).isfinite()


def test_units_are_of_no_account() -> None:
    x, scale = table(), np.array([1e-6, 1, 1, 1, 1e6, 1])
    one, other = fitted(x), fitted(x * scale)
    np.testing.assert_allclose(one.predict_proba(x), other.predict_proba(x * scale), atol=1e-6)
    np.testing.assert_allclose(one.means_ * scale[[0, 4]], other.means_, rtol=1e-6)


def test_several_starts_keep_the_best_and_warm_ones_go_on() -> None:
    x = table()
    options: dict[str, Any] = {"columns": FAMILIES, "random_state": 3, "init_params": "random"}
    many = TableMixture(4, n_init=4, **options).fit(x)
    assert many.lower_bound_ >= TableMixture(4, **options).fit(x).lower_bound_
    warm = TableMixture(4, warm_start=True, max_iter=2, **options)
    with pytest.warns(ConvergenceWarning):
        first = warm.fit(x).lower_bound_
    with pytest.warns(ConvergenceWarning):
        assert warm.fit(x).lower_bound_ > first
    assert pickle.loads(pickle.dumps(warm)).predict(x).tolist() == warm.predict(x).tolist()
    assert clone(warm).get_params() == warm.get_params()
    with pytest.raises(ValueError, match="n_components=2, and the mixture that warm_start"):
        warm.set_params(n_components=2).fit(x)
