# SPDX-License-Identifier: MIT
"""Checkpoint files: a line with a digest, then what torch.save wrote."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from pyvae.errors import NotFound, UserError, WrongValue
from pyvae.models import GMVAE
from pyvae.models.anchored_encoder import as_classifier
from pyvae.models.states import ANCHORED, UNITS
from pyvae.settings import GMVAEOptions, TrainerSettings, VAEOptions, earlier
from pyvae.storage.form import Place, said
from pyvae.storage.writing import write_atomically
from pyvae.training.archive import load_archive
from pyvae.training.checkpoint_form import DESCRIPTION, State

if TYPE_CHECKING:
    from pyvae.models import LatentVariableModel

LAST_FILE = "last.ckpt"
BEST_FILE = "best.ckpt"
_LONGEST = 200  # of a setting in a message
_MAGIC = b"pyvae checkpoint 1 sha256 "
_KEYS = ("run", "epoch", "model", "optimizer", "history", "best", "stale_epochs")


def _as_read(described: dict[str, Any]) -> dict[str, Any]:
    return json.loads(json.dumps(described))  # tuples become lists here as they do in the file


# What descriptions of older runs lack.
_EARLIER = {
    "model": _as_read(earlier(VAEOptions) | earlier(GMVAEOptions)),
    "data": {},
    "trainer": _as_read(earlier(TrainerSettings)),
}


def write_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write a state in one step."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    payload = buffer.getvalue()
    digest = hashlib.sha256(payload).hexdigest().encode()
    write_atomically(path, _MAGIC + digest + b"\n" + payload)


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Return the state in a checkpoint file.

    Nothing in the file is executed: it is read with ``weights_only=True``. What is in the state is
    for the caller to compare with its form.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is no checkpoint of this package, or damaged.
    """
    if not path.is_file():
        raise NotFound(f"{path}: no checkpoint there to resume from; start with resume=False")
    try:
        with path.open("rb") as file:
            head = file.readline(len(_MAGIC) + 65).rstrip(b"\n")
            if not head.startswith(_MAGIC):
                raise WrongValue(f"{path}: no checkpoint of pyvae; its first line says otherwise")
            payload = file.read()
    except MemoryError:
        size = path.stat().st_size
        raise WrongValue(f"{path}: {size} bytes, which do not fit into memory") from None
    if head[len(_MAGIC) :] != hashlib.sha256(payload).hexdigest().encode():
        raise WrongValue(
            f"{path}: damaged checkpoint, its {len(payload)} bytes do not match their digest; "
            "resume from another one"
        )
    state = load_archive(payload, path)
    if not isinstance(state, dict) or "model" not in state:
        raise WrongValue(f"{path}: no checkpoint of pyvae's trainer; it holds no model")
    return state


def read_resumable(path: Path) -> dict[str, Any]:
    """Return the state in a checkpoint that a run can go on from.

    Raises
    ------
    FileNotFoundError, ValueError
        As :func:`read_checkpoint`; and if the file holds weights only.
    """
    state = read_checkpoint(path)
    missing = [key for key in _KEYS if key not in state]
    if missing:
        raise WrongValue(
            f"{path}: holds a model but no state of its training ({', '.join(missing)}); "
            f"resume from {LAST_FILE}, or take the weights with load_weights"
        )
    return state


@contextmanager
def as_written(
    model: LatentVariableModel, state: Mapping[str, Any], path: Path, clusters: Any = None
) -> Iterator[None]:
    """Have a model be what that of a checkpoint was when it was written.

    It takes data as they are where the checkpoint is older than standardisation, and is anchored
    where the checkpoint's is: by the classifier described there, or by ``clusters``, an estimator
    of the user's own. If what is done with it then fails, the model is as it was.
    """
    run, tensors = state.get("run"), state["model"]
    tensors = tensors if isinstance(tensors, Mapping) else {}
    described = run.get("model") if isinstance(run, Mapping) else None
    described = described if isinstance(described, Mapping) else {}
    units, encoder, own = model.standardization, model.encoder, model.own_modules
    mixture = model.mixture_parameters if isinstance(model, GMVAE) else []
    values = [parameter.detach().clone() for parameter in mixture]
    if "standardize" not in described and not any(str(n).startswith(UNITS) for n in tensors):
        model.drop_standardization()
    try:
        if isinstance(model, GMVAE):
            _anchor(model, described.get("classifier"), tensors, clusters, path)
        yield
    except BaseException:
        model.standardization, model.encoder, model.own_modules = units, encoder, own
        with torch.no_grad():
            for parameter, value in zip(mixture, values, strict=True):
                parameter.copy_(value)
        raise


