# SPDX-License-Identifier: MIT
"""Tiny models for the tests, with parameters that are not the special ones of the start."""

from __future__ import annotations

import itertools
from typing import Any

import torch
from torch import Tensor, nn

from pyvae.models import GMVAE, VAE

OPTIONS: list[dict[str, Any]] = [
    {
        "posterior": posterior,
        "closed_form": closed_form,
        "covariance": covariance,
        "learn_weights": learn_weights,
        "likelihood": likelihood,
    }
    for posterior, closed_form, covariance, learn_weights, likelihood in itertools.product(
        ("exact", "amortized"),
        (False, True),
        ("isotropic", "diagonal"),
        (False, True),
        ("bernoulli", "gaussian"),
    )
]


def option_name(options: dict[str, Any]) -> str:
    """Return a readable test id."""
    words = [options["posterior"], options["covariance"], options["likelihood"]]
    return "-".join(
        words + [flag for flag in ("closed_form", "learn_weights") if options.get(flag)]
    )


def small_gmvae(dtype: torch.dtype = torch.float64, **options: Any) -> GMVAE:
    """Return a GMVAE of 5 features, 2 latent dimensions and 3 unequal components."""
    settings = {"num_components": 3, "hidden": (8,), **options}
    model = GMVAE(5, 2, **settings)
    with torch.no_grad():
        model.component_logvars.uniform_(-1.0, 0.5)
        if model.learn_weights:
            model.weight_logits.normal_()
    return with_units(model).to(dtype)


def small_vae(dtype: torch.dtype = torch.float64, **options: Any) -> VAE:
    """Return a VAE of 5 features and 2 latent dimensions."""
    return with_units(VAE(5, 2, **{"hidden": (8,), **options})).to(dtype)


def with_units(model: Any) -> Any:
    """Give a model that standardises a location and scales to do it by."""
    if model.standardize:
        model.set_standardization(torch.rand(model.input_dim), 0.5 + torch.rand(model.input_dim))
    return model


def data(n: int = 4, dtype: torch.dtype = torch.float64) -> Tensor:
    """Return examples of 5 features in [0, 1]."""
    return torch.rand(n, 5, dtype=dtype)


def seeded(seed: int = 7) -> torch.Generator:
    """Return a generator, so that two calls see the same noise."""
    return torch.Generator().manual_seed(seed)


class TupleEncoder(nn.Module):
    """An encoder of images (N, 1, 4, 4) that returns mean and log-variance as a tuple."""

    def __init__(self, latent_dim: int = 2) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(1, 3, 2)
        self.mean = nn.Linear(27, latent_dim)
        self.logvar = nn.Linear(27, latent_dim)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        features = self.convolution(x).relu().flatten(1)
        return self.mean(features), self.logvar(features)


class ImageDecoder(nn.Module):
    """A decoder to images (N, channels, 4, 4), with weights used twice and a running mean."""

    def __init__(self, channels: int = 1, latent_dim: int = 2) -> None:
        super().__init__()
        self.shape = (channels, 4, 4)
        self.first = nn.Linear(latent_dim, latent_dim)
        self.second = self.first
        self.normalisation = nn.BatchNorm1d(latent_dim)
        self.last = nn.Linear(latent_dim, 16 * channels)

    def forward(self, w: Tensor) -> Tensor:
        hidden = self.normalisation(self.second(self.first(w).tanh()))
        return self.last(hidden).unflatten(1, self.shape)


def table(n: int = 60) -> Tensor:
    x = torch.randn(n, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return x * torch.tensor([1.0, 30.0, 0.2, 5.0, 1.0]) + torch.tensor([0.0, 9.0, 1.0, -3.0, 2.0])


def model_of(x: Tensor, make: type[Any] = GMVAE, **options: Any) -> Any:
    torch.manual_seed(1)
    model = make(5, 2, hidden=(8,), likelihood="gaussian", **options)
    return model.fit_standardization(x)
