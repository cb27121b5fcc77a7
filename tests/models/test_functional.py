# SPDX-License-Identifier: MIT
"""Models inside the transforms of torch.func: gradients of single examples, ensembles."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.func import functional_call, grad, jacrev, vmap

from pyvae.models import LatentVariableModel, VampPrior
from tests.models.builders import OPTIONS, data, option_name, small_gmvae, small_vae

MODELS: dict[str, Any] = {
    "vae": small_vae,
    "vae, gaussian": lambda: small_vae(likelihood="gaussian", beta=4.0, num_samples=3),
    "vamp prior": lambda: small_vae(prior=VampPrior(data(3), learn_weights=True)),
} | {option_name(options): lambda options=options: small_gmvae(**options) for options in OPTIONS}
each_model = pytest.mark.parametrize("make", MODELS.values(), ids=MODELS)


def parameters_of(model: LatentVariableModel) -> dict[str, Tensor]:
    return {name: parameter.detach() for name, parameter in model.named_parameters()}


@each_model
def test_gradients_of_each_example(make: Any) -> None:
    """With the same noise they are those of a loop over the examples."""
    model, x = make(), data(4)
    parameters = parameters_of(model)

    def loss(values: dict[str, Tensor], example: Tensor) -> Tensor:
        return -functional_call(model, values, (example[None],)).weighted(model.beta).sum()

    def mapped(randomness: str) -> dict[str, Tensor]:
        torch.manual_seed(3)
        return vmap(grad(loss), in_dims=(None, 0), randomness=randomness)(parameters, x)

    found, other = mapped("same"), mapped("different")
    for i, example in enumerate(x):
        torch.manual_seed(3)
        value = -model(example[None]).weighted(model.beta).sum()
        expected = torch.autograd.grad(value, list(model.parameters()))
        for name, gradient in zip(parameters, expected, strict=True):
            torch.testing.assert_close(found[name][i], gradient)
            assert other[name][i].isfinite().all()
    twice = vmap(grad(loss), in_dims=(None, 0), randomness="different")(parameters, x[[0, 0]])
    assert (twice["encoder.layers.0.weight"][0] != twice["encoder.layers.0.weight"][1]).any()


@pytest.mark.parametrize("name", ["vae", "vamp prior", option_name(OPTIONS[-2])])
def test_a_jacobian_has_the_gradients_of_each_example(name: str) -> None:
    model, x = MODELS[name](), data(3)
    parameters = parameters_of(model)
    torch.manual_seed(3)
    found = jacrev(lambda values: functional_call(model, values, (x,)).total)(parameters)
    torch.manual_seed(3)
    total = model(x).total
    for i in range(len(x)):
        expected = torch.autograd.grad(total[i], list(model.parameters()), retain_graph=True)
        for key, gradient in zip(parameters, expected, strict=True):
            torch.testing.assert_close(found[key][i], gradient)


def test_an_ensemble() -> None:
    models, x = [small_gmvae(), small_gmvae()], data(3)
    stacked, buffers = torch.func.stack_module_state(models)
    every = vmap(lambda *state: functional_call(models[0], state, (x,)).total, randomness="same")
    torch.manual_seed(3)
    found = every(stacked, buffers)
    for model, total in zip(models, found, strict=True):
        torch.manual_seed(3)
        torch.testing.assert_close(model(x).total, total)


@pytest.mark.parametrize("transform", ["vmap", "vmap of vmap", "grad"])
def test_values_are_checked_as_ever(transform: str) -> None:
    model, x = small_vae(), data(4)[None]
    x[0, 2, 1] = 255.0

    def bound(rows: Tensor) -> Tensor:
        return model.pretraining_elbo(rows.reshape(-1, 5)).total.sum()

    function, given = {
        "vmap": (vmap(bound, randomness="same"), x),
        "vmap of vmap": (vmap(vmap(bound, randomness="same"), randomness="same"), x),
        "grad": (vmap(grad(bound), randomness="same"), x[0]),
    }[transform]
    with pytest.raises(ValueError, match=r"values from .* to 255.*takes \[0, 1\]"):
        function(given)
