# SPDX-License-Identifier: MIT
"""Saving and loading: exact, atomic, and clear about what is wrong with a folder."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load as tensors_in
from safetensors.torch import save_file
from torch import nn

from pyvae.models import GMVAE, MLP, VAE, VampPrior, from_pretrained
from tests.models.builders import (
    OPTIONS,
    ImageDecoder,
    TupleEncoder,
    data,
    option_name,
    seeded,
    small_gmvae,
    small_vae,
)


def assert_same(loaded: nn.Module, saved: nn.Module) -> None:
    """Compare class, config and every bit of the state."""
    assert type(loaded) is type(saved)
    assert loaded.config == saved.config
    state = saved.state_dict()
    assert loaded.state_dict().keys() == state.keys()
    for name, value in loaded.state_dict().items():
        assert value.dtype == state[name].dtype, name
        assert torch.equal(value, state[name]), name


def own_model(latent_dim: int = 2) -> GMVAE:
    encoder, decoder = TupleEncoder(latent_dim), ImageDecoder(1, latent_dim)
    return GMVAE(16, latent_dim, num_components=4, encoder=encoder, decoder=decoder)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a saved GMVAE."""
    small_gmvae(torch.float32).save_pretrained(tmp_path / "model")
    return tmp_path / "model"


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16], ids=str)
@pytest.mark.parametrize("options", OPTIONS[::3], ids=option_name)
def test_round_trip(options: dict[str, Any], dtype: torch.dtype, tmp_path: Path) -> None:
    saved = small_gmvae(dtype, beta=2.5, num_samples=3, min_scale=0.125, **options)
    saved.save_pretrained(tmp_path)
    for load in (GMVAE.from_pretrained, from_pretrained):
        loaded = load(tmp_path)
        assert_same(loaded, saved)
        assert not loaded.training
    if dtype != torch.bfloat16:
        x = data(dtype=dtype)
        for a, b in zip(
            loaded.elbo(x, generator=seeded()), saved.elbo(x, generator=seeded()), strict=True
        ):
            assert torch.equal(a, b)


def test_round_trip_of_the_vae_and_of_a_changed_setting(tmp_path: Path) -> None:
    saved = small_vae(likelihood="gaussian")
    saved.beta = 3.0
    saved.save_pretrained(str(tmp_path / "new" / "folder"))
    loaded = from_pretrained(str(tmp_path / "new" / "folder"))
    assert_same(loaded, saved)
    assert loaded.beta == 3.0


def test_round_trip_with_modules_of_ones_own(tmp_path: Path) -> None:
    saved = own_model()
    x = torch.rand(9, 1, 4, 4)
    saved.elbo(x)  # moves the running mean
    assert saved.decoder.normalisation.num_batches_tracked.item() == 1
    saved.save_pretrained(tmp_path)
    loaded = GMVAE.from_pretrained(tmp_path, encoder=TupleEncoder(), decoder=ImageDecoder())
    assert_same(loaded, saved)
    assert loaded.decoder.first.weight is loaded.decoder.second.weight
    saved.eval()
    assert torch.equal(loaded.reconstruct(x), saved.reconstruct(x))


def test_a_class_of_ones_own(tmp_path: Path) -> None:
    class Mine(GMVAE):
        """A model that adds nothing."""

    Mine(5, 2, num_components=3).save_pretrained(tmp_path)
    assert type(Mine.from_pretrained(tmp_path)) is Mine
    with pytest.raises(ValueError, match=r"holds a Mine, .* load it with Mine.from_pretrained"):
        from_pretrained(tmp_path)


def test_loading_leaves_the_seed_alone(folder: Path) -> None:
    state = torch.get_rng_state()
    from_pretrained(folder)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("missing", ["encoder", "decoder"])
def test_modules_of_ones_own_must_be_passed(missing: str, tmp_path: Path) -> None:
    own_model().save_pretrained(tmp_path)
    modules = {"encoder": TupleEncoder(), "decoder": ImageDecoder()}
    del modules[missing]
    message = rf"saved with a module of your own as {missing}; .* from_pretrained\(path, {missing}="
    with pytest.raises(ValueError, match=message):
        from_pretrained(tmp_path, **modules)


