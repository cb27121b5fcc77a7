# SPDX-License-Identifier: MIT
"""Encoders and decoders of the user's own."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from pyvae.models import GMVAE, MLP, VAE
from tests.models.builders import ImageDecoder, TupleEncoder, data, seeded, small_vae

IMAGES = {"input_dim": 16, "latent_dim": 2}


class Returning(nn.Module):
    """A module that returns what it is told."""

    def __init__(self, make: Any) -> None:
        super().__init__()
        self.make = make

    def forward(self, x: Tensor) -> Any:
        return self.make(x)


@pytest.mark.parametrize("posterior", ["exact", "amortized"])
@pytest.mark.parametrize("likelihood", ["bernoulli", "gaussian"])
def test_convolutions(likelihood: str, posterior: str) -> None:
    channels = {"bernoulli": 1, "gaussian": 2}[likelihood]
    model = GMVAE(
        **IMAGES,
        likelihood=likelihood,
        posterior=posterior,
        encoder=TupleEncoder(),
        decoder=ImageDecoder(channels),
    )
    x = torch.rand(6, 1, 4, 4)
    model.fit_standardization(x)
    model.elbo(x, num_samples=2).total.sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
    assert model.predict(x).shape == (6,)
    assert model.reconstruct(x).shape == x.shape
    assert model.sample(3).shape == (3, 16)
    assert model.log_likelihood(x, num_samples=3).shape == (6,)


def test_one_tensor_and_two_are_the_same() -> None:
    plain = small_vae(likelihood="gaussian")
    x = data()
    split = VAE(
        5,
        2,
        likelihood="gaussian",
        encoder=Returning(lambda x: plain.encoder(x).chunk(2, dim=-1)),
        decoder=Returning(lambda w: plain.decoder(w).chunk(2, dim=-1)),
    ).double()
    split.set_standardization(*plain.standardization.buffers())
    expected = plain.elbo(x, generator=seeded())
    torch.testing.assert_close(tuple(split.elbo(x, generator=seeded())), tuple(expected))


def test_a_module_without_layers_is_not_taken_for_none() -> None:
    """nn.Sequential() is falsy."""
    model = VAE(4, 2, encoder=nn.Sequential(), decoder=MLP(2, (), 4))
    mean, logvar = model.encode(torch.tensor([[1.0, 2.0, 3.0, 4.0]]))
    assert mean.tolist() == [[1.0, 2.0]]
    assert logvar.tolist() == [[3.0, 4.0]]
    assert model.own_modules == ("encoder", "decoder")


WRONG_ENCODERS: dict[str, tuple[Any, type[Exception]]] = {
    r"encoder\(x\) has shape \(4, 3\), expected \(4, 4\): means, then log-variances": (
        lambda x: torch.zeros(4, 3),
        ValueError,
    ),
    r"encoder\(x\), logvar has shape \(4, 1\), expected \(4, 2\)": (
        lambda x: (torch.zeros(4, 2), torch.zeros(4, 1)),
        ValueError,
    ),
    r"or a tuple \(mean, logvar\), got a tuple of 3": (lambda x: (x, x, x), TypeError),
    r"got dict": (lambda x: {"mean": x}, TypeError),
}
WRONG_DECODERS: dict[str, tuple[Any, type[Exception]]] = {
    r"decoder\(w\), flattened, has shape \(4, 5\), expected \(4, 10\): the means, then the raw": (
        lambda w: torch.zeros(4, 5),
        ValueError,
    ),
    r"has shape \(3, 10\), expected \(4, 10\)": (lambda w: torch.zeros(3, 10), ValueError),
    r"got a tensor of shape \(10,\)": (lambda w: torch.zeros(10), TypeError),
    r"got a tuple of 2: .*NoneType": (lambda w: (torch.zeros(4, 5), None), TypeError),
    r"got NoneType": (lambda w: None, TypeError),
}


@pytest.mark.parametrize("message", WRONG_ENCODERS)
def test_encoders_that_return_something_else(message: str) -> None:
    make, error = WRONG_ENCODERS[message]
    with pytest.raises(error, match=message):
        VAE(5, 2, encoder=Returning(make)).elbo(data())


@pytest.mark.parametrize("message", WRONG_DECODERS)
def test_decoders_that_return_something_else(message: str) -> None:
    make, error = WRONG_DECODERS[message]
    model = VAE(5, 2, likelihood="gaussian", standardize=False, decoder=Returning(make))
    with pytest.raises(error, match=message):
        model.elbo(data())
