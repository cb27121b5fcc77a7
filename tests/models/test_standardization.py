# SPDX-License-Identifier: MIT
"""Standard units inside, the user's outside: whatever the units, a model and its bounds are one."""

from __future__ import annotations

import copy
import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from pyvae.inference import importance_weighted_bound, sleep_loss, wake_loss
from pyvae.models import GMVAE, VAE, VampPrior, from_pretrained
from pyvae.models.standardization import MOST_SCALES, measure
from pyvae.models.weights import digest
from tests.models.builders import seeded

UNITS: dict[str, tuple[float, float]] = {
    "large": (0.0, 1e6), "small": (0.0, 1e-6), "far": (1e9, 1.0), "negative": (-7e4, 3e-3),
    "huge": (0.0, 1e30), "tiny": (0.0, 1e-90),
}  # fmt: skip


def table(n: int = 60) -> Tensor:
    x = torch.randn(n, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return x * torch.tensor([1.0, 30.0, 0.2, 5.0, 1.0]) + torch.tensor([0.0, 9.0, 1.0, -3.0, 2.0])


def model_of(x: Tensor, make: type[Any] = GMVAE, **options: Any) -> Any:
    torch.manual_seed(1)
    model = make(5, 2, hidden=(8,), likelihood="gaussian", **options)
    return model.fit_standardization(x)


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
        wide = unit in ("far", "negative", "tiny")
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


def older_folder(model: nn.Module, folder: Path) -> None:
    """Save as it was done before there was the option."""
    model.save_pretrained(folder)  # type: ignore[operator]
    with safe_open(folder / "model.safetensors", framework="pt") as file:
        state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    saved = json.loads((folder / "config.json").read_text())
    del saved["config"]["standardize"]
    text = json.dumps(saved)
    (folder / "config.json").write_text(text)
    header = {"config": text, "sha256": digest(state)}
    save_file(state, folder / "model.safetensors", metadata=header)


def test_saved_with_the_model_and_older_models_are_without(tmp_path: Path) -> None:
    x = 1e5 * table()
    model = model_of(x)
    model.save_pretrained(tmp_path / "new")
    loaded = from_pretrained(tmp_path / "new")
    assert torch.equal(
        loaded.elbo(x, generator=seeded()).total, model.elbo(x, generator=seeded()).total
    )
    fresh = GMVAE(5, 2, hidden=(8,), likelihood="gaussian")
    fresh.load_state_dict(model.state_dict())
    assert torch.equal(fresh.encode(x)[0], model.encode(x)[0])

    plain = GMVAE(5, 2, hidden=(8,), likelihood="gaussian", standardize=False)
    older_folder(plain, tmp_path / "old")
    loaded = from_pretrained(tmp_path / "old")
    fresh = GMVAE(5, 2, hidden=(8,), likelihood="gaussian")
    fresh.load_state_dict(plain.state_dict())
    for model in (loaded, fresh):
        assert not model.standardize
        assert torch.equal(model.encode(table())[0], plain.encode(table())[0])


@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize(
    ("make", "options"),
    [(GMVAE, {"learn_weights": True}), (VAE, {"prior": VampPrior(table(3), learn_weights=True)})],
)
def test_parameters_alone_leave_the_units(make: Any, options: Any, strict: bool) -> None:
    """An average of the parameters, say, has no buffers, and is of no model without units."""
    x = table()
    model = model_of(x, make, **options)
    before = model.encode(x)[0]
    parameters = {name: value.detach().clone() for name, value in model.named_parameters()}
    plain = model_of(x, make, standardize=False, **options).state_dict()
    for state in (parameters, plain):
        if strict:
            with pytest.raises(RuntimeError, match=r"Missing key.*standardization.location"):
                model.load_state_dict(state)
        else:
            missing = model.load_state_dict(state, strict=False).missing_keys
            assert missing == ["standardization.location", "standardization.scale"]
        if state is parameters:
            assert torch.equal(model.encode(x)[0], before)
        assert model.standardize
    with pytest.raises(RuntimeError, match=r"Missing key.*standardization.location"):
        make(5, 2, hidden=(8,), likelihood="gaussian", **options).load_state_dict(parameters)


def test_a_refused_state_leaves_the_units() -> None:
    model = GMVAE(5, 2, hidden=(8,), likelihood="gaussian")
    for other in ({}, GMVAE(5, 3, likelihood="gaussian", standardize=False).state_dict()):
        with pytest.raises(RuntimeError, match=r"Missing key|size mismatch"):
            model.load_state_dict(other)
        assert model.standardize


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("scale", torch.tensor([1.0, 1, 0, 1, 1], dtype=torch.float64), "not above zero"),
        (
            "scale",
            torch.full((5,), torch.inf, dtype=torch.float64),
            "5 numbers that are NaN or inf",
        ),
        ("location", torch.zeros(5), "holds float32; expected float64"),
    ],
)
def test_folders_with_other_numbers_are_refused(
    tmp_path: Path, name: str, value: Tensor, words: str
) -> None:
    model_of(table()).save_pretrained(tmp_path)
    path = tmp_path / "model.safetensors"
    with safe_open(path, framework="pt") as file:
        state = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        header = file.metadata()
    state[f"standardization.{name}"] = value
    save_file(state, path, metadata={**header, "sha256": digest(state)})
    with pytest.raises(ValueError, match=words):
        from_pretrained(tmp_path)
