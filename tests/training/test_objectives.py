# SPDX-License-Identifier: MIT
"""The trainer on objectives other than the bound."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from pyvae.data import digits
from pyvae.models import GMVAE, VAE, VampPrior
from pyvae.settings import TrainerSettings, settings_of
from pyvae.training import Trainer
from pyvae.training.objective import Objective

OBJECTIVES = settings_of(TrainerSettings)["objective"].kind.choices  # type: ignore[attr-defined]
QUIET = {"pretrain_epochs": 0, "warmup_epochs": 0, "progress": "silent", "schedule": "constant"}


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("kind", [VAE, GMVAE])
def test_the_bound_rises(objective: str, kind: type[VAE] | type[GMVAE]) -> None:
    torch.manual_seed(0)
    model = kind(64, 2, hidden=(32,), num_samples=4)
    trainer = Trainer(epochs=15, objective=objective, lr=3e-3, **QUIET)
    history = trainer.fit(model, digits().x[:500])
    bounds = history.column("bound")
    assert bounds[-1] > bounds[0] + 2.0


def identity(**settings: Any) -> dict[str, Any]:
    return Trainer(**settings).identity(clustered=False)


def test_a_resumed_run_has_the_same_objective() -> None:
    """And a run from before there was a choice has the bound."""
    assert "objective" not in identity()
    assert identity(objective="iwae")["objective"] == "iwae"


@pytest.mark.parametrize("learn_weights", [True, False])
@pytest.mark.parametrize("objective", ["elbo", "iwae"])
def test_em_moves_the_mixture_while_adam_moves_the_networks(
    objective: str, learn_weights: bool
) -> None:
    torch.manual_seed(0)
    model = GMVAE(64, 2, hidden=(32,), num_samples=4, learn_weights=learn_weights)
    start = model.component_means.detach().clone()
    trainer = Trainer(epochs=15, objective=objective, lr=3e-3, prior_update="em", **QUIET)
    history = trainer.fit(model, digits().x[:500])
    bounds = history.column("bound")
    assert bounds[-1] > bounds[0] + 2.0
    assert not torch.equal(model.component_means, start)
    assert model.weight_logits.requires_grad == learn_weights
    assert learn_weights != torch.equal(model.weight_logits.detach(), torch.zeros(10))


@pytest.mark.parametrize("kind", [VAE, GMVAE])
@pytest.mark.parametrize("capacity", [None, 3.0])
def test_beta_and_the_capacity_reach_the_loss(
    kind: type[VAE] | type[GMVAE], capacity: float | None
) -> None:
    """By the definition, with the bound's own parts at the same noise; and its gradient."""
    torch.manual_seed(0)
    model, x = kind(64, 2, hidden=(16,)).double(), digits().x[:50].double()
    limit = None if capacity is None else torch.tensor(capacity)
    for beta in (0.0, 1.0, 4.0):
        torch.manual_seed(1)
        loss, _ = Objective(model)(x, torch.tensor(beta), False, limit)
        torch.manual_seed(1)
        bound = model.elbo(x)
        kl = -(bound.log_prob_w + bound.neg_kl_z + bound.entropy_w).mean()
        rest = kl if capacity is None else (kl - capacity).abs()
        expected = beta * rest - bound.reconstruction.mean()
        torch.testing.assert_close(loss, expected)
        parameters = list(model.parameters())
        found = torch.autograd.grad(loss, parameters, allow_unused=True)
        wanted = torch.autograd.grad(expected, parameters, allow_unused=True)
        for name, a, b in zip(dict(model.named_parameters()), found, wanted, strict=True):
            torch.testing.assert_close(a, b, msg=name)


def test_a_large_beta_holds_the_divergence_at_the_capacity() -> None:
    torch.manual_seed(0)
    model, x = VAE(64, 4, hidden=(64,), beta=50.0), digits().x[:500]
    settings = QUIET | {"lr": 3e-3, "epochs": 60, "capacity_epochs": 20}
    history = Trainer(capacity=5.0, **settings).fit(model, x)
    assert history.column("capacity")[:3] == [0.0, 0.25, 0.5]
    assert history.column("capacity")[20:] == [5.0] * 40
    row = history[-1]
    kl = -(row["log_prob_w"] + row["neg_kl_z"] + row["entropy_w"])
    assert kl == pytest.approx(5.0, abs=0.3)
    assert row["objective"] == pytest.approx(row["reconstruction"] - 50.0 * abs(kl - 5.0))
    pure = VAE(64, 4, hidden=(64,), beta=50.0)
    assert "capacity" not in Trainer(**settings | {"epochs": 1}).fit(pure, x)[-1]


