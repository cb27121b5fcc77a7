# SPDX-License-Identifier: MIT
"""What the posterior is: on a grid, by samples, and the bound's gap to log p(x)."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from pyvae.inference import posterior_estimate, posterior_on_grid
from pyvae.models import GMVAE, VAE

LIMITS = [(-7.0, 7.0)] * 2


@pytest.fixture
def x() -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return (torch.rand(5, 6, generator=generator) > 0.5).double()


def model_of(kind: str) -> VAE | GMVAE:
    torch.manual_seed(1)
    if kind == "vae":
        return VAE(6, 2, hidden=(16,)).double()
    return GMVAE(6, 2, num_components=3, hidden=(16,)).double()


@pytest.mark.parametrize("kind", ["vae", "gmvae"])
def test_the_gap_of_the_bound_is_the_divergence(kind: str, x: Tensor) -> None:
    """log p(x) - ELBO = KL(q(w | x) || p(w | x)), z being summed out by the exact posterior."""
    model = model_of(kind)
    grid = posterior_on_grid(model, x, LIMITS, points=301)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        bounds = torch.stack(
            [model.elbo(x, num_samples=2000, generator=generator).total for _ in range(10)]
        )
    error = bounds.std(0) / len(bounds) ** 0.5
    assert ((grid.log_likelihood - bounds.mean(0) - grid.kl).abs() < 6 * error + 1e-6).all()
    assert (grid.kl > 0).all()


@pytest.mark.parametrize("kind", ["vae", "gmvae"])
def test_samples_agree_with_the_grid(kind: str, x: Tensor) -> None:
    model = model_of(kind)
    grid = posterior_on_grid(model, x, LIMITS, points=301)
    shares = torch.softmax(grid.log_density, 1)
    torch.testing.assert_close(shares.sum(1), torch.ones(5, dtype=torch.float64))
    mean = shares @ grid.points
    gaps = grid.points - mean[:, None]
    covariance = torch.einsum("ng,ngl,ngm->nlm", shares, gaps, gaps)
    generator = torch.Generator().manual_seed(0)
    found = posterior_estimate(model, x, 100_000, generator)
    size = found.effective_sample_size
    assert ((size > 500) & (size <= 100_000)).all()
    error = 6.0 / size.min().item() ** 0.5  # an untrained encoder's Gaussian is too narrow
    torch.testing.assert_close(found.log_likelihood, grid.log_likelihood, atol=error, rtol=0.0)
    torch.testing.assert_close(found.mean, mean, atol=error, rtol=0.0)
    torch.testing.assert_close(found.covariance, covariance, atol=3 * error, rtol=0.0)


class Fixed(nn.Module):
    """An encoder that says the same of everything."""

    def __init__(self, mean: float, logvar: float) -> None:
        super().__init__()
        self.register_buffer("told", torch.tensor([mean] * 2 + [logvar] * 2).double())

    def forward(self, x: Tensor) -> Tensor:
        return self.told.expand(len(x), -1)


def test_the_effective_sample_size_tells_of_a_bad_encoder(x: Tensor) -> None:
    sizes = []
    for mean in (0.0, 3.0):
        torch.manual_seed(1)
        model = VAE(6, 2, hidden=(16,), encoder=Fixed(mean, 0.0)).double()
        generator = torch.Generator().manual_seed(0)
        sizes.append(posterior_estimate(model, x, 1000, generator).effective_sample_size.max())
    assert sizes[0] > 300
    assert sizes[1] < 50


def test_the_joint_density(x: Tensor) -> None:
    model = model_of("vae")
    w = torch.zeros(3, 5, 2, dtype=torch.float64)
    got = model.log_joint(x, w)
    assert got.shape == (3, 5)
    likelihood = model.likelihood(w[0]).log_prob(x)
    likelihood = likelihood.sum(-1) if likelihood.ndim == 2 else likelihood
    torch.testing.assert_close(got[0], likelihood - math.log(2 * math.pi))


def test_what_is_refused(x: Tensor) -> None:
    model = model_of("vae")
    with pytest.raises(ValueError, match="num_samples must be at least 1, got 0"):
        posterior_estimate(model, x, 0)
    with pytest.raises(ValueError, match="limits has 1 entries and the model 2 latent dimensions"):
        posterior_on_grid(model, x, [(-1.0, 1.0)])
    with pytest.raises(ValueError, match=r"points=5000 in 2 dimensions are 25,000,000"):
        posterior_on_grid(model, x, LIMITS, points=5000)
