# SPDX-License-Identifier: MIT
"""The Bernoulli and the Gaussian likelihood."""

from __future__ import annotations

import math

import pytest
import torch

from pyvae.models.likelihoods import BernoulliLikelihood, GaussianLikelihood, make_likelihood
from tests.models.builders import data, small_vae

DTYPES = [torch.float32, torch.float64]


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_bernoulli_is_finite_at_every_logit(dtype: torch.dtype) -> None:
    logits = torch.tensor([[-1e4, 0.0, 1e4]], dtype=dtype, requires_grad=True)
    likelihood = BernoulliLikelihood()
    assert likelihood.log_prob(logits, torch.tensor([[0.0, 0.5, 1.0]], dtype=dtype)).item() == (
        pytest.approx(math.log(0.5))
    )
    wrong = likelihood.log_prob(logits, torch.tensor([[1.0, 1.0, 0.0]], dtype=dtype))
    assert wrong.item() == pytest.approx(-2e4 + math.log(0.5))
    wrong.sum().backward()
    torch.testing.assert_close(logits.grad, torch.tensor([[1.0, 0.5, -1.0]], dtype=dtype))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_the_gaussian_scale_has_a_floor_and_no_overflow(dtype: torch.dtype) -> None:
    likelihood = GaussianLikelihood(min_scale=0.25)
    means = torch.zeros(3, dtype=dtype)
    raw = torch.tensor([-1e4, 0.0, 1e4], dtype=dtype)
    features = likelihood.features(torch.cat([means, raw]).unsqueeze(0))
    expected = torch.tensor([[0.25, 0.25 + math.log(2.0), 1e4 + 0.25]], dtype=dtype)
    torch.testing.assert_close(features.scale, expected)


@pytest.mark.parametrize("name", ["bernoulli", "gaussian"])
def test_the_joint_distribution_has_the_same_density(name: str) -> None:
    likelihood = make_likelihood(name)
    output = torch.randn(4, 5 * likelihood.outputs_per_feature, dtype=torch.float64)
    x = data()
    joint = likelihood.distribution(output)
    assert (joint.batch_shape, joint.event_shape) == ((4,), (5,))
    torch.testing.assert_close(joint.log_prob(x), likelihood.log_prob(output, x))


def test_a_constant_feature_stays_finite_in_training() -> None:
    """Without the floor its scale would go to zero and its density to infinity."""
    model, x = small_vae(torch.float32, likelihood="gaussian"), data(64, torch.float32)
    x[:, 0] = 0.5
    model.fit_standardization(x)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.03)
    floor = model.min_scale * model.standardization.scale[0].item()
    highest = -math.log(floor) - 0.5 * math.log(2 * math.pi)
    for _ in range(400):
        optimizer.zero_grad()
        loss = -model.elbo(x).total.mean()
        loss.backward()
        assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
        optimizer.step()
    distribution = model.likelihood(model.encode(x)[0]).base_dist
    density = distribution.log_prob(x)[:, 0]
    assert math.isfinite(loss.item())
    assert (density <= highest + 1e-5).all()
    assert density.mean() > highest - 1.0, "the feature is not learnt, so the floor is not reached"


@pytest.mark.parametrize("min_scale", [0.0, -0.1, math.nan, math.inf])
def test_no_floor_is_refused(min_scale: float) -> None:
    with pytest.raises(ValueError, match="min_scale must be a positive number"):
        GaussianLikelihood(min_scale)


def test_unknown_likelihoods_are_refused() -> None:
    with pytest.raises(ValueError, match="'bernoulli' or 'gaussian', got 'poisson'"):
        make_likelihood("poisson")


@pytest.mark.parametrize("value", [-0.01, 1.01, 255.0, math.inf])
def test_bernoulli_data_outside_the_unit_interval_are_refused(value: float) -> None:
    model, x = small_vae(), data()
    x[2, 3] = value
    for method in (model.elbo, model.check_input, model.log_likelihood, model):
        with pytest.raises(ValueError, match=r"takes \[0, 1\]; scale x .*likelihood='gaussian'"):
            method(x)
    small_vae(likelihood="gaussian").elbo(x)


def test_the_ends_of_the_unit_interval_are_in_it() -> None:
    small_vae().elbo(torch.tensor([[0.0, 1.0, 0.5, 0.0, 1.0]]).double())
