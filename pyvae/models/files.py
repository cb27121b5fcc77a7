# SPDX-License-Identifier: MIT
"""The files of a saved model: ``config.json`` and ``model.safetensors``.

The header of the weights repeats the config and holds a digest of the tensors, so that a changed
byte and two files of different saves are both seen.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as safetensors_bytes
from torch import Tensor, nn

from pyvae.storage.lock import MODEL, locked
from pyvae.storage.writing import write_atomically

CONFIG_FILE = "config.json"
WEIGHTS_FILE = "model.safetensors"
_FORMAT = "pyvae.model"
_VERSION = 1

Model = TypeVar("Model", bound=nn.Module)


def save(
    model: nn.Module, config: dict[str, Any], own_modules: Iterable[str], folder: Path
) -> None:
    """Write ``model`` into ``folder``, with the constructor's arguments that build it again.

    ``own_modules`` names those that ``config`` cannot say, which :func:`load` has to be given.
    """
    text = json.dumps(
        {
            "format": _FORMAT,
            "version": _VERSION,
            "model": type(model).__name__,
            "config": config,
            "own_modules": list(own_modules),
        },
        indent=2,
        allow_nan=False,
    )
    state = _plain_state(model)
    header = {"config": text, "sha256": _digest(state)}
    folder.mkdir(parents=True, exist_ok=True)
    # Two that save at once would leave the config of one and the weights of the other.
    with locked(folder, MODEL, wait=True):
        write_atomically(folder / CONFIG_FILE, (text + "\n").encode())
        write_atomically(folder / WEIGHTS_FILE, safetensors_bytes(state, metadata=header))


def load(cls: type[Model], folder: Path, own_modules: dict[str, nn.Module | None]) -> Model:
    """Return the ``cls`` that was saved in ``folder``, in evaluation mode."""
    saved = read_config(folder)
    if saved["model"] != cls.__name__:
        raise ValueError(
            f"{folder} holds a {saved['model']}, not a {cls.__name__}; load it with "
            f"{saved['model']}.from_pretrained or pyvae.models.from_pretrained"
        )
    state = _read_weights(folder, saved)
    given = {name: module for name, module in own_modules.items() if module is not None}
    _check_own_modules(folder, set(saved["own_modules"]), set(given))
    # Building draws initial values, which the saved ones replace: leave the user's seed alone.
    with torch.random.fork_rng(devices=[]):
        try:
            model = cls(**saved["config"], **given)
        except (TypeError, ValueError) as error:
            raise ValueError(f"{folder / CONFIG_FILE}: bad config: {error}") from error
    _restore(model, state, folder / WEIGHTS_FILE)
    return model.eval()


def read_config(folder: Path) -> dict[str, Any]:
    """Return the content of ``config.json`` of a saved model, checked for its form."""
    if not folder.is_dir():
        raise FileNotFoundError(
            f"{folder} is {'a file' if folder.exists() else 'not there'}; "
            "pass the folder that save_pretrained wrote"
        )
    path = _existing(folder / CONFIG_FILE)
    saved = _parsed(path.read_bytes(), path)
    if not isinstance(saved, dict) or saved.get("format") != _FORMAT:
        raise ValueError(
            f"{path} does not describe a pyvae model; was it written by another library?"
        )
    if saved.get("version") != _VERSION:
        raise ValueError(
            f"{path} has format version {saved.get('version')}, this pyvae reads {_VERSION}; "
            "install a newer pyvae"
        )
    expected = {"model": str, "config": dict, "own_modules": list}
    for key, kind in expected.items():
        if not isinstance(saved.get(key), kind):
            raise ValueError(f"{path} is damaged: it has no {kind.__name__} {key!r}")
    return saved


def _existing(path: Path) -> Path:
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing; save_pretrained writes it")
    return path


def _parsed(text: str | bytes, path: Path) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise ValueError(f"{path} is damaged: its config is no JSON ({error})") from error


def _plain_state(model: nn.Module) -> dict[str, Tensor]:
    """Return copies on the CPU: the format takes no views, and no tensor under two names."""
    state = model.state_dict()
    for name, value in state.items():
        if not isinstance(value, Tensor):
            raise TypeError(
                f"{name} in the state of the model is a {type(value).__name__}; only tensors "
                "can be saved, so keep such things out of get_extra_state"
            )
    return {
        name: value.detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, value in state.items()
    }


def _digest(state: dict[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for name, value in sorted(state.items()):
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}\n".encode())
        digest.update(value.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _read_weights(folder: Path, saved: dict[str, Any]) -> dict[str, Tensor]:
    path = _existing(folder / WEIGHTS_FILE)
    try:
        with safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise ValueError(f"{path} is damaged or no safetensors file ({error})") from error
    if "config" not in header or "sha256" not in header:
        raise ValueError(f"{path} was not written by save_pretrained of pyvae")
    if header["sha256"] != _digest(state):
        raise ValueError(f"{path} is damaged: its tensors do not match their digest")
    if _parsed(header["config"], path) != saved:
        raise ValueError(
            f"{path} belongs to another save than {CONFIG_FILE} beside it; save the model again, "
            "or change settings on the loaded model instead of in the file"
        )
    return state


def _check_own_modules(folder: Path, saved: set[str], given: set[str]) -> None:
    for name in sorted(saved - given):
        raise ValueError(
            f"{folder} was saved with a module of your own as {name}; pass one of the same "
            f"architecture: from_pretrained(path, {name}=...)"
        )
    for name in sorted(given - saved):
        raise ValueError(f"{folder} was saved with the built-in {name}; leave out {name}=")


def _restore(model: nn.Module, state: dict[str, Tensor], path: Path) -> None:
    """Copy ``state`` into ``model``, tensor by tensor in the dtype that was saved."""
    for name, value in itertools.chain(model.named_parameters(), model.named_buffers()):
        if name in state:
            value.data = value.data.to(state[name].dtype)
    try:
        model.load_state_dict(state)
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        raise ValueError(f"the weights of {path} do not fit the modules: {reason}") from error
