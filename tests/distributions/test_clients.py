# SPDX-License-Identifier: MIT
"""Inside the libraries that people use a mixture with: Pyro, and scvi-tools' shape of use."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import (
    Categorical,
    Independent,
    MixtureSameFamily,
    Normal,
    kl_divergence,
)

from pyvae.distributions import GaussianMixture, set_kl_samples
from tests.models.builders import seeded

POINTS, D, K = 60, 2, 3


def points() -> Tensor:
    centres = torch.tensor([[-3.0, 0.0], [3.0, 0.0], [0.0, 3.0]])
    return centres[torch.arange(POINTS) % K] + 0.5 * torch.randn(POINTS, D, generator=seeded())


def of_torch(weights: Tensor, means: Tensor, logvars: Tensor) -> MixtureSameFamily:
    parts = Independent(Normal(means, (0.5 * logvars).exp().expand_as(means)), 1)
    return MixtureSameFamily(Categorical(logits=weights), parts)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
@pytest.mark.parametrize("name", ["Trace_ELBO", "JitTrace_ELBO"])
def test_pyro_fits_a_mixture_in_a_plate(name: str) -> None:
    """Likelihoods of points and a latent variable's prior; as with torch's own, step by step."""
    pyro = pytest.importorskip("pyro")
    infer, sites = pytest.importorskip("pyro.infer"), pytest.importorskip("pyro.distributions")
    # Pyro's door for torch's distributions, as its documentation has it.
    joined = [
        type(f"Pyro{kind.__name__}", (kind, sites.torch_distribution.TorchDistributionMixin), {})
        for kind in (GaussianMixture, MixtureSameFamily)
    ]
    x, losses = points(), {}
    for kind in joined:

        def mixture(weights: Tensor, means: Tensor, logvars: Tensor, kind: Any = kind) -> Any:
            if issubclass(kind, GaussianMixture):
                return kind(weights, means, logvars)
            like = of_torch(weights, means, logvars)
            return kind(like.mixture_distribution, like.component_distribution)

        def model(x: Tensor, mixture: Any = mixture) -> None:
            weights = pyro.param("weights", torch.zeros(K))
            means = pyro.param("means", torch.randn(K, D, generator=seeded(1)))
            logvars = pyro.param("logvars", torch.zeros(K, D))
            prior = mixture(
                torch.zeros(2), torch.tensor([[-1.0] * D, [1.0] * D]), weights.new_zeros(2, D)
            )
            shift = pyro.sample("shift", prior)
            with pyro.plate("points", POINTS):
                pyro.sample("x", mixture(weights, means + shift, logvars), obs=x)

        def guide(x: Tensor) -> None:
            mean = pyro.param("mean", torch.zeros(D))
            logscale = pyro.param("logscale", torch.full((D,), -2.0))
            pyro.sample("shift", sites.Normal(mean, logscale.exp()).to_event(1))

        pyro.clear_param_store()
        pyro.set_rng_seed(0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", torch.jit.TracerWarning)
            svi = infer.SVI(model, guide, pyro.optim.Adam({"lr": 0.1}), getattr(infer, name)())
            losses[kind.__name__] = [svi.step(x) for _ in range(25)]
            trace = pyro.poutine.trace(pyro.poutine.condition(model, {"shift": torch.ones(D)}))
            losses[kind.__name__].append(trace.get_trace(x).log_prob_sum().item())
    ours, theirs = losses.values()
    assert ours[-2] < 0.8 * ours[0]
    assert ours == pytest.approx(theirs, rel=1e-4)


LATENT, COMPONENTS, BATCH, SAMPLES = 10, 20, 128, 200


class SingleCell(nn.Module):
    """A module in scvi-tools' shape: inference, then a loss of its parts with a weight of the KL.

    scvi's encoder gives means and variances; its loss takes ``kl_divergence(qz, pz)``, and for
    mixtures as priors the difference of log-densities at the sample.
    """

    def __init__(self, fused: bool, sampled: bool) -> None:
        super().__init__()
        self.fused, self.sampled = fused, sampled
        self.encoder = nn.Linear(30, 2 * LATENT)
        self.decoder = nn.Linear(LATENT, 30)
        self.weights = nn.Parameter(torch.zeros(COMPONENTS))
        self.means = nn.Parameter(torch.randn(COMPONENTS, LATENT))
        self.logvars = nn.Parameter(torch.zeros(COMPONENTS, LATENT))

    def prior(self) -> Any:
        kind = GaussianMixture if self.fused else of_torch
        return kind(self.weights, self.means, self.logvars)

    def loss(self, x: Tensor, kl_weight: float) -> Tensor:
        qm, raw = self.encoder(x).chunk(2, -1)
        qz = Independent(Normal(qm, (raw.exp() + 1e-4).sqrt()), 1)
        z = qz.rsample()
        if self.sampled:
            kl = qz.log_prob(z) - self.prior().log_prob(z)
        elif self.fused:
            kl = kl_divergence(qz, self.prior())
        else:
            many = qz.rsample((SAMPLES,))
            kl = (qz.log_prob(many) - self.prior().log_prob(many)).mean(0)
        reconstruction = (x - self.decoder(z)).square().sum(-1)
        return (reconstruction + kl_weight * kl).mean()


@pytest.mark.parametrize("sampled", [True, False], ids=["log_prob", "kl_divergence"])
def test_a_prior_of_single_cells(sampled: bool) -> None:
    """The same steps of Adam as with torch's mixture: exactly so at the same samples."""
    x = torch.randn(3 * BATCH, 30, generator=seeded())
    found: list[dict[str, Tensor]] = []
    for fused in (True, False):
        torch.manual_seed(0)
        module = SingleCell(fused, sampled)
        optimizer = torch.optim.Adam(module.parameters(), lr=1e-3)
        with set_kl_samples(SAMPLES):
            for step, rows in enumerate(x.split(BATCH)):
                optimizer.zero_grad()
                module.loss(rows, kl_weight=(step + 1) / 3).backward()
                optimizer.step()
        found.append({name: p.grad for name, p in module.named_parameters() if p.grad is not None})
        assert len(found[-1]) == 7
    for name, gradient in found[0].items():
        assert gradient.isfinite().all()
        if sampled:
            torch.testing.assert_close(gradient, found[1][name], rtol=1e-3, atol=1e-5)
        else:
            error = (gradient - found[1][name]).norm() / found[1][name].norm()
            assert error < 0.1, name
