# SPDX-License-Identifier: MIT
"""A folder that keeps what a fit has done, so that the same fit goes on with it.

``fit.json`` says which fit it is; ``neighbors.safetensors`` are the nearest neighbours;
``run-1.safetensors`` is a run that has come to its end, and ``run-1-step.safetensors`` the last
moment that was kept of one that has not.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from pyvae.clustering.parameters import OWN, described
from pyvae.clustering.recipe import Recipe
from pyvae.clustering.run import Merged, Restart, Run
from pyvae.clustering.training import Training
from pyvae.errors import WrongValue
from pyvae.storage import tensors
from pyvae.storage.form import Exactly, Fields, Form, Integer, Maybe, Place, Plain, Real, Rows, said
from pyvae.storage.lock import FIT, locked
from pyvae.storage.reading import parsed_json, read_json
from pyvae.storage.tensors import Declared
from pyvae.storage.writing import write_atomically

_FIT_FILE, _NEIGHBORS_FILE = "fit.json", "neighbors.safetensors"
_FORMAT, _VERSION = "pyvae.clustering.fit", 2
_WRITER = "a fit with checkpoint="
_MOST_JSON = 1 << 20  # bytes
_EVERY = 60.0  # seconds between moments that are kept
_FORM = Fields({
    "format": Exactly(_FORMAT),
    "version": Exactly(_VERSION, "; another pyvae wrote it: choose another folder"),
    "seeds": Rows(lambda _: Integer(0)),
    "fit": Plain(),
})  # fmt: skip
_OF_NO_CONSEQUENCE = ("random_state", "verbose", "verbose_interval")  # the first is in the seeds
_MOMENT = {"step": Integer(1), "at": Integer(0), "rate": Real(0.0), "beta": Real(0.0)}


class Checkpoint:
    """What is kept of a fit.

    Attributes
    ----------
    seeds
        Of the runs.
    """

    def __init__(self, folder: Path, seeds: list[int]) -> None:
        self._folder, self.seeds = folder, seeds

    def neighbors(self, shape: tuple[int, int], find: Callable[[], Tensor]) -> Tensor:
        """Give the neighbours that are kept, ``(N, count)``, else what ``find`` finds."""
        path = self._folder / _NEIGHBORS_FILE
        if not path.exists():
            found = find()
            _write(path, {"neighbors": found}, {})
            return found
        like = {"neighbors": torch.empty(shape, dtype=torch.int64, device="meta")}
        found = _read(path, lambda _: like)["neighbors"]
        if not bool(((found >= 0) & (found < len(found))).all()):
            raise WrongValue(f"{path} is damaged: it holds others than the {len(found)} examples")
        return found

    def run(self, number: int, recipe: Recipe) -> RunFiles:
        """Give the files of a run."""
        return RunFiles(self._folder / f"run-{number + 1}", recipe)


class RunFiles:
    """What is kept of a run: a :class:`pyvae.clustering.run.Keeper`."""

    def __init__(self, path: Path, recipe: Recipe) -> None:
        self._end = path.with_name(f"{path.name}.safetensors")
        self._step = path.with_name(f"{path.name}-step.safetensors")
        into = Rows(lambda _: Integer(0, recipe.n_clusters - 1), recipe.n_overclusters)
        numbers = ("over_information", "merged_information", "balance")
        self._merged = {"into": into, **{name: Real() for name in numbers}}
        self._kept = time.monotonic()

    def finished(self, network: nn.Module) -> Run | None:
        """Give the run that has come to its end, in that network, if it has."""
        if not self._end.exists():
            return None
        of_end = {"seed": Integer(0), "information": Real(), "entropy": Real()}
        form = Fields({**self._merged, **of_end})
        found = _read_header(self._end, form)
        network.load_state_dict(_read(self._end, lambda _: network.state_dict()))
        return Run(network, np.array(found.pop("into")), Restart(**found))

    def finish(self, run: Run) -> None:
        """Keep it."""
        said = {**asdict(run.restart), "into": run.into}
        del said["agreement"]  # with runs that are still to come
        _write(self._end, run.network.state_dict(), said)
        self._step.unlink(missing_ok=True)

    def last(self) -> KeptMoment | None:
        """Give the last moment that was kept, if there is one."""
        form = Fields({**_MOMENT, "merged": Maybe(Fields(self._merged))})
        return KeptMoment(self._step, form) if self._step.exists() else None

    def keep(self, training: Training, merged: Merged | None) -> None:
        """Keep this moment, if the last is a minute ago."""
        if time.monotonic() - self._kept >= _EVERY:
            said = None if merged is None else asdict(merged)
            _write(self._step, training.tensors(), {**training.figures(), "merged": said})
            self._kept = time.monotonic()


class KeptMoment:
    """A moment of a run, in a file: a :class:`pyvae.clustering.run.Moment`."""

    def __init__(self, path: Path, form: Form) -> None:
        self._path = path
        self._figures = _read_header(path, form)
        merged = self._figures.pop("merged")
        self.merged = merged and Merged(**{**merged, "into": np.array(merged["into"])})

    def restore(self, training: Training) -> None:
        """Go on there."""
        state = _read(self._path, lambda declared: training.like(set(declared)))
        reason = training.restore(state, self._figures)
        if reason is not None:
            raise WrongValue(f"{self._path} is damaged: {reason}")


def description(parameters: Mapping[str, Any], x: Tensor, half: bool) -> dict[str, Any]:
    """Say which fit it is: what its results depend on, but for the seeds, ready for JSON."""
    said = described({**parameters, "random_state": None})
    for name in _OF_NO_CONSEQUENCE:
        del said[name]
    for name in ("views", "network"):
        own = parameters[name]
        if said[name] == OWN:
            own = own if hasattr(own, "__qualname__") else type(own)
            said[name] = f"{own.__module__}.{own.__qualname__}"
    digest = tensors.digest({"X": x.cpu().contiguous()})
    return {**said, "X": digest, "device": x.device.type, "half": half}


@contextmanager
def opened(
    folder: Path, fit: Mapping[str, Any], seeds: list[int], drawn: bool
) -> Iterator[Checkpoint]:
    """Hold a folder, which is made where it is missing, for a fit.

    Parameters
    ----------
    folder
        Where it is.
    fit
        What tells the fit from others, ready for JSON.
    seeds
        Of its runs.
    drawn
        Whether they are of no seed, so that those of the folder are as good.

    Raises
    ------
    ValueError
        If the folder has another fit, is in use, or a file is damaged.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder, FIT):
        path = folder / _FIT_FILE
        content = {"format": _FORMAT, "version": _VERSION, "seeds": seeds, "fit": dict(fit)}
        if path.exists():
            found = _FORM.taken(read_json(path, _MOST_JSON), Place(path))
            _check_same(folder, found["fit"], json.loads(json.dumps(fit)))
            if len(found["seeds"]) != len(seeds) or not (drawn or found["seeds"] == seeds):
                raise _another(folder, "seeds", found["seeds"], seeds)
            seeds = found["seeds"]
        else:
            write_atomically(path, json.dumps(content, indent=2).encode())
        yield Checkpoint(folder, seeds)


