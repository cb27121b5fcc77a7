# SPDX-License-Identifier: MIT
"""Checkpoints with a right digest and wrong content: refused by name, before anything is used."""

from __future__ import annotations

import collections
import hashlib
import io
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from pyvae.errors import UserError
from pyvae.models import VAE, LatentVariableModel
from pyvae.training import Trainer, load_weights
from pyvae.training.checkpoint import read_checkpoint, write_checkpoint
from tests.training.helpers import blobs, small_model, small_trainer

RUNS: dict[str, dict[str, Any]] = {
    "gradient": {"schedule": "constant"}, "em": {"prior_update": "em"}, "vae": {},
}  # fmt: skip


def model_of(run: str) -> LatentVariableModel:
    return VAE(6, 2, hidden=(8,)) if run == "vae" else small_model(learn_weights=True)


def trainer_of(run: str, folder: Path) -> Trainer:
    return small_trainer(output_dir=folder, **RUNS[run])


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A finished run of every kind."""
    folder = tmp_path_factory.mktemp("runs")
    for run in RUNS:
        trainer_of(run, folder / run).fit(model_of(run), blobs(), blobs(32, seed=1))
    return {run: folder / run for run in RUNS}


def places(value: Any, names: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return where everything is in a state, through dicts and lists."""
    inner: list[tuple[Any, Any]] = []
    if isinstance(value, dict):
        inner = list(value.items())
    elif isinstance(value, list | tuple):
        inner = list(enumerate(value))
    return [names, *(place for name, part in inner for place in places(part, (*names, name)))]


def replaced(value: Any, names: tuple[Any, ...], new: Callable[[Any], Any]) -> Any:
    """Return a state with another value in one place."""
    if not names:
        return new(value)
    if isinstance(value, dict):
        return {**value, names[0]: replaced(value[names[0]], names[1:], new)}
    parts = list(value)
    parts[names[0]] = replaced(parts[names[0]], names[1:], new)
    return type(value)(parts)


def resumes(run: str, folder: Path, model: LatentVariableModel) -> None:
    trainer_of(run, folder).fit(model, blobs(), blobs(32, seed=1), resume=True)


def is_refused(run: str, folder: Path, words: str, name: str = "last.ckpt") -> None:
    """Also: the model is as it was."""
    model = model_of(run)
    before = {n: v.clone() for n, v in model.state_dict().items()}
    with pytest.raises(UserError, match=words) as caught:
        resumes(run, folder, model)
    assert isinstance(caught.value, ValueError)
    assert str(folder / name) in str(caught.value)
    assert all(torch.equal(v, before[n]) for n, v in model.state_dict().items())


def crafted(runs: dict[str, Path], tmp_path: Path, run: str, *names: Any, new: Any) -> Path:
    """Copy a run and put something else in one place of its last checkpoint."""
    folder = shutil.copytree(runs[run], tmp_path / "run")
    state = read_checkpoint(folder / "last.ckpt")
    change = new if callable(new) else lambda _: new
    write_checkpoint(folder / "last.ckpt", replaced(state, names, change))
    return folder


WORDS = "{}|not fit the model|no part of a checkpoint"
WRONG_TENSORS: dict[str, Callable[[Tensor], Any]] = {
    "longer": lambda v: torch.zeros(v.numel() + 7),
    "shorter": lambda v: v.flatten()[:0],
    "transposed": lambda v: v[None],
    "float64": lambda v: v.double(),
    "integers": lambda v: v.long(),
    "complex": lambda v: v + 0j,
    "sparse": lambda v: v.to_sparse() if v.ndim else v.int(),
    "nan": lambda v: torch.full_like(v, torch.nan),
    "a number": lambda _: 0.5,
    "a list": lambda v: [v],
    "nothing": lambda _: None,
}


@pytest.mark.parametrize("name", WRONG_TENSORS)
@pytest.mark.parametrize("run", RUNS)
def test_every_tensor_is_compared(runs, tmp_path, run, name) -> None:
    """Each in turn: of the model, and of the optimizers' states."""
    state = read_checkpoint(runs[run] / "last.ckpt")
    folder = shutil.copytree(runs[run], tmp_path / "run")
    for place in places(state):
        found: list[Any] = []
        replaced(state, place, found.append)
        if isinstance(found[0], Tensor):
            new = replaced(state, place, WRONG_TENSORS[name])
            write_checkpoint(folder / "last.ckpt", new)
            is_refused(run, folder, WORDS.format(place[-1]))


