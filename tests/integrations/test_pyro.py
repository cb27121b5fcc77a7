# SPDX-License-Identifier: MIT
"""A mixture among Pyro's distributions, and a GM-VAE whose loss is our bound."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

from pyvae import distributions, mixture_posterior
from pyvae.models.posterior import entropy
from tests.models.builders import data, seeded, small_gmvae

pyro: Any = pytest.importorskip("pyro")
dist: Any = pytest.importorskip("pyro.distributions")
infer: Any = pytest.importorskip("pyro.infer")

from pyvae.integrations.pyro import GaussianMixture, GMVAEPair  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
K, D = 3, 2


@pytest.fixture(autouse=True)
def _own_store() -> Iterator[None]:
    pyro.clear_param_store()
    with pyro.validation_enabled(True):
        yield


def parameters(*batch: int) -> tuple[Tensor, Tensor, Tensor]:
    return torch.randn(*batch, K), torch.randn(*batch, K, D), torch.randn(*batch, K, D)


def test_it_does_what_a_distribution_of_pyros_does() -> None:
    mixture = GaussianMixture(*parameters(4))
    assert mixture().shape == (4, D)
    assert mixture.shape((5,)) == (5, 4, D)
    value = torch.randn(4, D)
    joined = mixture.to_event(1)
    torch.testing.assert_close(joined.log_prob(value), mixture.log_prob(value).sum())
    assert mixture.mask(torch.arange(4) > 1).log_prob(value)[:2].eq(0).all()
    assert mixture.expand_by([6]).batch_shape == (6, 4)


def test_what_is_made_of_it_is_of_its_kind() -> None:
    mixture = GaussianMixture(*parameters())
    for made in (
        mixture.marginal([0]),
        mixture.condition([0], torch.zeros(1)),
        mixture.expand([3]),
    ):
        assert type(made) is GaussianMixture


def test_its_component_is_a_site() -> None:
    given, value = parameters(), torch.randn(5, D)
    component = GaussianMixture(*given).component(value)
    assert component.enumerate_support(expand=False).shape == (K, 1)
    expected = mixture_posterior(value, given[0].log_softmax(-1), *given[1:]).log_posterior
    torch.testing.assert_close(component.logits, expected)


def test_parameters_of_an_enumerated_site() -> None:
    """Summed over the site by Pyro, it is the mixture of mixtures summed by hand."""
    given, weights = parameters(4), torch.full((4,), 0.25)
    x = torch.randn(6, D)

    @infer.config_enumerate
    def model() -> None:
        with pyro.plate("points", 6):
            group = pyro.sample("group", dist.Categorical(weights))
            pyro.sample("x", GaussianMixture(*(t[group] for t in given)), obs=x)

    loss = infer.TraceEnum_ELBO(max_plate_nesting=1).loss(model, lambda: None)
    each = GaussianMixture(*given).log_prob(x[:, None])
    torch.testing.assert_close(-loss, torch.logsumexp(each + weights.log(), -1).sum().item())


def test_a_latent_site_with_a_guide() -> None:
    """The loss of a guide that is the posterior is the evidence, without noise."""
    x = torch.tensor([0.3])
    prior = (torch.tensor([0.2, 0.8]).log(), torch.tensor([[-1.0], [2.0]]), torch.zeros(2, 1))
    evidence = GaussianMixture(*prior[:2], torch.full((2, 1), 2.0).log()).log_prob(x)
    shares = mixture_posterior(x[None], *prior[:2], torch.full((2, 1), 2.0).log()).log_posterior[0]

    def model() -> None:
        w = pyro.sample("w", GaussianMixture(*prior))
        pyro.sample("x", dist.Normal(w, 1.0).to_event(1), obs=x)

    def guide() -> None:
        half = torch.full((2, 1), 0.5).log()
        pyro.sample("w", GaussianMixture(shares, (prior[1] + x) / 2, half))

    for seed in range(3):
        pyro.set_rng_seed(seed)
        loss = infer.Trace_ELBO().loss(model, guide)
        assert loss == pytest.approx(-evidence.item(), abs=1e-5)


OPTIONS: dict[str, dict[str, Any]] = {
    "exact": {},
    "beta": {"beta": 0.5, "learn_weights": True},
    "amortized": {"posterior": "amortized"},
    "gaussian": {"likelihood": "gaussian", "covariance": "diagonal"},
}


@pytest.mark.parametrize("samples", [1, 4])
@pytest.mark.parametrize("name", OPTIONS)
def test_the_loss_is_the_bound_at_equal_samples(name: str, samples: int) -> None:
    """And its gradients; but for the entropy of q(w | x), which Pyro takes at the sample."""
    model, x = small_gmvae(**OPTIONS[name]), data(10)
    pair = GMVAEPair(model)
    elbo = infer.TraceEnum_ELBO(
        max_plate_nesting=1, num_particles=samples, vectorize_particles=samples > 1
    )
    pyro.set_rng_seed(1)
    loss = elbo.differentiable_loss(pair.model, pair.guide, x)
    found = torch.autograd.grad(loss, list(model.parameters()), allow_unused=True)

    _, logvar = model.encode(x)
    noise = torch.randn(samples, 10, D, dtype=x.dtype, generator=seeded(1))
    bound = model.elbo(x, num_samples=samples, generator=seeded(1))
    at_sample = 0.5 * (noise.square() + logvar + math.log(2 * math.pi)).sum(-1).mean(0)
    expected = model.beta * (entropy(logvar) - at_sample) - bound.weighted(model.beta)
    torch.testing.assert_close(loss, expected.sum())
    gradients = torch.autograd.grad(expected.sum(), list(model.parameters()), allow_unused=True)
    for ours, theirs in zip(found, gradients, strict=True):
        torch.testing.assert_close(ours, theirs)


def test_the_loss_is_the_bound_in_expectation() -> None:
    """Within five standard errors over 2,000 samples."""
    model, x = small_gmvae(), data(4)
    pair = GMVAEPair(model)
    elbo = infer.TraceEnum_ELBO(max_plate_nesting=1, num_particles=2000, vectorize_particles=True)
    pyro.set_rng_seed(0)
    with torch.no_grad():
        found = elbo.loss(pair.model, pair.guide, x)
        each = torch.stack([model.elbo(x, num_samples=20).total.sum() for _ in range(100)])
    spread = (20 * each.var() / 2000).sqrt() + each.std() / 10
    assert abs(found + each.mean()) < 5 * spread


def test_svi_trains_it() -> None:
    model, x = small_gmvae(torch.float32), data(30, torch.float32)
    pair = GMVAEPair(model)
    elbo, optimizer = infer.TraceEnum_ELBO(max_plate_nesting=1), pyro.optim.Adam({"lr": 1e-2})
    svi = infer.SVI(pair.model, pair.guide, optimizer, elbo)
    losses = [svi.step(x) for _ in range(40)]
    assert sum(losses[-5:]) < sum(losses[:5])


def test_a_closed_form_is_refused() -> None:
    with pytest.raises(ValueError, match="closed_form=False"):
        GMVAEPair(small_gmvae(closed_form=True))


def test_a_low_rank_mixture_stays_one_of_pyros() -> None:
    given = (torch.zeros(2), torch.randn(2, 4))
    factors = {"cov_factor": torch.randn(2, 4, 2), "cov_diag": torch.rand(2, 4) + 0.1}
    mixture = GaussianMixture(*given, **factors)
    x = mixture.sample((3,))
    assert torch.equal(
        mixture.log_prob(x), distributions.GaussianMixture(*given, **factors).log_prob(x)
    )
    for part in (mixture.marginal([0, 1]), mixture.condition([2], x[0, 2:3])):
        assert isinstance(part, GaussianMixture)
        assert part.has_factors
