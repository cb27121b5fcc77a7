# SPDX-License-Identifier: MIT
"""Components of the GM-VAE: their start, their assignment, samples from them."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from pyvae.models import GMVAE, VAE
from tests.models import textbook
from tests.models.builders import data, seeded, small_gmvae

WAYS = [
    {"posterior": posterior, "covariance": covariance, "learn_weights": True}
    for posterior in ("exact", "amortized")
    for covariance in ("isotropic", "diagonal")
]


def test_components_start_apart_and_from_the_seed() -> None:
    torch.manual_seed(5)
    first = GMVAE(5, 2)
    torch.manual_seed(5)
    second = GMVAE(5, 2)
    for a, b in zip(first.state_dict().values(), second.state_dict().values(), strict=True):
        assert torch.equal(a, b)
    gaps = torch.pdist(first.component_means.detach())
    assert gaps.min() > 1e-3
    assert first.component_logvars.shape == (10, 1)
    assert GMVAE(5, 2, covariance="diagonal").component_logvars.shape == (10, 2)


@pytest.mark.parametrize("options", WAYS, ids=str)
def test_probabilities_are_the_categorical_at_the_mean(options: dict[str, Any]) -> None:
    model, x = small_gmvae(**options), data()
    mean = model.encode(x)[0]
    log_normal = textbook.components(model).log_prob(mean.unsqueeze(-2)).sum(-1)
    expected = textbook.posterior_of_z(model, x, mean.unsqueeze(0), log_normal).probs.reshape(4, 3)
    actual = model.predict_proba(x)
    torch.testing.assert_close(actual, expected)
    torch.testing.assert_close(actual.sum(-1), torch.ones(4).double())
    many = model.log_posterior(x, mean.expand(6, 4, 2))
    torch.testing.assert_close(many.exp(), expected.expand(6, 4, 3))
    with pytest.raises(ValueError, match="latent_dim"):
        model.log_posterior(x, mean[:, :1])
    predicted = model.predict(x)
    assert predicted.dtype == torch.int64
    assert torch.equal(predicted, expected.argmax(-1))


@pytest.mark.parametrize("closed_form", [False, True])
def test_a_gmvae_finds_groups(closed_form: bool) -> None:
    """Well-separated groups and components on their codes: each group has its own component."""
    x = torch.eye(3).repeat_interleave(8, 0).repeat(1, 4)
    x = (x + 0.05 * torch.randn_like(x)).clamp(0, 1)
    model = GMVAE(12, 2, num_components=3, hidden=(16,), closed_form=closed_form)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    for step in range(300):
        if step == 100:
            codes = model.encode(x[::8])[0]
            model.set_mixture(None, codes, torch.zeros(3, 1))
        optimizer.zero_grad()
        (-model.elbo(x).weighted(float(step >= 100)).mean()).backward()
        optimizer.step()
    groups = model.predict(x).reshape(3, 8)
    assert groups.eq(groups[:, :1]).all()
    assert groups[:, 0].unique().numel() == 3
    # A component's samples look like its group.
    drawn = model.sample(50, component=int(groups[1, 0]), generator=seeded()).mean(0)
    assert (drawn[1::3] > 0.5).all()
    assert (drawn[0::3] < 0.5).all()


@pytest.mark.parametrize("covariance", ["isotropic", "diagonal"])
def test_set_mixture(covariance: str) -> None:
    model = small_gmvae(learn_weights=True, covariance=covariance)
    means, logvars = torch.randn(3, 2), torch.randn_like(model.component_logvars)
    model.set_mixture(torch.tensor([1.0, 2.0, 1.0]), means, logvars)
    expected = torch.tensor([0.25, 0.5, 0.25]).log().double()
    torch.testing.assert_close(model.log_weights, expected)
    torch.testing.assert_close(model.component_means, means.double(), check_dtype=False)
    torch.testing.assert_close(model.component_logvars, logvars, check_dtype=False)
    assert model.component_means.requires_grad
    model.set_mixture(None, means, logvars)
    torch.testing.assert_close(model.log_weights.exp(), torch.full((3,), 1 / 3).double())


WRONG_MIXTURES: dict[str, Any] = {
    r"weights has shape \(2,\), expected \(3,\)": {"weights": torch.ones(2)},
    r"weights must be >= 0 .* not their logarithms": {"weights": -torch.ones(3)},
    r"with a sum above 0": {"weights": torch.zeros(3)},
    r"weights must be finite": {"weights": torch.tensor([1.0, math.nan, 1.0])},
    r"means has shape \(3, 4\), expected \(3, 2\)": {"means": torch.zeros(3, 4)},
    r"means must be finite": {"means": torch.full((3, 2), math.inf)},
    r"logvars has shape \(3, 2\), expected \(3, 1\): .*isotropic": {"logvars": torch.zeros(3, 2)},
}


@pytest.mark.parametrize("message", WRONG_MIXTURES)
def test_wrong_mixtures_change_nothing(message: str) -> None:
    model = small_gmvae(learn_weights=True)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    good = {"weights": None, "means": torch.zeros(3, 2), "logvars": torch.zeros(3, 1)}
    with pytest.raises(ValueError, match=message):
        model.set_mixture(**(good | WRONG_MIXTURES[message]))
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


def test_uniform_weights_cannot_be_set() -> None:
    with pytest.raises(ValueError, match=r"pass weights=None or build .*learn_weights=True"):
        small_gmvae().set_mixture(torch.ones(3), torch.zeros(3, 2), torch.zeros(3, 1))


@pytest.mark.parametrize("covariance", ["isotropic", "diagonal"])
def test_latent_samples_have_the_components_moments(covariance: str) -> None:
    model = small_gmvae(learn_weights=True, covariance=covariance)
    one = model.sample_prior(40_000, component=2, generator=seeded())
    logvars = model.component_logvars.expand(3, 2)
    torch.testing.assert_close(one.mean(0), model.component_means[2].detach(), rtol=0, atol=0.03)
    torch.testing.assert_close(one.var(0), logvars[2].exp().detach(), rtol=0.05, atol=0)
    every = model.sample_prior(40_000, generator=seeded())
    prior = textbook.prior(model)
    torch.testing.assert_close(every.mean(0), prior.mean.detach(), rtol=0, atol=0.05)
    torch.testing.assert_close(every.var(0), prior.variance.detach(), rtol=0.05, atol=0)


def test_samples_are_means_of_the_likelihood_from_the_generator() -> None:
    model = small_gmvae(likelihood="gaussian")
    x = model.sample(6, generator=seeded())
    assert x.shape == (6, 5)
    assert not x.requires_grad
    assert torch.equal(x, model.sample(6, generator=seeded()))
    assert torch.equal(x, model.decode(model.sample_prior(6, generator=seeded())))
    assert not torch.equal(x, model.sample(6, generator=seeded(8)))


@pytest.mark.parametrize(
    ("component", "error", "message"),
    [
        (3, ValueError, "component must be from 0 to 2, got 3"),
        (-1, ValueError, "component must be at least 0, got -1"),
        (1.0, TypeError, r"component must be an integer, got 1.0 \(float\)"),
        (True, TypeError, "component must be an integer, got True"),
    ],
)
def test_no_such_component(component: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        small_gmvae().sample(2, component=component)


def test_a_vae_has_one_component() -> None:
    with pytest.raises(ValueError, match="component must be from 0 to 0, got 1"):
        VAE(5, 2).sample(2, component=1)


def test_sampling_a_negative_number() -> None:
    with pytest.raises(ValueError, match="n must be at least 0, got -1"):
        small_gmvae().sample(-1)
