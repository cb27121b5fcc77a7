# SPDX-License-Identifier: MIT
"""The VAE, by itself and as the GM-VAE with one component."""

from __future__ import annotations

import pytest
import torch

from pyvae import ops
from pyvae.models import GMVAE, VAE
from tests.models.builders import data, seeded, small_vae


def with_one_component(vae: VAE, *, closed_form: bool) -> GMVAE:
    """Return the GM-VAE that is ``vae``: one component of unit variance at the origin."""
    model = GMVAE(
        vae.input_dim,
        vae.latent_dim,
        num_components=1,
        likelihood=vae.config["likelihood"],
        closed_form=closed_form,
        encoder=vae.encoder,
        decoder=vae.decoder,
    ).double()
    model.set_mixture(None, torch.zeros(1, vae.latent_dim), torch.zeros(1, 1))
    if vae.standardization is not None:
        model.set_standardization(*vae.standardization.buffers())
    return model


@pytest.mark.parametrize("likelihood", ["bernoulli", "gaussian"])
def test_it_is_the_gmvae_with_one_standard_component(likelihood: str) -> None:
    vae, x = small_vae(likelihood=likelihood), data()
    gmvae = with_one_component(vae, closed_form=True)
    expected = vae.elbo(x, num_samples=3, generator=seeded())
    actual = gmvae.elbo(x, num_samples=3, generator=seeded())
    torch.testing.assert_close(tuple(actual), tuple(expected))
    torch.testing.assert_close(
        gmvae.log_likelihood(x, generator=seeded()), vae.log_likelihood(x, generator=seeded())
    )
    torch.testing.assert_close(
        gmvae.sample(6, component=0, generator=seeded()),
        vae.sample(6, component=0, generator=seeded()),
    )


def test_sampling_the_kl_divergence_agrees_in_the_mean() -> None:
    vae, x = small_vae(), data()
    gmvae = with_one_component(vae, closed_form=False)
    expected = vae.elbo(x)
    actual = gmvae.elbo(x, num_samples=20_000, generator=seeded())
    torch.testing.assert_close(actual.log_prob_w, expected.log_prob_w, rtol=0, atol=0.05)
    assert actual.neg_kl_z.abs().max() < 1e-12
    assert expected.neg_kl_z.eq(0).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_the_regulariser_is_the_kl_divergence(dtype: torch.dtype) -> None:
    model, x = small_vae(dtype), data(dtype=dtype)
    bound = model.elbo(x)
    kl = ops.gaussian_kl(*model.encode(x))
    tolerance = 1e-13 if dtype == torch.float64 else 2e-6
    torch.testing.assert_close(
        bound.log_prob_w + bound.entropy_w + bound.neg_kl_z, -kl, rtol=0, atol=tolerance
    )


def test_a_vae_learns() -> None:
    """Two kinds of binary rows: the bound rises well above that of independent coins."""
    model = VAE(6, 2, hidden=(16,))
    x = torch.tensor([[1.0, 1, 1, 0, 0, 0], [0, 0, 0, 1, 1, 1]]).repeat(32, 1)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(300):
        optimizer.zero_grad()
        bound = model.elbo(x)
        (-bound.weighted(model.beta).mean()).backward()
        optimizer.step()
    # Coins: 6 log 0.5 = -4.16 nats; the best there is: log 0.5 = -0.69.
    assert model.elbo(x).total.mean() > -2.0
    assert model.reconstruct(x).round().eq(x).all()


@pytest.mark.parametrize("likelihood", ["bernoulli", "gaussian"])
def test_pretraining_is_the_vae_of_the_same_networks(likelihood: str) -> None:
    vae, x = small_vae(likelihood=likelihood), data()
    gmvae = with_one_component(vae, closed_form=False)
    gmvae.set_mixture(None, torch.full((1, 2), 3.0), torch.full((1, 1), -2.0))
    expected = vae.elbo(x, num_samples=2, generator=seeded())
    actual = gmvae.pretraining_elbo(x, num_samples=2, generator=seeded())
    torch.testing.assert_close(tuple(actual), tuple(expected), rtol=0, atol=0)
    actual.total.sum().backward()
    assert gmvae.component_means.grad is None


def test_pretraining_may_hide_features_from_the_encoder() -> None:
    model, x = small_vae(), data()
    seen = x * torch.tensor([1.0, 0, 1, 0, 1])
    bound = model.pretraining_elbo(x, seen, generator=seeded())
    hidden = model.elbo(seen, generator=seeded())
    torch.testing.assert_close(bound.entropy_w, hidden.entropy_w)
    torch.testing.assert_close(bound.log_prob_w, hidden.log_prob_w)
    assert (bound.reconstruction != hidden.reconstruction).all()
    with pytest.raises(ValueError, match=r"x has shape \(4, 3\)"):
        model.pretraining_elbo(x, seen[:, :3])