def _anchor(
    model: GMVAE, config: Any, tensors: Mapping[Any, Any], clusters: Any, path: Path
) -> None:
    """Anchor a model where that of a checkpoint is, unless it is anchored already."""
    if model.classifier is not None or not any(str(n).startswith(ANCHORED) for n in tensors):
        return
    own = clusters is not None and not isinstance(clusters, str)
    if config is None and not own:
        return  # the encoder is one of the user's own, or is missed by the comparison of tensors
    try:
        if config is not None:
            _check_room(config, tensors)
        model.anchor(clusters if config is None else config)
    except UserError as error:
        place = Place(path).of("run").of("model").of("classifier")
        raise WrongValue(f"{place} does not fit: {error}") from error


def _check_room(config: Any, tensors: Mapping[Any, Any]) -> None:
    """Refuse a classifier of more numbers than there are, before it takes memory."""
    with torch.device("meta"):
        asked = sum(value.numel() for value in as_classifier(config).state_dict().values())
    there = sum(value.numel() for value in tensors.values() if isinstance(value, torch.Tensor))
    if asked > there:
        raise WrongValue(f"it asks for {asked} numbers, and the file holds {there}")


def check_same_run(path: Path, saved: Any, current: dict[str, Any]) -> None:
    """Raise where a checkpoint belongs to another model, data set or configuration.

    Both are what :func:`describe_run` returned.
    """
    saved = DESCRIPTION.taken(saved, Place(path, ("run",)))
    for part in ("model", "data", "trainer"):
        old, new = ({**_EARLIER[part], **run.get(part, {})} for run in (saved, current))
        if part == "data" and "exact_digest" not in old:
            new.pop("exact_digest", None)  # older runs told data by their float32 numbers alone
        names = [n for n in dict.fromkeys([*old, *new]) if old.get(n) != new.get(n)]
        if names:
            changes = "; ".join(f"{n} was {_said(old, n)}, is {_said(new, n)}" for n in names)
            raise WrongValue(
                f"{path}: belongs to another {part}: {changes}. Resume with the same settings, or "
                "choose another output folder"
            )


def describe_run(
    model: LatentVariableModel, data: dict[str, Any], trainer: dict[str, Any]
) -> dict[str, Any]:
    """Return what a resumed run must have in common with the one that wrote the checkpoint."""
    return {"model": describe_model(model), "data": _as_read(data), "trainer": _as_read(trainer)}


def describe_model(model: LatentVariableModel) -> dict[str, Any]:
    """Return its part of that."""
    tensors = {name: f"{tuple(v.shape)} {v.dtype}" for name, v in model.state_dict().items()}
    return _as_read({"class": type(model).__name__, **model.config, "tensors": tensors})


def load_weights(model: LatentVariableModel, path: str | Path) -> LatentVariableModel:
    """Copy the model's tensors out of a checkpoint into ``model``, and return it.

    Parameters
    ----------
    model
        A model of the checkpoint's class and sizes; it is changed in place.
    path
        A ``last.ckpt`` or ``best.ckpt``.

    Returns
    -------
    The same model.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no checkpoint, it is damaged, or it holds another model.
    """
    path = Path(path)
    state = read_checkpoint(path)
    with as_written(model, state, path):
        weights = State(model, same_dtype=False).taken(state["model"], Place(path, ("model",)))
        model.load_state_dict(weights)
    return model


def _said(part: dict[str, Any], name: str) -> str:
    """Return a setting as Python writes it, where that fits into a message."""
    text = repr(part.get(name))
    return text if len(text) <= _LONGEST else said(part.get(name))
