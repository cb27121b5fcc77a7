# SPDX-License-Identifier: MIT
"""Correlation and total correlation of the aggregate posterior."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.distributions import Categorical, Independent, MixtureSameFamily, Normal

from pyvae.inference import (
    gaussian_total_correlation,
    latent_correlation,
    latent_covariance,
    total_correlation,
)
from pyvae.ops import gaussian_kl


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(5)


def posteriors(n: int = 40, d: int = 3) -> tuple[Tensor, Tensor]:
    mean = torch.randn(n, d, generator=seeded(), dtype=torch.float64)
    mean[:, 1] += 0.8 * mean[:, 0]
    return mean, -1.0 + 0.3 * torch.randn(n, d, generator=seeded(), dtype=torch.float64)


def aggregate(mean: Tensor, logvar: Tensor) -> MixtureSameFamily:
    components = Independent(Normal(mean, (0.5 * logvar).exp()), 1)
    return MixtureSameFamily(Categorical(torch.ones(len(mean))), components)


def test_moments_are_those_of_the_mixture() -> None:
    mean, logvar = posteriors()
    w = aggregate(mean, logvar).sample((100_000,))
    expected = torch.cov(w.T)
    torch.testing.assert_close(latent_covariance(mean, logvar), expected, atol=0.02, rtol=0)
    correlation = torch.corrcoef(w.T)
    torch.testing.assert_close(latent_correlation(mean, logvar), correlation, atol=0.02, rtol=0)


def test_a_correlated_gaussian() -> None:
    """Many narrow posteriors, spread as a Gaussian whose total correlation is known."""
    rho = 0.9
    factor = torch.tensor([[1.0, 0.0], [rho, math.sqrt(1 - rho**2)]], dtype=torch.float64)
    logvar = torch.full((20_000, 2), -2.0, dtype=torch.float64)
    own = math.exp(-2.0)
    mean = torch.randn(20_000, 2, generator=seeded(), dtype=torch.float64) @ factor.T
    correlation = rho / (1.0 + own)
    known = -0.5 * math.log(1 - correlation**2)
    assert gaussian_total_correlation(mean, logvar) == pytest.approx(known, abs=0.02)
    found = total_correlation(mean, logvar, generator=seeded(), num_samples=4000)
    assert found == pytest.approx(known, abs=0.05)


def test_it_is_the_divergence_from_the_product_of_marginals() -> None:
    mean, logvar = posteriors()
    q = aggregate(mean, logvar)
    marginals = [aggregate(mean[:, [i]], logvar[:, [i]]) for i in range(3)]
    w = q.sample((50_000,))
    product = sum(m.log_prob(w[:, [i]]) for i, m in enumerate(marginals))
    found = total_correlation(mean, logvar, num_samples=50_000, generator=seeded())
    assert found == pytest.approx((q.log_prob(w) - product).mean().item(), abs=0.02)


def test_the_divergence_splits_in_three() -> None:
    """KL(q(w|x) || p), averaged, is information, total correlation and the dimensions' own."""
    mean, logvar = posteriors()
    divergence = gaussian_kl(mean, logvar).mean().item()
    q = aggregate(mean, logvar)
    w, rows = q.sample((200_000,)), torch.randint(40, (200_000,))
    own = mean[rows] + (0.5 * logvar[rows]).exp() * torch.randn(200_000, 3, dtype=mean.dtype)
    given = Independent(Normal(mean[rows], (0.5 * logvar[rows]).exp()), 1)
    information = (given.log_prob(own) - q.log_prob(own)).mean().item()
    prior = Normal(0.0, 1.0)
    by_dimension = sum(
        (aggregate(mean[:, [i]], logvar[:, [i]]).log_prob(w[:, [i]]) - prior.log_prob(w[:, i]))
        .mean()
        .item()
        for i in range(3)
    )
    total = total_correlation(mean, logvar, num_samples=50_000, generator=seeded())
    assert information + total + by_dimension == pytest.approx(divergence, abs=0.03)


