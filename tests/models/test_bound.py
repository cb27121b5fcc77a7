# SPDX-License-Identifier: MIT
"""The bound against torch.distributions, and what theory says about it."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from pyvae import ops
from pyvae.models import Elbo
from tests.models import textbook
from tests.models.builders import OPTIONS, data, option_name, seeded, small_gmvae, small_vae

TOLERANCE = {torch.float32: 2e-5, torch.float64: 1e-12}


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize("samples", [1, 3])
@pytest.mark.parametrize("options", OPTIONS, ids=option_name)
def test_every_part_is_the_textbooks(
    options: dict[str, Any], samples: int, dtype: torch.dtype
) -> None:
    model, x = small_gmvae(dtype, **options), data(dtype=dtype)
    bound = model.elbo(x, num_samples=samples, generator=seeded())
    noise = torch.randn(samples, 4, 2, dtype=dtype, generator=seeded()).double()
    expected = textbook.elbo(model.double(), x.double(), noise)
    for name, part in bound._asdict().items():
        assert part.dtype == dtype
        torch.testing.assert_close(
            part.double(),
            getattr(expected, name),
            rtol=TOLERANCE[dtype],
            atol=TOLERANCE[dtype],
            msg=lambda text, name=name: f"{name}: {text}",
        )


@pytest.mark.parametrize("covariance", ["isotropic", "diagonal"])
def test_the_exact_posterior_leaves_the_mixture_density(covariance: str) -> None:
    model, x = small_gmvae(covariance=covariance, learn_weights=True), data()
    bound = model.elbo(x, generator=seeded())
    mean, logvar = model.encode(x)
    noise = torch.randn(1, 4, 2, dtype=x.dtype, generator=seeded())
    w = (mean + torch.exp(logvar / 2) * noise).squeeze(0)
    left = bound.log_prob_w + bound.neg_kl_z
    torch.testing.assert_close(left, ops.mixture_log_prob(w, *model.prior))
    torch.testing.assert_close(left, textbook.prior(model).log_prob(w))


@pytest.mark.parametrize("options", OPTIONS, ids=option_name)
def test_the_bound_is_below_the_log_likelihood(options: dict[str, Any]) -> None:
    model, x = small_gmvae(**options), data()
    samples = 4000
    rows = x.repeat(samples, 1)
    total = model.elbo(rows, generator=seeded()).total.detach().reshape(samples, -1)
    error = total.std(0) / math.sqrt(samples)
    estimate = model.log_likelihood(x, num_samples=samples, generator=seeded(8))
    assert (total.mean(0) <= estimate + 5 * error).all()


def test_the_vae_bound_is_below_the_log_likelihood() -> None:
    model, x = small_vae(likelihood="gaussian"), data()
    total = model.elbo(x, num_samples=4000, generator=seeded()).total
    assert (total <= model.log_likelihood(x, num_samples=4000) + 0.02).all()


@pytest.mark.parametrize("covariance", ["isotropic", "diagonal"])
def test_the_closed_form_takes_the_best_categorical(covariance: str) -> None:
    """No q(z | x), VaDE's p(z | w) at a sample among them, makes a higher mean-field bound."""
    model, x = small_gmvae(covariance=covariance, learn_weights=True, closed_form=True), data()
    bound = model.elbo(x)
    best = bound.log_prob_w + bound.neg_kl_z
    mean, logvar = model.encode(x)
    w = mean + torch.exp(logvar / 2) * torch.randn(50, 4, 2, dtype=x.dtype)
    vade = ops.mixture_elbo_terms(w, *model.prior, mean.expand_as(w), logvar.expand_as(w))
    assert (vade.expected_log_prob - vade.kl_z <= best + 1e-12).all()
    logits = torch.randn(50, 4, 3, dtype=x.dtype)
    other = ops.mixture_elbo_terms(None, *model.prior, mean, logvar, logits)
    assert (other.expected_log_prob - other.kl_z <= best + 1e-12).all()


@pytest.mark.parametrize("model", [small_gmvae(), small_vae()], ids=["GMVAE", "VAE"])
def test_beta_enters_the_objective_and_not_the_bound(model: Any) -> None:
    x = data()
    plain = model.elbo(x, generator=seeded())
    model.beta = 4.0
    bound = model.elbo(x, generator=seeded())
    torch.testing.assert_close(bound.total, plain.total, rtol=0, atol=0)
    regulariser = bound.log_prob_w + bound.neg_kl_z + bound.entropy_w
    torch.testing.assert_close(bound.weighted(model.beta), bound.reconstruction + 4.0 * regulariser)
    torch.testing.assert_close(bound.weighted(1.0), bound.total)
    torch.testing.assert_close(bound.weighted(0.0), bound.reconstruction)

    beta = torch.tensor(4.0, dtype=x.dtype, requires_grad=True)
    (slope,) = torch.autograd.grad(bound.weighted(beta).sum(), beta)
    torch.testing.assert_close(slope, regulariser.sum())
    assert regulariser.abs().min() > 1e-3


def test_the_regulariser_keeps_its_digits_beside_a_large_entropy() -> None:
    """With many latent dimensions at their prior, two large parts cancel."""
    large = torch.tensor([1.4e5])
    bound = Elbo(torch.tensor([-1.0]), -large, torch.tensor([-0.25]), large)
    assert bound.total.item() == -1.25


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize("options", OPTIONS[::3], ids=option_name)
def test_no_examples(options: dict[str, Any], dtype: torch.dtype) -> None:
    model, x = small_gmvae(dtype, **options), data(0, dtype)
    bound = model.elbo(x)
    bound.total.sum().backward()
    assert [part.shape for part in (*bound, bound.total)] == [(0,)] * 5
    assert model.predict(x).shape == (0,)
    assert model.predict_proba(x).shape == (0, 3)
    assert model.reconstruct(x).shape == (0, 5)
    assert model.log_likelihood(x).shape == (0,)
    assert model.sample(0).shape == (0, 5)


def test_a_nan_example_spoils_only_its_own_bound() -> None:
    model, x = small_gmvae(likelihood="gaussian"), data()
    x[1, 2] = math.nan
    total = model.elbo(x).total
    assert total.isnan().tolist() == [False, True, False, False]


def test_a_component_of_weight_zero_stays_out() -> None:
    model, x = small_gmvae(learn_weights=True, likelihood="gaussian"), data()
    model.set_mixture(
        torch.tensor([0.5, 0.0, 0.5]), torch.randn(3, 2), torch.zeros_like(model.component_logvars)
    )
    model.elbo(x).total.sum().backward()
    assert model.predict_proba(x)[:, 1].eq(0).all()
    for parameter in (model.weight_logits, model.component_means, model.component_logvars):
        assert parameter.grad is not None
        assert parameter.grad[1].eq(0).all()
        assert parameter.grad[0].abs().sum() > 0
        assert parameter.grad.isfinite().all()