def test_a_moment_without_memory_of_its_own(runs, tmp_path) -> None:
    """Stride 0 has the right shape, one number behind it, and would be written to as if dense."""
    folder = crafted(
        runs, tmp_path, "gradient", "optimizer", "state", 0, "exp_avg",
        new=lambda v: torch.zeros(1, dtype=v.dtype).expand(v.shape),
    )  # fmt: skip
    trainer = small_trainer(output_dir=folder, schedule="constant", epochs=5)
    history = trainer.fit(model_of("gradient"), blobs(), blobs(32, seed=1), resume=True)
    assert len(history) == 7


@pytest.mark.parametrize(
    ("names", "new", "words"),
    [
        ((), {"model": {}}, "holds a model but no state of its training"),
        ((), [1, 2], "no checkpoint of pyvae's trainer"),
        (("run",), [1], "run is a list of 1; expected names"),
        (("run", "model"), [1], "run.model is a list of 1; expected names"),
        (("run", "model"), torch.zeros(3), "run.model is float32 of shape|run.model is"),
        (("run", "trainer", "lr"), {"a": {"b": torch.zeros(2)}}, "expected plain"),
        (("epoch",), -1, "epoch is -1"),
        (("epoch",), True, "epoch is True"),
        (("epoch",), 10**30, "epoch is 10000"),
        (("epoch",), 7, "history has 6 entries; expected 7"),
        (("epoch",), 5, "history has 6 entries; expected 5|a count from 0 to 15"),
        (("history",), {"a": 1}, "history is a dict of 1; expected a list"),
        (("history", 0), 7, "history.0 is 7"),
        (("history", 0, "epoch"), 3, "history.0.epoch is 3; expected 1"),
        (("history", 0, "phase"), "joint", "history.0.phase is 'joint'; expected one of pretrain"),
        (("history", 2, "bound"), "high", "history.2.bound is 'high'"),
        (("history", 2, "bound"), None, "history.2.bound is None"),
        (("history", 2, "objective"), [1.0], "history.2.objective is a list"),
        (("best",), torch.nan, "best is nan"),
        (("best",), 10**400, "best is an integer of many digits"),
        (("best",), 1.0, "best is 1.0; expected .*, the highest bound of its history"),
        (("stale_epochs",), -3, "stale_epochs is -3"),
        (("stale_epochs",), 1.5, "stale_epochs is 1.5"),
        (("model",), [1], "model is a list of 1"),
        (("optimizer",), None, "optimizer is None"),
        (("optimizer", "state"), [], "optimizer.state is a list"),
        (("optimizer", "state"), {}, "optimizer.state is a dict of 0; expected that of 6 epochs"),
        (("optimizer", "state"), {99: {}}, "optimizer.state.99 has no place there"),
        (("optimizer", "state", 0), {}, "optimizer.state.0 is damaged, it lacks step"),
        (("optimizer", "state", 0, "step"), torch.tensor(-1.0), "step holds other numbers"),
        (("optimizer", "state", 0, "step"), torch.tensor(2.5), "step holds other numbers"),
        (("optimizer", "state", 0, "step"), torch.tensor(1e30), "a count from 0 to 18"),
        (("optimizer", "state", 0, "exp_avg_sq"), lambda v: v - 1, "exp_avg_sq holds other"),
        (("optimizer", "param_groups"), [], "param_groups has 0 entries; expected 1"),
        (("optimizer", "param_groups", 0, "params"), [0, 0, 0], "params is a list of 3"),
        (("optimizer", "param_groups", 0, "betas"), (2.0, 3.0), "betas is a tuple"),
        (("optimizer", "param_groups", 0, "betas"), torch.ones(2), "betas is"),
        (("optimizer", "param_groups", 0, "eps"), -1.0, "eps is -1.0; expected 1e-08"),
        (("optimizer", "param_groups", 0, "lr"), torch.inf, "lr is inf"),
        (("optimizer", "param_groups", 0, "fused"), False, "fused is False; expected True"),
        (("optimizer", "extra"), 1, "extra"),
    ],
)  # fmt: skip
def test_every_other_value_is_compared(runs, tmp_path, names, new, words) -> None:
    is_refused("gradient", crafted_or_more(runs, tmp_path, names, new), words)


