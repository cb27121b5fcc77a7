# SPDX-License-Identifier: MIT
"""Mixtures of factor analysers: densities, sums, the M step, and fits."""

from __future__ import annotations

import warnings
from pathlib import Path

import mpmath
import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.decomposition import FactorAnalysis
from sklearn.exceptions import ConvergenceWarning
from torch import Tensor

from pyvae.mixture import GaussianMixture, missing, points
from pyvae.mixture.covariance import COVARIANCES, LowRank, Parameters
from pyvae.mixture.em import ascend
from pyvae.mixture.gaussian_em import GaussianEM
from pyvae.mixture.low_rank import factors_of
from pyvae.mixture.points import Points
from tests.mixture.factored import dense, drawn, factored, fitted, with_gaps

FULL = COVARIANCES["full"]


@pytest.mark.parametrize(("k", "d", "r"), [(1, 2, 1), (3, 6, 2), (2, 6, 5), (4, 40, 3)])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_densities(k: int, d: int, r: int, dtype: torch.dtype) -> None:
    kind, p = drawn(k, d, r)
    x = (3.0 * torch.randn(50, d, generator=torch.Generator().manual_seed(1))).to(dtype)
    shares, log_prob = kind.posterior(x, p)
    wanted = FULL.posterior(x.double(), dense(kind, p))
    rtol = {torch.float32: 2e-5, torch.float64: 1e-12}[dtype]
    torch.testing.assert_close(log_prob, wanted[1].to(dtype), rtol=rtol, atol=rtol)
    torch.testing.assert_close(shares, wanted[0].to(dtype), rtol=rtol, atol=50 * rtol)
    assert torch.equal(kind.predict(x, p), wanted[0].argmax(1))
    assert torch.equal(kind.log_prob(x, p), log_prob)


def exact(x: Tensor, mean: Tensor, loadings: Tensor, noise: Tensor) -> float:
    """Log-density of one point under one Gaussian, in 60 digits."""
    with mpmath.workdps(60):
        factor = mpmath.matrix(loadings.tolist())
        covariance = factor * factor.T + mpmath.diag(noise.tolist())
        gap = mpmath.matrix(x.tolist()) - mpmath.matrix(mean.tolist())
        distance = (gap.T * mpmath.lu_solve(covariance, gap))[0]
        volume = mpmath.log(mpmath.det(covariance))
        return float(-(distance + volume + len(x) * mpmath.log(2 * mpmath.pi)) / 2)


@pytest.mark.parametrize("noise", [1e-14, 1e-6, 1.0])
@pytest.mark.parametrize("offset", [0.0, 1e3])
def test_no_digits_are_cancelled(noise: float, offset: float) -> None:
    """Of a noise far below the factors, by Woodbury's difference there would be none left.

    Beside it only the rounding of the points shows, which are far from zero.
    """
    kind, p = drawn(2, 5, 2, seed=3)
    p.covariances[:, :, -1] *= noise
    p = p._replace(means=p.means + offset)
    random = torch.Generator().manual_seed(2)
    z = torch.randn(20, 2, generator=random, dtype=torch.float64)
    e = torch.randn(20, 5, generator=random, dtype=torch.float64)
    one = p.covariances[0]
    x = p.means[0] + z @ one[:, :2].T + e * one[:, 2].sqrt()
    alone = Parameters(p.weights[:1] / p.weights[0], p.means[:1], p.covariances[:1])
    got = kind.log_prob(x, alone)
    wanted = [exact(row, p.means[0], one[:, :2], one[:, 2]) for row in x]
    rtol = 1e-13 + 1e-15 / noise**0.5
    torch.testing.assert_close(got, got.new_tensor(wanted), rtol=rtol, atol=rtol)


