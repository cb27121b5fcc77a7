# SPDX-License-Identifier: MIT
"""Gradients of the bound: by reparameterisation, to every parameter, through torch.func too."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.models.builders import OPTIONS, data, option_name, seeded, small_gmvae, small_vae

STEP = 1e-6


def slope(model: nn.Module, x: Tensor, parameter: Tensor, direction: Tensor) -> float:
    """Return the central difference of the bound along ``direction``, with the noise held fixed."""
    totals = []
    with torch.no_grad():
        for step in (STEP, -STEP):
            parameter += step * direction
            totals.append(model.elbo(x, num_samples=2, generator=seeded()).total.sum())
            parameter -= step * direction
    return ((totals[0] - totals[1]) / (2 * STEP)).item()


@pytest.mark.parametrize("options", OPTIONS, ids=option_name)
def test_every_parameter_has_the_gradient_of_finite_differences(options: dict[str, Any]) -> None:
    model, x = small_gmvae(**options), data()
    model.elbo(x, num_samples=2, generator=seeded()).total.sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        direction = torch.randn_like(parameter)
        expected = slope(model, x, parameter, direction)
        actual = (parameter.grad * direction).sum().item()
        assert actual == pytest.approx(expected, rel=1e-5, abs=1e-6), name


def test_the_encoder_of_the_vae_learns_from_the_reconstruction() -> None:
    """Without reparameterisation the reconstruction would leave the encoder alone."""
    model, x = small_vae(likelihood="gaussian"), data()
    model.elbo(x, generator=seeded()).reconstruction.sum().backward()
    for parameter in model.encoder.parameters():
        assert parameter.grad is not None
        assert parameter.grad.abs().sum() > 0


def test_uniform_weights_are_not_trained() -> None:
    model = small_gmvae()
    assert "weight_logits" not in dict(model.named_parameters())
    torch.testing.assert_close(model.log_weights.exp(), torch.full((3,), 1 / 3).double())


def test_learnt_weights_stay_on_the_simplex() -> None:
    model, x = small_gmvae(learn_weights=True), data()
    optimizer = torch.optim.SGD([model.weight_logits], lr=50.0)
    for _ in range(20):
        optimizer.zero_grad()
        (-model.elbo(x).total.mean()).backward()
        optimizer.step()
    weights = model.log_weights.exp()
    assert (weights >= 0).all()
    torch.testing.assert_close(weights.sum().item(), 1.0)


@pytest.mark.parametrize("make", [small_gmvae, small_vae])
def test_torch_func_sees_the_same_gradient(make: Any) -> None:
    model, x = make(likelihood="gaussian"), data()
    parameters = {name: p.detach() for name, p in model.named_parameters()}

    def loss(values: dict[str, Tensor]) -> Tensor:
        bound = torch.func.functional_call(model, values, (x,))
        return -bound.total.mean()

    torch.manual_seed(3)
    functional = torch.func.grad(loss)(parameters)
    torch.manual_seed(3)
    (-model(x).total.mean()).backward()
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(functional[name], parameter.grad)