def _check_same(folder: Path, kept: Any, fit: dict[str, Any]) -> None:
    if not isinstance(kept, dict):
        Place(folder / _FIT_FILE, ("fit",)).refuse(kept, "names with values")
    for name, value in fit.items():
        if name not in kept or kept[name] != value:
            raise _another(folder, name, kept.get(name), value)


def _another(folder: Path, name: str, kept: Any, asked: Any) -> WrongValue:
    return WrongValue(
        f"{folder} is the checkpoint of another fit, whose {name} is {said(kept)} and not "
        f"{said(asked)}; fit with the same data and parameters, or choose another folder"
    )


def _write(path: Path, state: Mapping[str, Any], config: Mapping[str, Any]) -> None:
    text = json.dumps(config, default=np.ndarray.tolist)
    write_atomically(path, tensors.content(tensors.plain(state), text))


def _read_header(path: Path, form: Form) -> dict[str, Any]:
    with tensors.opened(path) as file:
        header = tensors.header(path, file, _WRITER)
    return form.taken(parsed_json(header["config"], path), Place(path))


def _read(
    path: Path, like: Callable[[Mapping[str, Declared]], Mapping[str, Any]]
) -> dict[str, Tensor]:
    """Give the tensors of a file that are as those they stand in for."""
    with tensors.opened(path) as file:
        header, declared = tensors.header(path, file, _WRITER), tensors.declared(file)
        reason = tensors.unlike(like(declared), declared, lambda _, wanted: (wanted.dtype,))
        if reason is not None:
            raise WrongValue(f"{path} is damaged, or of other modules: {reason}")
        found = tensors.read(path, file, header["sha256"], declared)
        return {name: value.clone() for name, value in found.items()}
