# SPDX-License-Identifier: MIT
"""Both directions of the KL divergence, beside scipy's integrals and optimisers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from scipy import integrate, optimize, stats
from torch import Tensor
from torch.distributions import (
    Categorical,
    Laplace,
    MixtureSameFamily,
    MultivariateNormal,
    Normal,
    StudentT,
)

from pyvae.distributions import GaussianMixture
from pyvae.inference import fit_gaussian

THIRDS = ((1 / 3, 2 / 3), (-1.0, 1.0), (1.0, 1.0))
APART = ((0.4, 0.6), (-5.0, 5.0), (1.0, 0.7))


def line_mixture(
    weights: tuple[float, ...], means: tuple[float, ...], sigmas: tuple[float, ...]
) -> MixtureSameFamily:
    w, m, s = (torch.tensor(values, dtype=torch.float64) for values in (weights, means, sigmas))
    return MixtureSameFamily(Categorical(w), Normal(m, s))


def log_density(x: float, weights: Any, means: Any, sigmas: Any) -> float:
    return float(np.logaddexp.reduce(np.log(weights) + stats.norm.logpdf(x, means, sigmas)))


def exclusive_by_scipy(free: np.ndarray, *mixture: Any) -> float:
    """KL(q || p) by adaptive quadrature."""
    mu, sigma = free[0], math.exp(free[1])

    def term(x: float) -> float:
        log_q = stats.norm.logpdf(x, mu, sigma)
        return math.exp(log_q) * (log_q - log_density(x, *mixture))

    ends = mu - 9 * sigma, mu + 9 * sigma
    return integrate.quad(term, *ends, epsabs=1e-12, epsrel=1e-12, limit=400)[0]


def test_inclusive_matches_the_moments() -> None:
    fit = fit_gaussian(line_mixture(*THIRDS), "inclusive")
    assert isinstance(fit.distribution, Normal)
    assert fit.distribution.loc.item() == pytest.approx(1 / 3, abs=1e-12)
    assert fit.distribution.variance.item() == pytest.approx(17 / 9, abs=1e-12)
    q = stats.norm(1 / 3, math.sqrt(17 / 9))

    def term(x: float) -> float:
        log_p = log_density(x, *THIRDS)
        return math.exp(log_p) * (log_p - q.logpdf(x))

    want = integrate.quad(term, -15, 15, epsabs=1e-12, limit=200)[0]
    assert fit.divergence == pytest.approx(want, abs=1e-9)
    assert fit.optima == ((fit.distribution, fit.divergence),)


def test_exclusive_of_one_mode() -> None:
    """One optimum, to 1e-6 where scipy finds it by its own integrals and without gradients."""
    fit = fit_gaussian(line_mixture(*THIRDS), "exclusive")
    assert len(fit.optima) == 1
    assert isinstance(fit.distribution, Normal)
    found = optimize.minimize(
        exclusive_by_scipy, [0.0, 0.0], args=THIRDS, method="Nelder-Mead",
        options={"xatol": 1e-9, "fatol": 1e-14, "maxiter": 2000},
    )  # fmt: skip
    assert fit.distribution.loc.item() == pytest.approx(found.x[0], abs=1e-6)
    assert fit.distribution.scale.item() == pytest.approx(math.exp(found.x[1]), abs=1e-6)
    assert fit.divergence == pytest.approx(found.fun, abs=1e-9)
    assert (round(found.x[0], 3), round(math.exp(found.x[1]), 3)) == (0.322, 1.353)


def test_the_target_has_one_mode() -> None:
    grid = np.linspace(-4, 4, 8001)
    density = np.array([log_density(x, *THIRDS) for x in grid])
    peaks = np.flatnonzero((density[1:-1] > density[:-2]) & (density[1:-1] > density[2:])) + 1
    assert len(peaks) == 1
    assert grid[peaks[0]] == pytest.approx(0.825, abs=2e-3)


def test_modes_apart_are_sought_or_covered() -> None:
    p = line_mixture(*APART)
    inclusive, exclusive = fit_gaussian(p, "inclusive"), fit_gaussian(p, "exclusive")
    assert inclusive.distribution.stddev.item() > 4.5
    assert len(exclusive.optima) == 2
    for optimum, (weight, mean, sigma) in zip(
        exclusive.optima, sorted(zip(*APART, strict=True), reverse=True), strict=True
    ):
        assert optimum.distribution.mean.item() == pytest.approx(mean, abs=1e-3)
        assert optimum.distribution.stddev.item() == pytest.approx(sigma, abs=1e-3)
        assert optimum.divergence == pytest.approx(-math.log(weight), abs=1e-3)
        free = np.array([mean, math.log(sigma)])
        local = optimize.minimize(exclusive_by_scipy, free, args=APART, method="Nelder-Mead")
        assert optimum.divergence == pytest.approx(local.fun, abs=1e-6)
    assert exclusive.divergence < inclusive.divergence


def test_every_optimum_is_one() -> None:
    """Each mode, and both together: scipy finds nothing lower beside them."""
    mixture = (0.5, 0.5), (-3.0, 3.0), (1.0, 1.0)
    fit = fit_gaussian(line_mixture(*mixture), "exclusive")
    places = sorted(round(optimum.distribution.mean.item(), 2) for optimum in fit.optima)
    assert places == [-2.98, 0.0, 2.98]
    for optimum in fit.optima:
        mean, sigma = optimum.distribution.mean.item(), optimum.distribution.stddev.item()
        for push in ((0.02, 0.0), (-0.02, 0.0), (0.0, 0.01), (0.0, -0.01)):
            beside = np.array([mean, math.log(sigma)]) + push
            assert exclusive_by_scipy(beside, *mixture) > optimum.divergence


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_plane(dtype: torch.dtype) -> None:
    means = torch.tensor([[-4.0, 0.0], [4.0, 1.0]], dtype=dtype)
    log_weights = torch.tensor([0.3, 0.7], dtype=dtype).log()
    p = GaussianMixture(log_weights, means, torch.zeros(2, 2, dtype=dtype))
    inclusive, exclusive = fit_gaussian(p, "inclusive"), fit_gaussian(p, "exclusive")
    torch.testing.assert_close(inclusive.distribution.mean, p.mean.double())
    covariance = inclusive.distribution.covariance_matrix
    torch.testing.assert_close(covariance, p.covariance_matrix.double())
    assert len(exclusive.optima) == 2
    best, other = exclusive.optima
    torch.testing.assert_close(best.distribution.mean, means[1].double(), atol=0.05, rtol=0.0)
    torch.testing.assert_close(other.distribution.mean, means[0].double(), atol=0.05, rtol=0.0)
    assert best.divergence == pytest.approx(-math.log(0.7), abs=0.02)
    assert other.divergence == pytest.approx(-math.log(0.3), abs=0.02)


def test_a_gaussian_is_its_own_fit() -> None:
    factor = torch.tensor([[1.0, 0.0, 0.0], [0.5, 2.0, 0.0], [-1.0, 0.3, 0.5]], dtype=torch.float64)
    p = MultivariateNormal(torch.arange(3.0, dtype=torch.float64), scale_tril=factor)
    for direction in ("inclusive", "exclusive"):
        fit = fit_gaussian(p, direction, num_starts=3)
        torch.testing.assert_close(fit.distribution.mean, p.mean, atol=2e-2, rtol=0.0)
        got = fit.distribution.covariance_matrix
        torch.testing.assert_close(got, p.covariance_matrix, atol=5e-2, rtol=2e-2)
        assert abs(fit.divergence) < 1e-2


class Only:
    """A log-density and nothing else."""

    def __init__(self, distribution: Any) -> None:
        self._distribution = distribution

    def log_prob(self, x: Tensor) -> Tensor:
        return self._distribution.log_prob(x).sum(-1)


def test_a_density_alone_on_the_line() -> None:
    fit = fit_gaussian(Only(Laplace(1000.0, 2.0)), "inclusive", dimension=1)
    assert fit.distribution.mean.item() == pytest.approx(1000.0, abs=1e-5)
    assert fit.distribution.variance.item() == pytest.approx(8.0, rel=1e-4)
    fit = fit_gaussian(Only(Laplace(1000.0, 2.0)), "exclusive", dimension=1)
    # E_q|x| = sigma sqrt(2 / pi) beside the entropy: sigma = 2 sqrt(pi / 2)
    assert fit.distribution.stddev.item() == pytest.approx(2 * math.sqrt(math.pi / 2), rel=1e-4)


def test_moments_by_samples() -> None:
    class Sampled(Only):
        def sample(self, shape: tuple[int, ...]) -> Tensor:
            return self._distribution.sample((*shape, 2))

    fit = fit_gaussian(Sampled(StudentT(10.0)), "inclusive", dimension=2)
    want = 1.25 * torch.eye(2, dtype=torch.float64)
    torch.testing.assert_close(fit.distribution.covariance_matrix, want, atol=0.05, rtol=0.0)


def test_the_random_numbers_are_given_back() -> None:
    torch.manual_seed(0)
    want = torch.rand(3)
    torch.manual_seed(0)
    p = GaussianMixture(torch.zeros(1), torch.zeros(1, 2), torch.zeros(1, 2))
    first, again = (fit_gaussian(p, "exclusive", seed=4).divergence for _ in range(2))
    assert first == again
    assert torch.equal(torch.rand(3), want)


def test_what_is_refused() -> None:
    p = Normal(0.0, 1.0)
    with pytest.raises(ValueError, match="direction is 'both'; expected one of inclusive, excl"):
        fit_gaussian(p, "both")
    with pytest.raises(TypeError, match="target is int, which has no log_prob"):
        fit_gaussian(3)
    with pytest.raises(ValueError, match=r"target has no event_shape; pass dimension=D"):
        fit_gaussian(Only(p))
    with pytest.raises(ValueError, match=r"target has the batch shape \(4,\); fit one at a time"):
        fit_gaussian(Normal(torch.zeros(4), 1.0))
    with pytest.raises(ValueError, match=r"neither mean and covariance_matrix nor sample\(\)"):
        fit_gaussian(Only(p), dimension=2)
