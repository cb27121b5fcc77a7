# SPDX-License-Identifier: MIT
"""The files of a saved model: ``config.json`` and ``model.safetensors``.

The header of the weights repeats the config and holds a digest of the tensors, so that a changed
byte and two files of different saves are both seen.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from pyvae.errors import NotFound, UserError, WrongValue
from pyvae.models.states import UNITS, bad_number, misfit
from pyvae.storage import tensors
from pyvae.storage.form import said
from pyvae.storage.lock import MODEL, locked
from pyvae.storage.reading import parsed_json, read_json
from pyvae.storage.tensors import Declared
from pyvae.storage.writing import write_atomically

CONFIG_FILE = "config.json"
WEIGHTS_FILE = "model.safetensors"
MODEL_FOLDER = "model"  # of a run's folder, beside what tells that it is one
_RUN_FILES = ("run.json", "last.ckpt")
OWN_MODULES = ("encoder", "decoder", "classifier")  # which one may bring
_FORMAT = "pyvae.model"
_VERSION = 1
_MOST_CONFIG = 1 << 16  # bytes; a config has some hundreds

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
    state = tensors.plain(model.state_dict())
    folder.mkdir(parents=True, exist_ok=True)
    # Two that save at once would leave the config of one and the weights of the other.
    with locked(folder, MODEL, wait=True):
        write_atomically(folder / CONFIG_FILE, (text + "\n").encode())
        write_atomically(folder / WEIGHTS_FILE, tensors.content(state, text))


def load(cls: type[Model], folder: Path, own_modules: dict[str, Any]) -> Model:
    """Return the ``cls`` that was saved in ``folder``, in evaluation mode."""
    folder = model_folder(folder)
    saved = read_config(folder)
    if saved["model"] != cls.__name__:
        raise WrongValue(
            f"{folder} holds a {saved['model']}, not a {cls.__name__}; load it with "
            f"{saved['model']}.from_pretrained or pyvae.models.from_pretrained"
        )
    given = {name: module for name, module in own_modules.items() if module is not None}
    _check_own_modules(folder, set(saved["own_modules"]), set(given))
    path = _existing(folder / WEIGHTS_FILE)
    with tensors.opened(path) as file:
        header, declared = tensors.header(path, file, "save_pretrained"), tensors.declared(file)
        if parsed_json(header["config"], path) != saved:
            raise WrongValue(
                f"{path} belongs to another save than {CONFIG_FILE} beside it; save the model "
                "again, or change settings on the loaded model instead of in the file"
            )
        # What the config asks for takes no memory before the weights are known to be as large.
        with torch.device("meta"):
            _check_fit(path, _built(cls, saved, given, folder, declared), declared)
        state = tensors.read(path, file, header["sha256"], declared)
    model = _built(cls, saved, given, folder, declared)
    if model is None:
        raise RuntimeError(f"a {cls.__name__} can be built on no device but meta")
    _check_fit(path, model, declared)
    reason = bad_number(model, state)
    if reason is not None:
        raise WrongValue(f"{path} holds no trained model: {reason}")
    _restore(model, state)
    return model.eval()


def model_folder(path: Path) -> Path:
    """Return the folder of a saved model: the path itself, or the ``model`` of a run's folder.

    Raises
    ------
    FileNotFoundError
        If it is the folder of a run that has saved no model yet.
    """
    path = path.expanduser()
    inside = path / MODEL_FOLDER
    if (path / CONFIG_FILE).exists():
        return path
    of_run = any((path / name).exists() for name in _RUN_FILES)
    if (inside / CONFIG_FILE).exists() or (of_run and inside.is_dir()):
        return inside
    if of_run:
        raise NotFound(
            f"{path}: the run has not come to its end and saved no model yet; `pyvae train "
            f"--output {path} --resume` goes on with it (a Trainer's own: fit with resume=True, "
            f"then model.save_pretrained({str(inside)!r}))"
        )
    return path


def read_config(folder: Path) -> dict[str, Any]:
    """Return the content of ``config.json`` of a saved model, checked for its form."""
    if not folder.is_dir():
        raise NotFound(
            f"{folder} is {'a file' if folder.exists() else 'not there'}; "
            "pass the folder that save_pretrained wrote"
        )
    path = _existing(folder / CONFIG_FILE)
    saved = read_json(path, _MOST_CONFIG)
    if not isinstance(saved, dict) or saved.get("format") != _FORMAT:
        raise WrongValue(
            f"{path} does not describe a pyvae model; was it written by another library?"
        )
    if saved.get("version") != _VERSION:
        raise WrongValue(
            f"{path} has format version {said(saved.get('version'))}, this pyvae reads {_VERSION}; "
            "install a newer pyvae"
        )
    expected = {"model": str, "config": dict, "own_modules": list}
    for key, kind in expected.items():
        if not isinstance(saved.get(key), kind):
            raise WrongValue(f"{path} is damaged: it has no {kind.__name__} {key!r}")
    if not all(name in OWN_MODULES for name in saved["own_modules"]):
        raise WrongValue(
            f"{path} is damaged: own_modules names others than {', '.join(OWN_MODULES)}"
        )
    return saved


def _existing(path: Path) -> Path:
    if not path.is_file():
        raise NotFound(f"{path} is missing; save_pretrained writes it")
    return path


def _built(
    cls: type[Model],
    saved: dict[str, Any],
    given: dict[str, Any],
    folder: Path,
    declared: dict[str, Declared],
) -> Model | None:
    """Build the model that a config describes; None where its class cannot be built on meta."""
    path = folder / CONFIG_FILE
    # Building draws initial values, which the saved ones replace: leave the user's seed alone.
    with torch.random.fork_rng(devices=[]):
        try:
            model = cls(**saved["config"], **given)
        except UserError as error:
            raise WrongValue(f"{path}: bad config: {error}") from error
        except (RuntimeError, TypeError, ValueError, OverflowError) as error:
            # A class of the user's own may look at numbers, which there are none of on meta. What
            # else torch objects to here are sizes.
            if isinstance(error, NotImplementedError) or "meta" in str(error):
                return None
            reason = " ".join(str(error).split())[:300]
            raise WrongValue(f"{path}: bad config: {reason}") from error
    # Models of before that option took data as they are.
    if "standardize" not in saved["config"] and not any(n.startswith(UNITS) for n in declared):
        getattr(model, "drop_standardization", lambda: None)()
    return model


def _check_fit(path: Path, model: nn.Module | None, declared: dict[str, Declared]) -> None:
    reason = None if model is None else misfit(model, declared)
    if reason is not None:
        raise WrongValue(f"the weights of {path} do not fit the modules: {reason}")


def _check_own_modules(folder: Path, saved: set[str], given: set[str]) -> None:
    for name in sorted(saved - given):
        raise WrongValue(
            f"{folder} was saved with a module of your own as {name}; pass one of the same "
            f"architecture: from_pretrained(path, {name}=...)"
        )
    for name in sorted(given - saved):
        raise WrongValue(f"{folder} was saved with the built-in {name}; leave out {name}=")


def _restore(model: nn.Module, state: dict[str, Tensor]) -> None:
    """Copy ``state`` into ``model``, tensor by tensor in the dtype that was saved."""
    for name, value in itertools.chain(model.named_parameters(), model.named_buffers()):
        if name in state:
            value.data = value.data.to(state[name].dtype)
    model.load_state_dict(state)
