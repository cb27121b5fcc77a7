# SPDX-License-Identifier: MIT
"""The VampPrior: a mixture of the encoder's own posteriors."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.distributions import Categorical, Independent, MixtureSameFamily, Normal

from pyvae.models import VAE, VampPrior, from_pretrained
from pyvae.training import Trainer, evaluate
from tests.models.builders import ImageDecoder, TupleEncoder, data, seeded, small_vae


def small_vamp(dtype: torch.dtype = torch.float64, k: int = 3, **options: Any) -> VAE:
    learn = options.pop("learn_weights", False)
    model = small_vae(dtype, prior=VampPrior(data(k, dtype=dtype), learn), **options)
    with torch.no_grad():
        if learn:
            model.vamp_prior.weight_logits.normal_()  # type: ignore[union-attr]
    return model


def textbook(model: VAE) -> MixtureSameFamily:
    assert model.vamp_prior is not None
    mean, logvar = model.encode(model.vamp_prior.pseudo_inputs)
    components = Independent(Normal(mean, (0.5 * logvar).exp()), 1)
    return MixtureSameFamily(Categorical(logits=model.vamp_prior.weight_logits), components)


@pytest.mark.parametrize("learn_weights", [True, False])
def test_the_bound_takes_the_mixture_of_posteriors(learn_weights: bool) -> None:
    model, x = small_vamp(learn_weights=learn_weights), data()
    bound = model.elbo(x, num_samples=4, generator=seeded())
    mean, logvar = model.encode(x)
    noise = torch.randn(4, *mean.shape, generator=seeded(), dtype=mean.dtype)
    w = mean + (0.5 * logvar).exp() * noise
    torch.testing.assert_close(bound.log_prob_w, textbook(model).log_prob(w).mean(0))
    assert bound.neg_kl_z.eq(0).all()
    torch.testing.assert_close(
        model.log_joint(x, w), model.likelihood(w).log_prob(x) + textbook(model).log_prob(w)
    )
    tight = model.log_likelihood(x, num_samples=2000, generator=seeded())
    assert (bound.total < tight + 0.5).all()


def test_its_samples_have_its_moments() -> None:
    model = small_vamp(learn_weights=True)
    prior = textbook(model)
    w = model.sample_prior(40_000, generator=seeded())
    torch.testing.assert_close(w.mean(0), prior.mean, atol=0.03, rtol=0)
    torch.testing.assert_close(w.var(0), prior.variance, atol=0.05, rtol=0.03)
    one = model.sample_prior(5, component=2, generator=seeded())
    assert one.shape == (5, 2)
    with pytest.raises(ValueError, match="component must be from 0 to 2, got 3"):
        model.sample_prior(5, component=3)


def test_all_of_it_has_a_gradient() -> None:
    model, x = small_vamp(learn_weights=True), data()
    names = ["vamp_prior.pseudo_inputs", "vamp_prior.weight_logits", "encoder.layers.0.weight"]
    parameters = dict(model.named_parameters())

    def bound(*values: Tensor) -> Tensor:
        own = dict(zip(names, values, strict=True))
        elbo = torch.func.functional_call(model, own, (x,), {})
        return elbo.total

    def seeded_bound(*values: Tensor) -> Tensor:
        torch.manual_seed(0)
        return bound(*values)

    values = [parameters[name].detach().requires_grad_() for name in names]
    assert torch.autograd.gradcheck(seeded_bound, values)


def test_with_the_data_as_pseudo_inputs_it_is_the_mean_posterior() -> None:
    """Its bound then beats N(0, I)'s on those data, whatever the encoder."""
    x = data(200)
    model = small_vae(prior=VampPrior(x))
    standard = small_vae(encoder=model.encoder, decoder=model.decoder)
    kl = {
        m: -(b.log_prob_w + b.entropy_w).mean() for m in (model, standard) for b in [m.elbo(x, 64)]
    }
    assert kl[model] < kl[standard]
    assert kl[model] < math.log(200)


def test_it_is_saved_and_loaded(tmp_path) -> None:
    model = small_vamp(learn_weights=True)
    model.save_pretrained(tmp_path)
    loaded = from_pretrained(tmp_path)
    assert loaded.config == model.config
    assert loaded.config["prior"] == {"pseudo_inputs": [3, 5], "learn_weights": True}
    for name, value in model.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], value), name
    assert "prior" not in small_vae().config


def test_images_and_modules_of_your_own() -> None:
    x = torch.rand(6, 1, 4, 4)
    model = VAE(16, 2, encoder=TupleEncoder(), decoder=ImageDecoder(), prior=VampPrior(x[:3]))
    bound = model.elbo(x).total
    bound.sum().backward()
    assert model.vamp_prior is not None
    assert model.vamp_prior.pseudo_inputs.grad is not None
    assert model.vamp_prior.pseudo_inputs.grad.shape == (3, 1, 4, 4)
    assert model.double().elbo(x).total.dtype == torch.float64


def test_pseudo_inputs_of_another_dtype_become_the_models() -> None:
    model = VAE(5, 2, hidden=(8,), prior=VampPrior(data(3)))
    assert model.like.dtype == torch.float32
    assert model.elbo(data()).total.dtype == torch.float32
    assert model.double().elbo(data()).total.dtype == torch.float64


def test_the_trainer_moves_it() -> None:
    torch.manual_seed(0)
    x = (torch.rand(200, 5) < torch.tensor([0.1, 0.9, 0.5, 0.2, 0.8])).float()
    model = VAE(5, 2, hidden=(16,), prior=VampPrior(x[:7]))
    history = Trainer(epochs=20, warmup_epochs=0, lr=1e-2, progress="silent").fit(model, x)
    assert history[-1]["bound"] > history[0]["bound"] + 0.2
    assert model.vamp_prior is not None
    assert not torch.equal(model.vamp_prior.pseudo_inputs.detach(), x[:7])
    assert evaluate(model, x, num_samples=8)["bound"] > history[0]["bound"]


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: VampPrior(torch.zeros(3, 5, dtype=torch.long)), TypeError, "must be a floating"),
        (lambda: VampPrior([[0.5]]), TypeError, r"torch.Tensor \(K, ...\), got list"),
        (lambda: VampPrior(torch.zeros(5)), ValueError, r"has shape \(5,\), expected \(K, ...\)"),
        (lambda: VampPrior(torch.zeros(0, 5)), ValueError, "with K >= 1"),
        (lambda: VampPrior(torch.full((2, 5), math.nan)), ValueError, "must be finite numbers"),
        (lambda: small_vae(prior="vamp"), TypeError, "must be a VampPrior or None, got str"),
        (
            lambda: small_vae(prior={"pseudo_inputs": [3, "a"], "learn_weights": False}),
            ValueError,
            r"must be their shape, as \[500, 784\], got \[3, 'a'\]",
        ),
        (lambda: small_vae(prior={"k": 3}), ValueError, "must be a VampPrior or the config of one"),
        (
            lambda: small_vae(prior=VampPrior(torch.zeros(3, 4))),
            ValueError,
            r"pseudo_inputs has shape \(3, 4\), expected \(N, ...\) with 5 features",
        ),
    ],
)
def test_what_is_refused(make: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make()