@pytest.mark.parametrize("weighted", [False, True])
def test_sums_are_of_the_dense_ones(weighted: bool) -> None:
    kind, p = drawn(3, 6, 2)
    x = 3.0 * torch.randn(80, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    weight = torch.arange(80.0, dtype=torch.float64) % 3 if weighted else None
    sums, whole = kind.sums(x, weight, p), FULL.sums(x, weight, dense(kind, p))
    reference = p.means + 0.5
    for ours, theirs in ((sums, whole), (sums.about(reference), whole.about(reference))):
        torch.testing.assert_close(ours.log_likelihood, theirs.log_likelihood)
        torch.testing.assert_close(ours.counts, theirs.counts)
        torch.testing.assert_close(ours.first, theirs.first)
        torch.testing.assert_close(ours.second, torch.diagonal(theirs.second, dim1=1, dim2=2))
        torch.testing.assert_close(ours.cross, theirs.second @ sums.factors.directions)
    first, rest = slice(0, 33), slice(33, None)
    added = kind.sums(x[first], None if weight is None else weight[first], p)
    added = added + kind.sums(x[rest], None if weight is None else weight[rest], p)
    torch.testing.assert_close(added.flat(), sums.flat())
    assert torch.equal(added.from_flat(added.flat()).cross, added.cross)
    expected = kind.expected_log_joint(sums, p), FULL.expected_log_joint(whole, dense(kind, p))
    torch.testing.assert_close(*expected)  # q(f | x, z) is exact there


def test_the_m_step_is_the_argmax() -> None:
    """No direction leads up from it, and beside what it is a bound of it may only be lower."""
    kind, p = drawn(2, 6, 2)
    x = torch.from_numpy(factored(d=6))
    model = GaussianEM(kind, p)
    q = model.e_step(Points(x, None, torch.zeros(6, dtype=torch.float64)))
    before = model.free_energy(q)
    model.m_step(q)
    best, found = model.free_energy(q), model.parameters
    assert best > before
    assert best - q.entropy < FULL.expected_log_joint(
        FULL.sums(x, None, dense(kind, p)), dense(kind, found)
    )
    generator = torch.Generator().manual_seed(0)
    for scale in (1e-3, 1e-2, 0.1):
        for _ in range(20):
            moved = [
                part + scale * torch.randn(part.shape, generator=generator, dtype=part.dtype)
                for part in (found.means, found.covariances)
            ]
            if (moved[1][..., -1] > 0).all():
                model.parameters = Parameters(found.weights, *moved)
                assert model.free_energy(q) < best


@pytest.mark.parametrize("method", ["kmeans", "k-means++", "random", "random_from_data"])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_f_does_not_fall(method: str, dtype: type) -> None:
    """That the fit checks itself, as the M step is exact; and all components have factors."""
    mixture = fitted(factored().astype(dtype), init_params=method, tol=1e-5)
    assert mixture.factors_.shape == (2, 8, 2)
    assert mixture.noise_variances_.shape == (2, 8)
    assert np.linalg.matrix_rank(mixture.factors_).tolist() == [2, 2]
    bounds = np.array(mixture.lower_bounds_)
    assert (np.diff(bounds) > -1e-6 * np.abs(bounds[1:])).all()


def test_one_component_is_factor_analysis() -> None:
    x = factored()[:200]
    theirs = FactorAnalysis(2, tol=1e-8, max_iter=5000, svd_method="lapack").fit(x)
    ours = fitted(x, 1, 2, tol=1e-8, max_iter=5000, reg_covar=1e-12)
    np.testing.assert_allclose(ours.score_samples(x), theirs.score_samples(x), atol=1e-2)
    np.testing.assert_allclose(ours.score(x), theirs.score(x), rtol=1e-7)
    np.testing.assert_allclose(ours.covariance_matrices_[0], theirs.get_covariance(), atol=1e-2)


def test_a_known_model_is_found() -> None:
    kind, p = drawn(3, 8, 2, seed=1)
    p = p._replace(means=3.0 * p.means)
    counts = np.random.RandomState(0).multinomial(6_000, p.weights.numpy())
    x = kind.draw(p, counts, np.random.RandomState(1))
    found = fitted(x, 3, reg_covar=1e-6, tol=1e-5)
    order = torch.cdist(p.means, found.means_).argmin(1)
    torch.testing.assert_close(found.weights_[order], p.weights, atol=0.02, rtol=0)
    torch.testing.assert_close(found.means_[order], p.means, atol=0.2, rtol=0)
    wanted = kind.matrices(p.covariances, 3, 8)
    got = found.covariance_matrices_[order]
    scale = torch.linalg.matrix_norm(wanted)
    assert (torch.linalg.matrix_norm(got - wanted) < 0.1 * scale).all()
    assert found.score(x) > float(kind.log_prob(x, p).mean())


def test_far_from_zero_in_float32() -> None:
    x = factored()
    near, far = fitted(x.astype(np.float32)), fitted((x + 1000.0).astype(np.float32))
    assert abs(near.lower_bound_ - far.lower_bound_) < 1e-3


def test_noise_far_below_the_factors_in_float32() -> None:
    """Where float32 has no digits left for the noise, products are of float64."""
    random = np.random.default_rng(0)
    x = (100.0 * random.normal(size=(300, 1)) @ np.ones((1, 5))).astype(np.float32)
    x += 0.01 * random.normal(size=x.shape).astype(np.float32)
    mixture = fitted(x, 1, 1)
    np.testing.assert_allclose(mixture.noise_variances_, 1e-4, rtol=0.3)


def test_in_chunks_and_from_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    x = factored()
    whole = fitted(x, max_iter=10, tol=0.0)
    np.save(tmp_path / "x.npy", x)
    monkeypatch.setattr(points, "_CHUNK", 8 * 8 * 37)
    parts = fitted(np.load(tmp_path / "x.npy", mmap_mode="r"), max_iter=10, tol=0.0)
    np.testing.assert_allclose(parts.lower_bounds_, whole.lower_bounds_, rtol=1e-10)
    np.testing.assert_allclose(parts.noise_variances_, whole.noise_variances_, rtol=1e-6)


def test_a_weight_is_so_many_copies() -> None:
    x = factored(100)
    counts = np.arange(100) % 4
    copies = fitted(np.repeat(x, counts, axis=0), reg_covar=1e-6, tol=1e-7)
    weighted = clone(copies).fit(x, sample_weight=counts.astype(float))
    np.testing.assert_allclose(weighted.lower_bound_, copies.lower_bound_, rtol=1e-5)
    np.testing.assert_allclose(weighted.means_, copies.means_, rtol=1e-2)


def test_minibatches() -> None:
    """The sums behind the parameters are those of which they are the M step."""
    kind, p = drawn()
    behind = kind.sums_behind(p, 50.0, 1e-3)
    found = kind.covariances(behind.about(kind.weights_and_means(behind)[1]), 1e-3)
    torch.testing.assert_close(found, p.covariances)
    x = factored(2000)
    random = np.random.default_rng(0)
    mixture = GaussianMixture(2, covariance_type="low_rank", rank=2, random_state=0)
    for _ in range(30):
        mixture.partial_fit(x[random.choice(2000, 200)])
    assert mixture.score(x) > fitted(x).score(x) - 0.05


def test_warm_start_goes_on() -> None:
    x = factored()
    mixture = fitted(x, max_iter=3, tol=0.0, warm_start=True)
    with pytest.warns(ConvergenceWarning):
        mixture.set_params(max_iter=2).fit(x)
    np.testing.assert_allclose(mixture.lower_bound_, fitted(x, max_iter=5, tol=0.0).lower_bound_)


def test_missing_coordinates() -> None:
    """As of the dense covariances: the completed sums, the entropy, the posterior."""
    kind, p = drawn()
    x = torch.from_numpy(with_gaps(factored(80, 6)))
    sums, whole = missing.sums(kind, x, None, p), missing.sums(FULL, x, None, dense(kind, p))
    torch.testing.assert_close(sums.first, whole.first)
    torch.testing.assert_close(sums.second, torch.diagonal(whole.second, dim1=1, dim2=2))
    torch.testing.assert_close(sums.cross, whole.second @ factors_of(p.covariances).directions)
    for ours, theirs in zip(
        missing.posterior(kind, x, p), missing.posterior(FULL, x, dense(kind, p)), strict=True
    ):
        torch.testing.assert_close(ours, theirs)
    shares = missing.posterior(kind, x, p)[0].exp()
    entropies = (
        missing.entropy(kind, x, shares, p),
        missing.entropy(FULL, x, shares, dense(kind, p)),
    )
    torch.testing.assert_close(*entropies)


def test_a_fit_with_missing_coordinates() -> None:
    """Whose F may not fall either."""
    x = factored()
    mixture = fitted(with_gaps(x, 0.05), missing_values="marginalize", max_iter=30)
    assert mixture.score(x) > fitted(x).score(x) - 0.05


def test_components_that_lose_their_points() -> None:
    """They start again with factors."""
    random = np.random.default_rng(0)
    x = np.concatenate([factored(300), np.full((4, 8), 30.0), random.normal(size=(90, 8)) - 9.0])
    mixture = GaussianMixture(4, covariance_type="low_rank", rank=2, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        mixture.fit(x)
    assert np.isfinite(mixture.lower_bound_)
    kind, p = drawn(3)
    sums = kind.sums(torch.from_numpy(factored(d=6)), None, p)
    lost = torch.tensor([1])
    second = torch.full((6,), 40.0, dtype=torch.float64)
    found = kind.covariances(kind.spread_out(sums, lost, second))
    assert torch.linalg.matrix_rank(found[1, :, :-1]) == 2


def test_a_fall_is_seen() -> None:
    """An M step that is not the argmax is found out by F."""

    class Wrong(LowRank):
        def covariances(self, sums, reg_covar=0.0):  # type: ignore[no-untyped-def]
            found = super().covariances(sums, reg_covar)
            return found * torch.tensor([1.0, 1.0, 3.0], dtype=torch.float64)

    p, x = drawn()[1], torch.from_numpy(factored(d=6))
    model = GaussianEM(Wrong(2), p)
    with pytest.raises(ArithmeticError, match="the M step lowered the free energy"):
        ascend(model, Points(x, None, torch.zeros(6, dtype=torch.float64)), max_iter=20)
