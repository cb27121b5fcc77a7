# SPDX-License-Identifier: MIT
"""Model folders whose two files agree on what no model is: refused by name, without the memory."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from pyvae.errors import UserError
from pyvae.models import GMVAE, VAE, VampPrior, from_pretrained
from pyvae.storage.tensors import digest
from tests.memory import peak_growth


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    GMVAE(5, 2, num_components=4, hidden=(8,), learn_weights=True).save_pretrained(tmp_path / "m")
    return tmp_path / "m"


def rewrite(
    folder: Path,
    config: dict[str, Any] | None = None,
    drop: Iterable[str] = (),
    **tensors: Tensor,
) -> None:
    """Change both files alike, with the digest that belongs to them."""
    path = folder / "model.safetensors"
    with safe_open(path, framework="pt") as file:
        state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        saved = json.loads(file.metadata()["config"])
    saved["config"].update(config or {})
    for name in drop:
        del saved["config"][name]
    state = {**state, **tensors}
    text = json.dumps(saved)
    (folder / "config.json").write_text(text)
    save_file(state, path, metadata={"config": text, "sha256": digest(state)})


def is_refused(folder: Path, words: str) -> None:
    def load() -> None:
        with pytest.raises(UserError, match=words) as caught:
            from_pretrained(folder)
        assert isinstance(caught.value, ValueError)
        assert str(folder) in str(caught.value)

    assert peak_growth(load) < 128 << 20


@pytest.mark.parametrize(
    "config",
    [
        {"input_dim": 10**9},
        {"input_dim": 10**6, "hidden": [10**6]},
        {"latent_dim": 2**40},
        {"num_components": 10**12},
        {"num_components": 10**30},
        {"hidden": [2**62, 2**62]},
        {"hidden": [8] * 1000},
    ],
)
def test_huge_dimensions_take_no_memory(folder: Path, config: dict[str, Any]) -> None:
    rewrite(folder, config)
    is_refused(folder, r"do not fit the modules|config.json: bad config")


@pytest.mark.parametrize(
    "config",
    [
        {"input_dim": 10**9, "image_shape": [1, 10**9, 1]},
        {"input_dim": 2**30, "image_shape": [2**10, 2**10, 2**10]},
        {"image_shape": [2**62, 2**62, 2**62]},
        {"channels": [2**31 - 1] * 4},
        {"channels": [4] * 300},
        {"channels": [2**62]},
        {"image_shape": None},
        {"image_shape": [1, 1, 5, 6]},
        {"image_shape": "1x5x6"},
        {"image_shape": [1, 6, 5], "channels": [4, 8, 8]},
        {"encoder": "resnet"},
        {"encoder": "mlp"},
        {"decoder": None},
        {"decoder": ["conv"]},
        {"channels": [0]},
    ],
)
def test_convolutional_networks(tmp_path: Path, config: dict[str, Any]) -> None:
    options: Any = {"encoder": "conv", "decoder": "conv", "image_shape": (1, 5, 6)}
    VAE(30, 2, hidden=(8,), channels=(4, 8), **options).save_pretrained(tmp_path / "m")
    rewrite(tmp_path / "m", config)
    is_refused(tmp_path / "m", r"do not fit the modules|config.json: bad config")


def test_a_huge_prior_takes_no_memory(tmp_path: Path) -> None:
    VAE(5, 2, hidden=(8,), prior=VampPrior(torch.rand(3, 5))).save_pretrained(tmp_path / "m")
    assert isinstance(from_pretrained(tmp_path / "m"), VAE)
    rewrite(tmp_path / "m", {"prior": {"pseudo_inputs": [10**12, 5], "learn_weights": False}})
    is_refused(tmp_path / "m", "do not fit the modules")


@pytest.mark.parametrize(
    "config",
    [{"input_dim": [5]}, {"hidden": {"a": 1}}, {"likelihood": []}, {"min_scale": {}}, {"beta": "x"},
     {"encoder": 3}, {"unknown": 1}, {"min_scale": None}, {"covariance": None}, {"self": 1}],
)  # fmt: skip
def test_settings_of_other_types(folder: Path, config: dict[str, Any]) -> None:
    rewrite(folder, config)
    is_refused(folder, r"config.json: bad config")


def test_a_config_that_is_nested_deeply_or_long(folder: Path) -> None:
    for text, words in (("[" * 60_000, "nested too deeply|no JSON"), (" " * 10**6, "goes beyond")):
        (folder / "config.json").write_text(text)
        is_refused(folder, f"config.json .*({words})")


@pytest.mark.parametrize(
    "dtype",
    [torch.int64, torch.int8, torch.uint8, torch.bool, torch.complex64, torch.float8_e4m3fn,
     torch.float8_e5m2, torch.uint16],
    ids=str,
)  # fmt: skip
@pytest.mark.parametrize("name", ["component_means", "weight_logits"])
def test_weights_of_types_that_no_model_has(folder: Path, name: str, dtype: torch.dtype) -> None:
    shape = (4, 2) if name == "component_means" else (4,)
    rewrite(folder, **{name: torch.zeros(shape).to(dtype)})
    is_refused(folder, rf"model.safetensors do not fit the modules: {name} holds ")


def test_weights_of_several_types(folder: Path) -> None:
    rewrite(folder, component_means=torch.zeros(4, 2, dtype=torch.float64))
    is_refused(folder, r"the tensors mix types, .*float64 \(component_means\)")


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
def test_numbers_that_no_model_has(folder: Path, value: float) -> None:
    means = torch.zeros(4, 2)
    means[1, 1] = value
    rewrite(folder, component_means=means)
    is_refused(folder, r"model.safetensors holds no trained model: component_means holds 1 numbers")


def test_weights_of_zero_are_some_and_not_all(folder: Path) -> None:
    rewrite(folder, weight_logits=torch.tensor([0.0, -torch.inf, 0.0, -torch.inf]))
    model = from_pretrained(folder)
    assert isinstance(model, GMVAE)
    assert torch.isfinite(model.elbo(torch.rand(3, 5)).total).all()
    rewrite(folder, weight_logits=torch.full((4,), -torch.inf))
    is_refused(folder, "weight_logits gives no component any weight")


def test_infinite_buffers_of_modules_of_ones_own_are_theirs(tmp_path: Path) -> None:
    class Masked(nn.Module):
        """A network with a mask."""

        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(5, 4)
            self.register_buffer("mask", torch.tensor([0.0, -torch.inf]))
            self.register_buffer("count", torch.tensor(3))

        def forward(self, x: Tensor) -> Tensor:
            return self.linear(x)

    VAE(5, 2, encoder=Masked()).save_pretrained(tmp_path / "m")
    loaded = VAE.from_pretrained(tmp_path / "m", encoder=Masked())
    assert torch.equal(loaded.encoder.mask, torch.tensor([0.0, -torch.inf]))


def test_a_class_of_ones_own_that_looks_at_its_numbers(tmp_path: Path) -> None:
    """It cannot be built without memory, and is built with it."""

    class Looking(GMVAE):
        """A model that needs real numbers to be built."""

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self.start = float(self.component_means.detach().sum())

    Looking(5, 2, num_components=4).save_pretrained(tmp_path / "m")
    assert isinstance(Looking.from_pretrained(tmp_path / "m"), Looking)
