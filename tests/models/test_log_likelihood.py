# SPDX-License-Identifier: MIT
"""The importance-weighted estimate against quadrature."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from pyvae.models import GMVAE, VAE
from tests.models import textbook
from tests.models.builders import data, seeded, small_gmvae, small_vae, with_units

MODELS: dict[str, Any] = {
    "VAE": lambda: VAE(5, 1, hidden=(8,)),
    "GMVAE": lambda: GMVAE(5, 1, num_components=3, hidden=(8,), learn_weights=True),
    "Gaussian": lambda: with_units(
        GMVAE(5, 1, num_components=2, hidden=(8,), likelihood="gaussian")
    ),
}


def by_quadrature(model: Any, x: Tensor) -> Tensor:
    """Return log p(x) of a model with one latent dimension, by the trapezoidal rule."""
    w = torch.linspace(-12, 12, 4001, dtype=x.dtype).reshape(-1, 1, 1).expand(-1, len(x), 1)
    log_joint = textbook.log_prob_x(model, x, w) + textbook.prior(model).log_prob(w)
    return torch.log(torch.trapezoid(log_joint.exp(), w[..., 0], dim=0))


@pytest.mark.parametrize("make", MODELS.values(), ids=MODELS)
def test_it_is_log_p_x(make: Any) -> None:
    model, x = make().double(), data()
    with torch.no_grad():
        expected = by_quadrature(model, x)
    actual = model.log_likelihood(x, num_samples=20_000, generator=seeded())
    torch.testing.assert_close(actual, expected, rtol=0, atol=0.02)
    assert not actual.requires_grad


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("chunk_size", [1, 3, 4, 10, 10_000])
def test_chunks_change_nothing(chunk_size: int, dtype: torch.dtype) -> None:
    model, x = small_gmvae(dtype, likelihood="gaussian"), data(dtype=dtype)
    whole = model.log_likelihood(x, num_samples=25, generator=seeded())
    chunked = model.log_likelihood(x, num_samples=25, chunk_size=chunk_size, generator=seeded())
    tolerance = 1e-13 if dtype == torch.float64 else 1e-5
    torch.testing.assert_close(chunked, whole, rtol=tolerance, atol=tolerance)
    assert whole.dtype == dtype


def test_no_more_than_a_chunk_is_decoded_at_a_time() -> None:
    model, sizes = small_vae(), []
    model.decoder.register_forward_hook(lambda _m, inputs, _o: sizes.append(len(inputs[0])))
    model.log_likelihood(data(10), num_samples=9, chunk_size=25)
    assert sizes == [20, 20, 20, 20, 10]
    sizes.clear()
    model.log_likelihood(data(10), num_samples=1, chunk_size=4)
    assert sizes == [4, 4, 2]


def test_one_sample_is_the_bound_of_that_sample() -> None:
    """With S = 1 the estimate is log p(x, w) - log q(w | x) at the only w."""
    model, x = small_vae(likelihood="gaussian"), data()
    estimate = model.log_likelihood(x, num_samples=1, generator=seeded())
    noise = torch.randn(4, 2, dtype=x.dtype, generator=seeded())
    with torch.no_grad():
        q = textbook.posterior_of_w(model, x)
        w = q.mean + q.stddev * noise
        log_joint = textbook.log_prob_x(model, x, w) + textbook.prior(model).log_prob(w)
        torch.testing.assert_close(estimate, log_joint - q.log_prob(w).sum(-1))


@pytest.mark.parametrize("name", ["num_samples", "chunk_size"])
def test_impossible_numbers(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} must be at least 1, got 0"):
        small_vae().log_likelihood(data(), **{name: 0})
