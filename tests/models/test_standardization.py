# SPDX-License-Identifier: MIT
"""Standard units inside, the user's outside: whatever the units, a model and its bounds are one."""

from __future__ import annotations

import copy
import math
from typing import Any

import numpy as np
import pytest
import torch

from pyvae.inference import importance_weighted_bound, sleep_loss, wake_loss
from pyvae.models import VAE, VampPrior
from pyvae.models.standardization import MOST_SCALES, measure
from tests.models.builders import model_of, seeded, table

UNITS: dict[str, tuple[float, float]] = {
    "large": (0.0, 1e6), "small": (0.0, 1e-6), "far": (1e9, 1.0), "negative": (-7e4, 3e-3),
    "huge": (0.0, 1e30), "tiny": (0.0, 1e-90),
}  # fmt: skip


def close(actual: Any, expected: Any) -> None:
    torch.testing.assert_close(actual, expected, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("unit", UNITS)
def test_every_log_density_is_that_of_the_users_data(unit: str) -> None:
    """Of data in other units it is less by the logarithm of the unit, a feature."""
    (offset, scale), x = UNITS[unit], table()
    other = x * scale + offset
    models = model_of(x), model_of(other)
    shift = 5 * math.log(scale)
    w = torch.randn(3, len(x), 2)
    for figure in (
        lambda m, x: m.elbo(x, generator=seeded()).total,
        lambda m, x: m.pretraining_elbo(x, generator=seeded()).reconstruction,
        lambda m, x: m.log_likelihood(x, num_samples=4, generator=seeded()),
        lambda m, x: m.log_joint(x, w),
        lambda m, x: importance_weighted_bound(m, x, 3, seeded()),
    ):
        plain, moved = (figure(m, data) for m, data in zip(models, (x, other), strict=True))
        assert plain.dtype == moved.dtype == torch.float32
        close(moved, plain - shift)
    for figure in (
        lambda m, x: m.encode(x)[0],
        lambda m, x: m.predict_proba(x),
        lambda m, x: wake_loss(m, x, 3, seeded()),
    ):
        close(figure(models[1], other), figure(models[0], x))
    for decoded in (
        lambda m, x: m.decode(w[0]),
        lambda m, x: m.sample(9, generator=seeded()),
        lambda m, x: m.reconstruct(x),
    ):
        plain, moved = (decoded(m, data) for m, data in zip(models, (x, other), strict=True))
        wide = unit in ("far", "negative", "huge", "tiny")
        assert moved.dtype == (torch.float64 if wide else torch.float32)
        close((moved.double() - offset) / scale, plain.double())
    # What a model dreams comes back to it in full: float32 has no digits for a day in seconds.
    losses = [(torch.manual_seed(0), sleep_loss(m.double(), 2000).mean())[1] for m in models]
    torch.testing.assert_close(*losses)


def test_likelihood_and_log_joint_agree() -> None:
    x = table()
    model = model_of(1e4 * x).double()
    w = torch.randn(len(x), 2, dtype=torch.float64)
    log_prior = model.log_joint(1e4 * x, w) - model.likelihood(w).log_prob(1e4 * x)
    prior = torch.distributions.Normal(
        model.component_means[:, None], (0.5 * model.component_logvars[:, None]).exp()
    )
    log_k = model.log_weights[:, None] + prior.log_prob(w).sum(-1)
    torch.testing.assert_close(log_prior, log_k.logsumexp(0))


def test_location_and_scale_are_the_datas() -> None:
    x = table(301)
    whole = measure([x], 5)
    torch.testing.assert_close(whole[0], x.mean(0))
    torch.testing.assert_close(whole[1], x.std(0, unbiased=False))
    far = 1.7e9 + 1e-2 * x
    close(measure([far], 5)[1].float(), (1e-2 * x.std(0, unbiased=False)).float())
    parts = measure(((part, "a label") for part in x.split(7)), 5)
    torch.testing.assert_close(parts, whole)
    moments = model_of(x.float()).standardization
    torch.testing.assert_close(moments.scale, whole[1], rtol=1e-6, atol=0)


def test_features_that_hardly_vary() -> None:
    """A constant has no unit of its own; a rare value is no more than so many scales away."""
    x = table(5000)
    x[:, 0], x[:, 1] = 0.1, 0.0
    x[17, 1] = 1.0
    location, scale = measure([x], 5)
    standard = (x - location) / scale
    assert scale[0] == scale[1:].median()
    assert location[0] == 0.1
    assert standard.abs().max() <= MOST_SCALES + 1e-9
    assert measure([torch.full((3, 5), 7.0)], 5)[1].tolist() == [1.0] * 5
    assert model_of(x).elbo(x).total.isfinite().all()


def test_images_have_one_range_and_sequences_of_mixed_units_have_not() -> None:
    images = torch.rand(40, 1, 4, 4, dtype=torch.float64)
    images[:, :, 0] = 0.0
    images[0, 0, 1, :2] = torch.tensor([0.0, 1.0])
    images[:, :, 3, 3] *= 1e-3
    for values, least, span in ((images, 0.0, 1.0), (255 * images - 9, -9.0, 255.0)):
        location, scale = measure([values], 16)
        assert location.tolist() == [least] * 16
        assert scale.tolist() == [span] * 16
    flat = measure([images.flatten(1)], 16)[1]
    assert len(flat.unique()) > 8
    torch.testing.assert_close(measure([images], 16, image=False)[1], flat)
    mixed = torch.randn(40, 8, 2, dtype=torch.float64) * torch.tensor([1.0, 1e5])
    torch.testing.assert_close(
        measure([mixed], 16)[1], mixed.flatten(1).std(0, unbiased=False), rtol=1e-12, atol=0
    )


def test_a_model_that_does_not_know_its_data_says_what_to_call() -> None:
    model = VAE(5, 2, likelihood="gaussian", prior=VampPrior(table(3)))
    for call in (
        model.elbo, model.encode, model.log_likelihood, model.reconstruct, model.check_input,
        lambda _: model.sample(2), lambda _: model.decode(torch.zeros(1, 2)),
        lambda _: model.sample_prior(2),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=r"call model.fit_standardization\(x\).*or build .*st"):
            call(table())
    for bad, message in (
        (table().fill_(torch.nan), r"feature 0 \(counted from 0\) that are NaN"),
        (table()[:, :4], "with 5 features"),
        (table()[:0], "holds no examples"),
        ([table().where(table() < 9, torch.inf)], "feature 1"),
    ):
        with pytest.raises(ValueError, match=message):
            model.fit_standardization(bad)
    with pytest.raises(TypeError, match="must be a floating tensor"):
        model.fit_standardization(torch.ones(3, 5, dtype=torch.long))
    with pytest.raises(ValueError, match="scale must be above zero, got 0"):
        model.set_standardization(torch.zeros(5), torch.zeros(5))
    with pytest.raises(ValueError, match="does not standardise"):
        VAE(5, 2).set_standardization(torch.zeros(5), torch.ones(5))


@pytest.mark.parametrize("values", ["list", "array", "integers"])
def test_location_and_scale_in_any_container(values: str) -> None:
    location, scale = [1, 2, 3, 4, 5], [2, 2, 2, 2, 1]
    given: list[Any] = [location, scale]
    if values != "list":
        make = np.array if values == "array" else torch.tensor
        given = [make(numbers) for numbers in given]
    model = VAE(5, 2, likelihood="gaussian")
    model.set_standardization(*given)
    assert model.standardization is not None
    assert model.standardization.location.tolist() == location
    for bad in ("a", None, [None] * 5):
        with pytest.raises(TypeError, match="scale must be a tensor of one number for each"):
            model.set_standardization(location, bad)  # type: ignore[arg-type]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_a_feature_of_rounding_is_constant(dtype: torch.dtype) -> None:
    u = torch.rand(200, generator=seeded()).to(dtype)
    x = torch.stack([(u + 0.1) - u, 3 * u, u], 1)
    scale = measure([x], 3)[1]
    assert scale[0] == scale[1:].median()
    assert scale[1] > 2 * scale[2]


@pytest.mark.parametrize("change", ["float", "half"])
@pytest.mark.parametrize("unit", [1e-30, 1e-25, 1e-4, 1.0, 1e3, 1e25])
def test_the_likelihoods_figures_are_finite(unit: float, change: str) -> None:
    x, w = unit * table(), torch.zeros(3, 2)
    model = getattr(model_of(x), change)()
    found = model.likelihood(w.to(model.like))
    exact = model.double().likelihood(w.double())
    torch.testing.assert_close(
        found.variance.double() / exact.variance, torch.ones(3, 5).double(), rtol=0.1, atol=0
    )
    for at in (x[0], x[0] + 50 * unit):
        torch.testing.assert_close(
            found.log_prob(at.to(found.mean)).double(), exact.log_prob(at), rtol=0.1, atol=1
        )


def test_bounds_in_half_precision_have_room_for_the_units() -> None:
    x = 1e-60 * torch.randn(20, 500, dtype=torch.float64, generator=seeded())
    model = VAE(500, 2, hidden=(4,), likelihood="gaussian").fit_standardization(x)
    exact = model.elbo(x).reconstruction
    torch.testing.assert_close(model.half().elbo(x).reconstruction, exact, rtol=1e-2, atol=0)


def test_a_prior_serves_two_models() -> None:
    x = 1e4 * table()
    prior = VampPrior(x[:4])
    one, two = (model_of(x, VAE, prior=prior) for _ in range(2))
    close(two.prior, one.prior)
    assert torch.equal(prior.pseudo_inputs, x[:4])


def test_only_the_gaussian_likelihood_standardises() -> None:
    for model in (VAE(5, 2), VAE(5, 2, likelihood="gaussian", standardize=False)):
        assert model.standardization is None
        assert model.config["standardize"] is False
        before = model.state_dict().keys()
        assert model.fit_standardization(table()) is model
        assert model.state_dict().keys() == before
        assert model.sample(3).shape == (3, 5)


@pytest.mark.parametrize("change", ["half", "bfloat16", "float", "double"])
def test_its_numbers_keep_their_digits(change: str) -> None:
    x = 1.7e9 + table()
    model = model_of(x)
    kept = copy.deepcopy(model.standardization)
    getattr(model, change)()
    assert model.like.dtype == getattr(torch, change)
    for name, value in kept.named_buffers():
        assert value.dtype == torch.float64
        assert torch.equal(value, getattr(model.standardization, name))
    if change in ("float", "double"):
        assert model.reconstruct(x).dtype == torch.float64
        assert model.reconstruct(x.float()).isfinite().all()


def test_pseudo_inputs_are_in_the_users_units_until_these_are_known() -> None:
    x = table()
    priors = []
    for offset, scale in ((0.0, 1.0), (1e9, 1e-2)):
        model = model_of(scale * x + offset, VAE, prior=VampPrior(scale * x[:4] + offset))
        mean, logvar = model.encode(scale * x[:4] + offset)
        close(model.prior[1:], (mean, logvar))
        priors.append(model.prior)
        again = [part.clone() for part in model.prior]
        model.fit_standardization(scale * x + offset)
        close(model.prior, tuple(again))
    close(priors[1], priors[0])