def crafted_or_more(runs, tmp_path, names, new) -> Path:
    """Put a value in its place, or where there was none."""
    folder = shutil.copytree(runs["gradient"], tmp_path / "run")
    state = read_checkpoint(folder / "last.ckpt")
    change = new if callable(new) else lambda _: new
    if names and names[-1] == "extra":
        changed = replaced(state, names[:-1], lambda part: {**part, "extra": new})
    else:
        changed = replaced(state, names, change)
    write_checkpoint(folder / "last.ckpt", changed)
    return folder


def test_the_state_of_stepwise_em_is_compared(runs, tmp_path) -> None:
    folder = crafted(runs, tmp_path, "em", "optimizer", "mixture", "state", 0, "counts",
                     new=lambda v: -v)  # fmt: skip
    is_refused("em", folder, "optimizer.mixture.state.0.counts holds other numbers")


def test_the_best_weights_are_compared(runs, tmp_path) -> None:
    folder = shutil.copytree(runs["gradient"], tmp_path / "run")
    best = read_checkpoint(folder / "best.ckpt")
    wrong = {
        "the tensors do not fit the model": {**best, "model": {"a": torch.zeros(3)}},
        "another model": {**best, "run": {}},
        "run is None": {"model": best["model"]},
        "weight_logits holds 3 numbers that are NaN": {
            **best, "model": {n: v * torch.nan for n, v in best["model"].items()}
        },
    }  # fmt: skip
    for words, state in wrong.items():
        write_checkpoint(folder / "best.ckpt", state)
        is_refused("gradient", folder, words, "best.ckpt")


def test_weights_are_compared_where_only_they_are_taken(runs, tmp_path) -> None:
    state = read_checkpoint(runs["gradient"] / "best.ckpt")
    double = load_weights(model_of("gradient").double(), runs["gradient"] / "best.ckpt")
    assert double.like.dtype == torch.float64
    for name, change in WRONG_TENSORS.items():
        if name == "float64":
            continue
        weights = {**state["model"], "component_means": change(state["model"]["component_means"])}
        write_checkpoint(tmp_path / "x.ckpt", {**state, "model": weights})
        with pytest.raises(UserError, match=r"x.ckpt: .*(not fit the model|no part)"):
            load_weights(model_of("gradient"), tmp_path / "x.ckpt")


def test_what_takes_memory_by_a_number_is_not_made(tmp_path) -> None:
    """Of a pickle that torch itself would follow."""
    bomb = b"\x80\x02c__builtin__\nbytearray\n\x8a\x06\x00\x00\x00\x00\x00\x01\x85R."
    for payload in (bomb, b"\x80\x02cos\nsystem\nX\x02\x00\x00\x00ls\x85R."):
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("archive/data.pkl", payload)
            archive.writestr("archive/version", "3\n")
        written(tmp_path / "x.ckpt", file.getvalue())
        with pytest.raises(UserError, match="no part of a checkpoint; nothing of it was run"):
            load_weights(small_model(), tmp_path / "x.ckpt")


def test_an_archive_that_unpacks_to_more_than_it_is(tmp_path) -> None:
    file = io.BytesIO()
    torch.save({"model": collections.OrderedDict(a=torch.zeros(10**6))}, file)
    packed = io.BytesIO()
    with zipfile.ZipFile(file) as old, zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))
    written(tmp_path / "x.ckpt", packed.getvalue())
    with pytest.raises(UserError, match="promises more than the file holds"):
        load_weights(small_model(), tmp_path / "x.ckpt")


def written(path: Path, payload: bytes) -> None:
    """Write a checkpoint of any bytes with the digest that belongs to them."""
    digest = hashlib.sha256(payload).hexdigest().encode()
    path.write_bytes(b"pyvae checkpoint 1 sha256 " + digest + b"\n" + payload)