def test_modules_where_none_belong(folder: Path) -> None:
    with pytest.raises(ValueError, match=r"saved with the built-in encoder; leave out encoder="):
        from_pretrained(folder, encoder=MLP(5, (8,), 4))


def test_modules_of_another_architecture(tmp_path: Path) -> None:
    own_model().save_pretrained(tmp_path)
    with pytest.raises(
        ValueError, match=r"model.safetensors do not fit the modules.*size mismatch"
    ):
        from_pretrained(tmp_path, encoder=TupleEncoder(3), decoder=ImageDecoder())
    with pytest.raises(ValueError, match=r"do not fit the modules.*Missing key"):
        from_pretrained(tmp_path, encoder=MLP(16, (), 4), decoder=ImageDecoder())


def test_another_class(folder: Path) -> None:
    with pytest.raises(ValueError, match=r"holds a GMVAE, not a VAE; load it with GMVAE.from_pre"):
        VAE.from_pretrained(folder)


def test_the_folder_of_a_run(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its model is in it; a model that was saved beside it comes first."""
    (folder.parent / "run.json").write_text("{}")
    expected = from_pretrained(folder).config
    assert from_pretrained(folder.parent).config == expected
    assert GMVAE.from_pretrained(str(folder.parent)).config == expected
    monkeypatch.setenv("HOME", str(folder.parent.parent))
    assert from_pretrained(f"~/{folder.parent.name}").config == expected
    with pytest.raises(ValueError, match="holds a GMVAE, not a VAE"):
        VAE.from_pretrained(folder.parent)
    VAE(5, 2, hidden=(4,)).save_pretrained(folder.parent)
    assert isinstance(from_pretrained(folder.parent), VAE)


@pytest.mark.parametrize("name", ["run.json", "last.ckpt"])
def test_a_run_that_has_not_come_to_its_end(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text("{}")
    for load in (from_pretrained, GMVAE.from_pretrained):
        with pytest.raises(FileNotFoundError, match=r"not come to its end.* --resume` goes on"):
            load(tmp_path)
    (tmp_path / "model").mkdir()
    with pytest.raises(FileNotFoundError, match=r"model/config.json is missing"):
        from_pretrained(tmp_path)


def test_missing_files(folder: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"nowhere is not there; pass the folder"):
        from_pretrained(folder / "nowhere")
    with pytest.raises(FileNotFoundError, match=r"config.json is a file; pass the folder"):
        from_pretrained(folder / "config.json")
    for name in ("model.safetensors", "config.json"):
        (folder / name).unlink()
        with pytest.raises(FileNotFoundError, match=rf"{name} is missing; save_pretrained writes"):
            from_pretrained(folder)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_truncated_files(name: str, folder: Path) -> None:
    content = (folder / name).read_bytes()
    for length in {0, 1, 7, 8, 100, len(content) // 2, len(content) - 3}:
        (folder / name).write_bytes(content[:length])
        with pytest.raises(ValueError, match=rf"{name} is damaged"):
            from_pretrained(folder)


def test_any_changed_byte_of_the_weights_is_seen(folder: Path) -> None:
    path = folder / "model.safetensors"
    content = path.read_bytes()
    for position in range(0, len(content), 41):
        changed = bytearray(content)
        changed[position] ^= 4
        path.write_bytes(changed)
        with pytest.raises(ValueError, match=r"model.safetensors"):
            from_pretrained(folder)


def test_any_changed_letter_of_the_config_is_seen(folder: Path) -> None:
    path = folder / "config.json"
    content = path.read_bytes()
    meaning = json.loads(content)
    for position in range(0, len(content), 5):
        changed = bytearray(content)
        changed[position] ^= 1
        path.write_bytes(changed)
        try:
            harmless = json.loads(bytes(changed)) == meaning
        except ValueError:
            harmless = False
        if not harmless:
            with pytest.raises(ValueError, match=rf"{folder}"):
                from_pretrained(folder)


FOREIGN_CONFIGS: dict[str, Any] = {
    "does not describe a pyvae model": {"model_type": "bert", "hidden_size": 768},
    "does not describe a pyvae model; was it": [1, 2],
    "has format version 2, this pyvae reads 1; install a newer": {
        "format": "pyvae.model",
        "version": 2,
    },
    "is damaged: it has no dict 'config'": {
        "format": "pyvae.model",
        "version": 1,
        "model": "GMVAE",
    },
}


@pytest.mark.parametrize("message", FOREIGN_CONFIGS)
def test_foreign_configs(message: str, folder: Path) -> None:
    (folder / "config.json").write_text(json.dumps(FOREIGN_CONFIGS[message]))
    with pytest.raises(ValueError, match=f"config.json {message}"):
        from_pretrained(folder)


def test_foreign_weights(folder: Path) -> None:
    save_file({"weight": torch.zeros(3)}, folder / "model.safetensors")
    with pytest.raises(ValueError, match=r"was not written by save_pretrained of pyvae"):
        from_pretrained(folder)


def test_files_of_two_saves(folder: Path, tmp_path: Path) -> None:
    small_gmvae(torch.float32, beta=2.0).save_pretrained(tmp_path / "other")
    shutil.copy(tmp_path / "other" / "config.json", folder)
    with pytest.raises(ValueError, match=r"belongs to another save than config.json beside it"):
        from_pretrained(folder)


def test_settings_of_a_later_version(folder: Path) -> None:
    """A config that both files agree on and the constructor does not know."""

    class Later(GMVAE):
        """A model with a setting more."""

        @property
        def config(self) -> dict[str, Any]:
            return super().config | {"temperature": 2.0}

    Later.__name__ = "GMVAE"
    Later(5, 2).save_pretrained(folder)
    with pytest.raises(ValueError, match=r"config.json: bad config: .*'temperature'"):
        from_pretrained(folder)


def test_a_save_that_fails_leaves_the_old_model(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert before.keys() == {"config.json", "model.safetensors"}

    def full_disk(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(OSError, match="No space left"):
        small_gmvae(torch.float32, beta=9.0).save_pretrained(folder)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_files_have_the_usual_permissions(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "usual").write_text("")
    usual = (tmp_path / "usual").stat().st_mode
    assert {path.stat().st_mode for path in folder.iterdir()} == {usual}


def test_state_that_is_no_tensor(tmp_path: Path) -> None:
    class Remembering(MLP):
        """A module with a word in its state."""

        def get_extra_state(self) -> str:
            return "word"

        def set_extra_state(self, state: str) -> None:
            pass

    model = VAE(5, 2, encoder=Remembering(5, (), 4))
    with pytest.raises(TypeError, match=r"encoder._extra_state .* is a str; only tensors can be"):
        model.save_pretrained(tmp_path)
    assert not list(tmp_path.iterdir())


def test_equal_models_are_equal_bytes(tmp_path: Path) -> None:
    """Whatever the order in which safetensors draws the names in its header, anew at each save."""
    models = [small_gmvae(learn_weights=True), small_vae(prior=VampPrior(data(3)))]
    models.append(VAE(16, 2, encoder=TupleEncoder(), decoder=ImageDecoder()))
    for kind, model in enumerate(models):
        found = set()
        for attempt in range(8):
            folder = tmp_path / f"{kind}-{attempt}"
            model.save_pretrained(folder)
            found.add((folder / "model.safetensors").read_bytes())
        assert len(found) == 1
        (content,) = found
        length = int.from_bytes(content[:8], "little")
        assert length % 8 == 0  # where tensors begin, as safetensors has it
        state = tensors_in(content)
        assert state.keys() == model.state_dict().keys()
        for name, value in model.state_dict().items():
            assert torch.equal(state[name], value), name


def test_a_header_in_any_order_is_read(tmp_path: Path) -> None:
    """Files of earlier versions have it as safetensors wrote it."""
    model = small_vae()
    model.save_pretrained(tmp_path)
    path = tmp_path / "model.safetensors"
    with safe_open(path, framework="pt") as file:
        header = file.metadata()
    backwards = dict(reversed(header.items()))
    for metadata in (header, backwards):
        save_file(model.state_dict(), path, metadata=metadata)
        again = VAE.from_pretrained(tmp_path)
        assert torch.equal(again.encoder.layers[0].weight, model.encoder.layers[0].weight)
