# SPDX-License-Identifier: MIT
"""Importance-weighted bounds and the forward KL: values, and which network each of them trains."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from pyvae.inference import (
    importance_weighted_bound,
    posterior_on_grid,
    sleep_loss,
    wake_loss,
)
from pyvae.models import GMVAE, VAE
from pyvae.models.posterior import log_prob_at
from pyvae.settings import TrainerSettings, settings_of
from pyvae.training.objective import Objective
from tests.inference.test_posterior import LIMITS, model_of

each_model = pytest.mark.parametrize("kind", ["vae", "gmvae"])


@pytest.fixture
def x() -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return (torch.rand(5, 6, generator=generator) > 0.5).double()


def trained_by(model: VAE | GMVAE, loss: Tensor) -> set[str]:
    """The parts of the model that a loss has gradients of."""
    model.zero_grad()
    loss.backward()
    return {
        name.split(".")[0]
        for name, parameter in model.named_parameters()
        if parameter.grad is not None and (parameter.grad != 0).any()
    }


@each_model
def test_more_samples_are_tighter(kind: str, x: Tensor) -> None:
    model = model_of(kind)
    grid = posterior_on_grid(model, x, LIMITS, points=301)
    torch.manual_seed(0)
    with torch.no_grad():
        bounds = [
            torch.stack([importance_weighted_bound(model, x, s) for _ in range(4000 // s)]).mean(0)
            for s in (1, 10, 100)
        ]
        elbo = model.elbo(x, num_samples=4000).total
    torch.testing.assert_close(bounds[0], elbo, atol=0.1, rtol=0.0)
    assert (bounds[0] < bounds[1]).all()
    assert (bounds[1] < bounds[2] + 0.05).all()
    assert bounds[1].mean() < bounds[2].mean()
    assert (bounds[2] < grid.log_likelihood + 0.05).all()


@each_model
def test_the_wake_gradient_is_the_forward_kls(kind: str, x: Tensor) -> None:
    """That of E[-log q] under the posterior, enumerated."""
    model = model_of(kind)
    encoder = [p for name, p in model.named_parameters() if name.startswith("encoder")]
    grid = posterior_on_grid(model, x, LIMITS, points=301)
    shares = torch.softmax(grid.log_density, 1)
    mean, logvar = model.encode(x)
    log_q = log_prob_at(grid.points[:, None].expand(-1, 5, -1), mean, logvar)
    exact = -(shares.T * log_q).sum()
    want = torch.autograd.grad(exact, encoder)
    torch.manual_seed(0)
    got = torch.autograd.grad(wake_loss(model, x, 50_000).sum(), encoder)
    scale = max(gradient.abs().max() for gradient in want)
    for have, truth in zip(got, want, strict=True):
        assert (have - truth).abs().max() < 0.15 * scale


@each_model
def test_sleep_is_the_densitys_own(kind: str) -> None:
    model = model_of(kind)
    torch.manual_seed(0)
    loss = sleep_loss(model, 7)
    torch.manual_seed(0)
    with torch.no_grad():
        w = model.sample_prior(7)
        mean, logvar = model.encode(model.likelihood(w).sample())
        q = torch.distributions.Normal(mean, torch.exp(0.5 * logvar))
        torch.testing.assert_close(loss.detach(), -q.log_prob(w).sum(-1))


@each_model
def test_who_learns_from_what(kind: str, x: Tensor) -> None:
    model = model_of(kind)
    prior = set() if kind == "vae" else {"component_means", "component_logvars"}
    everything = {"encoder", "decoder", *prior}
    losses: dict[str, tuple[Callable[[], Tensor], set[str]]] = {
        "iwae": (lambda: importance_weighted_bound(model, x, 4).mean(), everything),
        "theta": (
            lambda: importance_weighted_bound(model, x, 4, train_encoder=False).mean(),
            everything - {"encoder"},
        ),
        "wake": (lambda: wake_loss(model, x, 4).mean(), {"encoder"}),
        "sleep": (lambda: sleep_loss(model, 5).mean(), {"encoder"}),
    }
    for name, (loss, parts) in losses.items():
        assert trained_by(model, loss()) == parts, name
    for name in settings_of(TrainerSettings)["objective"].kind.choices:
        loss, parts = Objective(model, name)(x, torch.tensor(1.0), False)
        assert trained_by(model, loss) == everything, name
        assert parts.shape == (4,)


def test_what_is_refused(x: Tensor) -> None:
    for function in (importance_weighted_bound, wake_loss):
        with pytest.raises(ValueError, match="num_samples must be at least 1, got 0"):
            function(model_of("vae"), x, 0)
