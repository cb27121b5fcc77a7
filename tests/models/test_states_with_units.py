# SPDX-License-Identifier: MIT
"""Units that come and go with a model's state: saved, loaded, written by hand, or not there."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from pyvae.models import GMVAE, VAE, VampPrior, from_pretrained
from pyvae.storage.tensors import digest
from tests.models.builders import model_of, seeded, table


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


def test_pseudo_inputs_lose_no_digits_by_a_save(tmp_path: Path) -> None:
    x = 1e12 + table()
    model = VAE(5, 2, hidden=(8,), likelihood="gaussian", prior=VampPrior(x[:4]))
    with pytest.raises(ValueError, match=r"call model.fit_standardization\(x\).* before you save"):
        model.save_pretrained(tmp_path / "model")
    assert not (tmp_path / "model").exists()
    model.fit_standardization(x).save_pretrained(tmp_path / "model")
    for expected, found in zip(model.prior, from_pretrained(tmp_path / "model").prior, strict=True):
        assert torch.equal(expected, found)


@pytest.mark.parametrize("way", ["average", "by hand", "functional", "empty", "vmap"])
def test_units_that_come_by_another_way_are_known(way: str) -> None:
    """float32 has no digits for these data, so what is decoded must be float64."""
    model, w = model_of(1e9 + table()), torch.zeros(3, 2)
    other: Any = GMVAE(5, 2, hidden=(8,), likelihood="gaussian")
    state = model.state_dict()
    if way == "average":
        average = torch.optim.swa_utils.AveragedModel(other, use_buffers=True)
        average.update_parameters(model)
        other = average.module
    elif way == "by hand":
        for mine, value in zip(other.state_dict().values(), state.values(), strict=True):
            mine.copy_(value)
    elif way == "empty":
        other = copy.deepcopy(model_of(table())).to_empty(device="cpu")
        other.load_state_dict(state)
    if way in ("functional", "vmap"):
        decoding = Decoding(other)
        tensors = {f"model.{name}": value for name, value in state.items()}

        def decoded(tensors: dict[str, Tensor]) -> Tensor:
            return torch.func.functional_call(decoding, tensors, (w,))

        if way == "vmap":
            tensors = {name: torch.stack([value] * 2) for name, value in tensors.items()}
        found = (torch.vmap(decoded) if way == "vmap" else decoded)(tensors)
        found = found[0] if way == "vmap" else found
        with pytest.raises(ValueError, match=r"call model.fit_standardization"):
            other.decode(w)
    else:
        found = other.decode(w)
    assert found.dtype == torch.float64
    torch.testing.assert_close(found, model.decode(w).detach(), rtol=1e-15, atol=1e-6)


class Decoding(nn.Module):
    def __init__(self, model: GMVAE) -> None:
        super().__init__()
        self.model = model

    def forward(self, w: Tensor) -> Tensor:
        return self.model.decode(w)


def test_a_model_saved_whole_by_an_older_version_takes_data_as_they_are() -> None:
    model = VAE(5, 2, hidden=(8,), likelihood="gaussian", standardize=False)
    del model.standardization
    again = copy.deepcopy(model)  # by __setstate__, as unpickling is
    assert not again.standardize
    assert again.elbo(table()).total.isfinite().all()


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