def test_dependence_that_is_not_linear() -> None:
    """A circle: no correlation, and a Gaussian sees nothing; the total correlation does."""
    angle = torch.linspace(0, 2 * math.pi, 401, dtype=torch.float64)[:-1]
    mean = 3.0 * torch.stack([angle.cos(), angle.sin()], 1)
    logvar = torch.full_like(mean, -3.0)
    assert abs(gaussian_total_correlation(mean, logvar)) < 1e-6
    assert total_correlation(mean, logvar, generator=seeded()) > 0.5


def test_independent_dimensions_have_none() -> None:
    grid = torch.cartesian_prod(torch.linspace(-2, 2, 9), torch.linspace(-1, 1, 9)).double()
    logvar = torch.full_like(grid, -2.0)
    assert total_correlation(grid, logvar, generator=seeded()) == pytest.approx(0.0, abs=1e-6)
    assert gaussian_total_correlation(grid, logvar) == pytest.approx(0.0, abs=1e-9)
    one = grid[:, :1]
    assert total_correlation(one, logvar[:, :1]) == pytest.approx(0.0, abs=1e-12)


def test_minibatch_weighted_sampling_is_the_papers() -> None:
    """By its formula; and its bias at both ends, which the documentation states."""
    mean, logvar = posteriors(16)
    w = mean + (0.5 * logvar).exp() * torch.randn(16, 3, generator=seeded(), dtype=mean.dtype)
    each = Normal(mean, (0.5 * logvar).exp()).log_prob(w[:, None])  # (sample, posterior, dim)
    norm = math.log(16 * 100)
    joint = torch.logsumexp(each.sum(2), 1) - norm
    product = (torch.logsumexp(each, 1) - norm).sum(1)
    found = total_correlation(
        mean, logvar, method="minibatch", dataset_size=100, generator=seeded()
    )
    assert found == pytest.approx((joint - product).mean().item(), rel=1e-10)
    apart = 1e3 * torch.arange(16.0)[:, None].expand(16, 3).double()
    zeros = torch.zeros_like(apart)
    exact = total_correlation(apart, zeros, generator=seeded())
    assert exact == pytest.approx(2 * math.log(16))
    biased = total_correlation(apart, zeros, method="minibatch", generator=seeded())
    assert biased - exact == pytest.approx(2 * math.log(16))
    same = total_correlation(zeros, zeros, method="minibatch", dataset_size=100)
    assert same == pytest.approx(2 * math.log(100))


def test_what_is_refused() -> None:
    mean, logvar = posteriors()
    with pytest.raises(ValueError, match=r"mean has shape \(40, 3\) and logvar \(40, 2\)"):
        total_correlation(mean, logvar[:, :2])
    with pytest.raises(ValueError, match=r"\(N, L\) with N, L >= 1"):
        latent_covariance(mean[:0], logvar[:0])
    for function in (latent_correlation, gaussian_total_correlation, total_correlation):
        with pytest.raises(TypeError, match=r"mean must be a floating tensor, .* got ndarray"):
            function(mean.numpy(), logvar)  # type: ignore[operator]
    with pytest.raises(ValueError, match="method='mws'; expected one of aggregate, minibatch"):
        total_correlation(mean, logvar, method="mws")
    with pytest.raises(ValueError, match="num_samples must be at least 1, got 0"):
        total_correlation(mean, logvar, num_samples=0)
    with pytest.raises(TypeError, match=r"num_samples must be an integer, got 2.5"):
        total_correlation(mean, logvar, num_samples=2.5)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="dataset_size belongs to method='minibatch'"):
        total_correlation(mean, logvar, dataset_size=100)
    with pytest.raises(ValueError, match="dataset_size=8; expected at least the 40 examples"):
        total_correlation(mean, logvar, method="minibatch", dataset_size=8)
