# SPDX-License-Identifier: MIT
"""Wrong arguments end with the name of the argument and the way out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from pyvae.models import GMVAE, VAE
from tests.models.builders import data, small_gmvae, small_vae

WRONG_DATA: dict[str, tuple[Any, type[Exception]]] = {
    r"x has shape \(4, 6\), expected \(N, ...\) with 5 features an example": (
        torch.zeros(4, 6),
        ValueError,
    ),
    r"x has shape \(4, 5, 1, 2\), expected": (torch.zeros(4, 5, 1, 2), ValueError),
    r"x has shape \(5,\), .*; for one example pass x.unsqueeze\(0\)": (torch.zeros(5), ValueError),
    r"x has shape \(\), expected": (torch.tensor(0.5), ValueError),
    r"torch.uint8; convert it \(8-bit images: x.float\(\) / 255\)": (
        torch.zeros(4, 5, dtype=torch.uint8),
        TypeError,
    ),
    r"x must be a floating tensor, got torch.bool": (torch.zeros(4, 5) > 0, TypeError),
    r"x must be a floating tensor, got torch.complex64": (
        torch.zeros(4, 5, dtype=torch.complex64),
        TypeError,
    ),
    r"x must be a torch.Tensor, got ndarray; use torch.as_tensor": (np.zeros((4, 5)), TypeError),
    r"x is on meta but the model is on cpu; pass x.to\('cpu'\)": (
        torch.zeros(4, 5, device="meta"),
        ValueError,
    ),
}
METHODS = ["elbo", "encode", "reconstruct", "predict", "predict_proba", "log_likelihood"]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("message", WRONG_DATA)
def test_wrong_data(message: str, method: str) -> None:
    x, error = WRONG_DATA[message]
    with pytest.raises(error, match=message):
        getattr(small_gmvae(), method)(x)


@pytest.mark.parametrize("shape", [(4, 5), (4, 1, 5), (4, 5, 1)])
def test_any_shape_of_the_right_size_is_flattened(shape: tuple[int, ...]) -> None:
    model, x = small_gmvae(), data()
    assert model.elbo(x.reshape(shape)).total.shape == (4,)
    assert model.reconstruct(x.reshape(shape)).shape == shape
    assert torch.equal(model.predict(x.reshape(shape)), model.predict(x))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("model_dtype", [torch.float32, torch.float64], ids=str)
def test_data_of_another_precision_are_cast(model_dtype: torch.dtype, dtype: torch.dtype) -> None:
    model = small_gmvae(model_dtype)
    assert model.elbo(data(dtype=dtype)).total.dtype == model_dtype


def test_double_makes_everything_double() -> None:
    model, x = GMVAE(5, 2, num_components=3, learn_weights=True).double(), data()
    results = (*model.elbo(x), model.predict_proba(x), model.reconstruct(x), model.sample(2))
    assert {result.dtype for result in results} == {torch.float64}


@pytest.mark.parametrize("shape", [(2,), (4, 3), ()])
def test_wrong_latent_vectors(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"w has shape .*, expected \(..., N, 2\)"):
        small_vae().decode(torch.zeros(shape))


def test_latent_vectors_may_have_more_dimensions() -> None:
    assert small_vae().decode(torch.zeros(3, 4, 2)).shape == (3, 4, 5)


@pytest.mark.parametrize("number", [0, -2])
def test_too_few_samples(number: int) -> None:
    with pytest.raises(ValueError, match=f"num_samples must be at least 1, got {number}"):
        small_vae().elbo(data(), num_samples=number)


WRONG_SETTINGS: dict[str, tuple[dict[str, Any], type[Exception]]] = {
    "input_dim must be at least 1, got 0": ({"input_dim": 0}, ValueError),
    r"latent_dim must be an integer, got 2.5 \(float\)": ({"latent_dim": 2.5}, TypeError),
    "num_components must be at least 1, got 0": ({"num_components": 0}, ValueError),
    "num_samples must be at least 1, got 0": ({"num_samples": 0}, ValueError),
    "'isotropic', 'diagonal', got 'full'": ({"covariance": "full"}, ValueError),
    "'exact', 'amortized', got 'network'": ({"posterior": "network"}, ValueError),
    "'bernoulli' or 'gaussian', got 'normal'": ({"likelihood": "normal"}, ValueError),
    "beta must be a finite number >= 0, got -1": ({"beta": -1}, ValueError),
    r"hidden must be a sequence of integers .*, got 256": ({"hidden": 256}, TypeError),
    r"hidden\[1\] must be at least 1, got 0": ({"hidden": (8, 0)}, ValueError),
    "min_scale must be a positive number": (
        {"likelihood": "gaussian", "min_scale": 0.0},
        ValueError,
    ),
    "encoder must be an nn.Module, 'mlp' or 'conv', .*; pass an instance": (
        {"encoder": nn.ReLU},
        TypeError,
    ),
    "decoder must be an nn.Module, 'mlp' or 'conv'": ({"decoder": torch.relu}, TypeError),
}


@pytest.mark.parametrize("message", WRONG_SETTINGS)
def test_wrong_settings(message: str) -> None:
    settings, error = WRONG_SETTINGS[message]
    with pytest.raises(error, match=message):
        GMVAE(**({"input_dim": 5, "latent_dim": 2} | settings))


def test_numpy_integers_and_no_hidden_layer_are_fine() -> None:
    model = VAE(np.int64(5), np.int64(2), hidden=())
    assert type(model.input_dim) is int
    assert model.elbo(data()).total.shape == (4,)