def test_a_component_may_come_to_a_weight_of_zero() -> None:
    torch.manual_seed(0)
    model = GMVAE(64, 2, hidden=(16,), num_components=3, learn_weights=True)
    means = torch.tensor([[0.0, 0.0], [1.0, 1.0], [900.0, 900.0]])
    model.set_mixture(torch.ones(3), means, torch.zeros(3, 1))
    settings = QUIET | {"epochs": 2, "initialization": "none"}
    Trainer(prior_update="em", prior_lr=1.0, **settings).fit(model, digits().x[:200])
    assert model.log_weights[2] == -torch.inf
    assert torch.isfinite(model.elbo(digits().x[:10]).total).all()


def test_a_resume_that_fails_leaves_the_model_alone(tmp_path) -> None:
    x, settings = digits().x[:100], QUIET | {"epochs": 1, "output_dir": tmp_path}
    torch.manual_seed(0)
    Trainer(prior_update="em", **settings).fit(GMVAE(64, 2, hidden=(16,)), x)
    model = GMVAE(64, 2, hidden=(16,))
    trainer = Trainer(prior_update="em", prior_lr=0.5, **settings)
    with pytest.raises(ValueError, match=r"prior_lr was 0.02, is 0.5"):
        trainer.fit(model, x, resume=True)
    assert not model.weight_logits.requires_grad


def test_settings_without_use_do_not_tell_runs_apart() -> None:
    assert identity(prior_lr=0.5, capacity_epochs=3) == identity()
    assert identity(prior_lr=0.5, prior_update="em")["prior_lr"] == 0.5
    assert identity(capacity=2.0, capacity_epochs=3)["capacity_epochs"] == 3


def test_what_is_refused() -> None:
    x = digits().x[:100]
    with pytest.raises(ValueError, match="objective is 'elbow'; expected one of elbo, iwae, wake"):
        Trainer(objective="elbow")
    with pytest.raises(ValueError, match="capacity is -1; expected nats >= 0, or None"):
        Trainer(capacity=-1)
    for name in ("lr", "prior_lr", "weight_decay", "capacity"):
        with pytest.raises(TypeError, match=f"{name} is 'a'; expected "):
            Trainer(**{name: "a"})
    with pytest.raises(ValueError, match="belongs to objective 'elbo', not to 'iwae'"):
        Trainer(capacity=3.0, objective="iwae")
    with pytest.raises(ValueError, match="pushed up, which no step of EM does"):
        Trainer(capacity=3.0, prior_update="em")
    with pytest.raises(ValueError, match=r"weighs samples against .* num_samples=1"):
        Trainer(objective="reweighted-wake-sleep", **QUIET).fit(VAE(64, 2), x)
    vamp = VAE(64, 2, prior=VampPrior(x[:3]))
    with pytest.raises(ValueError, match="apart, and a VampPrior is both; take objective='elbo'"):
        Trainer(objective="wake-sleep", **QUIET).fit(vamp, x)
    with pytest.raises(ValueError, match="'em' moves a mixture, and a VAE has none"):
        Trainer(prior_update="em", **QUIET).fit(VAE(64, 2), x)
    with pytest.raises(ValueError, match="which precision '16-mixed' scales"):
        Trainer(prior_update="em", precision="16-mixed")
    with pytest.raises(ValueError, match=r"prior_lr is 0; expected a share in \(0, 1\]"):
        Trainer(prior_lr=0)
    with pytest.raises(ValueError, match="prior_update is 'EM'; expected one of gradient, em"):
        Trainer(prior_update="EM")
    with pytest.raises(ValueError, match=r"'iwae' has no beta to scale; .* \(it is 10\)"):
        Trainer(objective="iwae", warmup_epochs=10, progress="silent").fit(VAE(64, 2), x)
    with pytest.raises(ValueError, match=r"beta=1 \(it has 4\)"):
        Trainer(objective="iwae", **QUIET).fit(VAE(64, 2, beta=4.0), x)
    with pytest.raises(ValueError, match="'wake-sleep' sums z out; build the model with posterior"):
        Trainer(objective="wake-sleep", **QUIET).fit(GMVAE(64, 2, posterior="amortized"), x)
