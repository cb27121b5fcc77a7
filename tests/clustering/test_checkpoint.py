# SPDX-License-Identifier: MIT
"""A fit that was interrupted goes on, to the result that it would have had; others are refused."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn

from pyvae.clustering import InvariantClustering, TableNoise, checkpoint
from pyvae.errors import UserError
from pyvae.storage.lock import FIT, locked
from pyvae.storage.tensors import digest

SHORT: dict[str, Any] = {"n_steps": 7, "n_refining_steps": 5, "n_init": 2, "random_state": 0}
TABLE = np.random.RandomState(0).randn(33, 3)
IMAGES = np.random.RandomState(1).rand(12, 6, 5).astype(np.float32)
# Calls of views: an estimate has 4000 pairs in blocks of a thousand.
ESTIMATE = 4
OVER, RUN = 7 + ESTIMATE, 7 + ESTIMATE + 5 + ESTIMATE


class Views:
    """Noise, until it was drawn so often."""

    def __init__(self, most: float) -> None:
        self.most, self.drawn = most, 0

    def __call__(self, x: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        if self.drawn == self.most:
            raise KeyboardInterrupt
        self.drawn += 1
        return x + 0.1 * torch.randn(x.shape, generator=generator)


def dropout(classes: int) -> nn.Module:
    """A network that draws, with a parameter that has no gradient."""
    network = nn.Sequential(nn.Linear(3, 8), nn.Dropout(0.2), nn.Linear(8, classes))
    network.unused = nn.Parameter(torch.ones(2))
    return network


def clustering(most: float = np.inf, **changes: Any) -> InvariantClustering:
    return InvariantClustering(2, **{"views": Views(most), "batch_size": 10, **SHORT, **changes})


def is_the_same(first: InvariantClustering, second: InvariantClustering) -> None:
    assert first.restarts_ == second.restarts_
    np.testing.assert_array_equal(first.labels_, second.labels_)
    np.testing.assert_array_equal(first.merges_, second.merges_)
    states = (each.classifier_.state_dict() for each in (first, second))
    for one, other in zip(*(state.values() for state in states), strict=True):
        assert torch.equal(one, other)


@pytest.fixture
def always(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep every step."""
    monkeypatch.setattr(checkpoint, "_EVERY", 0.0)


@pytest.mark.usefixtures("always")
@pytest.mark.parametrize(
    ("x", "changes", "done"),
    [
        # In the first step, later, while merging, while refining, in the last estimate, and in the
        # second run; beside each, how much of it has not to be done again.
        (TABLE, {"network": dropout}, {0: 0, 5: 5, 8: 7, OVER: 7, OVER + 3: OVER + 3}),
        (TABLE, {"n_neighbors": 0}, {RUN - 1: OVER + 5, RUN: RUN, RUN + OVER + 2: RUN + OVER + 2}),
        (IMAGES, {"n_init": 1}, {5: 5, OVER + 3: OVER + 3}),
    ],
)
def test_it_goes_on_to_the_same_result(
    tmp_path: Path, x: np.ndarray, changes: dict[str, Any], done: dict[int, int]
) -> None:
    whole = clustering(**changes).fit(x)
    for most, spared in done.items():
        folder = tmp_path / str(most)
        with pytest.raises(KeyboardInterrupt):
            clustering(most, **changes).fit(x, checkpoint=folder)
        again = clustering(**changes).fit(x, checkpoint=folder)
        is_the_same(whole, again)
        assert again.views.drawn == whole.views.drawn - spared


def test_runs_that_are_finished_are_kept_at_once(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        clustering(RUN + 3).fit(TABLE, checkpoint=str(tmp_path))
    again = clustering(RUN)
    labels = again.fit_predict(TABLE, checkpoint=tmp_path)
    np.testing.assert_array_equal(labels, clustering().fit_predict(TABLE))
    # Of a fit that has come to its end nothing is done.
    is_the_same(again, clustering(0).fit(TABLE, checkpoint=tmp_path))
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "fit.json", "neighbors.safetensors", "run-1.safetensors", "run-2.safetensors",
    ]  # fmt: skip


def test_seeds_that_were_drawn_are_those_of_the_folder(tmp_path: Path) -> None:
    first = clustering(random_state=None).fit(TABLE, checkpoint=tmp_path)
    second = clustering(0, random_state=None).fit(TABLE, checkpoint=tmp_path)
    is_the_same(first, second)


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"n_steps": 8}, "whose n_steps is 7 and not 8; fit with the same"),
        ({"n_init": 3}, "whose n_init is 2 and not 3"),
        ({"random_state": 1}, "whose seeds is a list of 2 and not a list of 2"),
        ({"views": "auto"}, "whose views is '.*Views' and not 'auto'"),
        ({"views": TableNoise()}, "whose views is '.*Views' and not a dict of 3"),
        ({"network": dropout}, "whose network is None and not '.*dropout'"),
        ({"precision": "bfloat16"}, "whose precision is 'auto' and not 'bfloat16'"),
    ],
)
def test_other_fits_are_refused(kept: Path, changes: dict[str, Any], match: str) -> None:
    with pytest.raises(ValueError, match=match) as caught:
        clustering(0, **changes).fit(TABLE, checkpoint=kept)
    assert f"{kept} is the checkpoint of another fit" in str(caught.value)


def test_other_data_are_refused(kept: Path) -> None:
    for x in (TABLE[::-1].copy(), TABLE.astype(np.float32), TABLE[:30]):
        with pytest.raises(ValueError, match="another fit, whose X is '"):
            clustering(0).fit(x, checkpoint=kept)


@pytest.fixture(scope="module")
def halfway(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that is finished and a moment of the second, while it refines."""
    folder = tmp_path_factory.mktemp("halfway")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checkpoint, "_EVERY", 0.0)
        with pytest.raises(KeyboardInterrupt):
            clustering(RUN + OVER + 3).fit(TABLE, checkpoint=folder)
    return folder


@pytest.fixture
def kept(halfway: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(halfway, tmp_path / "kept"))


def test_one_fit_one_folder(kept: Path) -> None:
    errors: list[BaseException] = []

    def fit() -> None:
        try:
            clustering(0).fit(TABLE, checkpoint=kept)
        except ValueError as error:
            errors.append(error)

    with locked(kept, FIT):
        other = threading.Thread(target=fit)  # in another context
        other.start()
        other.join()
    assert "is in use" in str(errors[0])


def rewrite(path: Path, change: Callable[[Any, dict[str, torch.Tensor]], Any]) -> None:
    with safe_open(path, framework="pt") as file:
        state = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
        config = json.loads(file.metadata()["config"])
    change(config, state)
    save_file(state, path, {"config": json.dumps(config), "sha256": digest(state)})


@pytest.mark.parametrize(
    ("name", "part", "value", "match"),
    [
        ("run-1", "into", [0], "into has 1 entries; expected 10"),
        ("run-1", "into", [2] * 10, "into.0 is 2; expected an integer from 0 to 1"),
        ("run-1", "information", None, "information is None; expected a finite number"),
        ("run-1", "code", "print()", "code has no place there"),
        ("run-1", "head.3.bias", torch.zeros(3), "size mismatch for head.3.bias"),
        ("run-1", "head.3.bias", None, r"Missing key\(s\): head.3.bias"),
        ("run-2-step", "step", 0, "step is 0; expected an integer from 1"),
        ("run-2-step", "step", 6, "it is beyond the end"),
        ("run-2-step", "at", 7, "its batches are no batches of these examples"),
        ("run-2-step", "at", 30, "it is beyond the end"),
        ("run-2-step", "rate", "1", "rate is '1'; expected a finite number"),
        ("run-2-step", "merged", {}, "merged is damaged, it lacks into"),
        ("run-2-step", "order", torch.zeros(33).long(), "its batches are no batches"),
        ("run-2-step", "order", torch.arange(34), "size mismatch for order"),
        ("run-2-step", "adam.0.exp_avg", torch.zeros(1), "size mismatch for adam.0.exp_avg"),
        ("run-2-step", "adam.0.exp_avg", None, "Missing key.* adam.0.exp_avg"),
        ("run-2-step", "adam.99.step", torch.zeros(()), "Unexpected key.* adam.99.step"),
        ("run-2-step", "torch", torch.zeros(5056, dtype=torch.uint8), "its random generators"),
        ("neighbors", "neighbors", torch.full((33, 5), 33), "holds others than the 33 examples"),
        ("neighbors", "neighbors", torch.zeros(33, 5), "neighbors holds float32; expected int64"),
    ],
)
def test_spoilt_files(kept: Path, name: str, part: str, value: Any, match: str) -> None:
    def change(config: dict[str, Any], state: dict[str, torch.Tensor]) -> None:
        if isinstance(value, torch.Tensor):
            state[part] = value
        elif part in state:
            del state[part]
        else:
            config[part] = value

    path = kept / f"{name}.safetensors"
    rewrite(path, change)
    before = torch.random.get_rng_state()
    with pytest.raises(UserError, match=match) as caught:
        clustering(0).fit(TABLE, checkpoint=kept)
    assert str(path) in str(caught.value)
    assert torch.equal(before, torch.random.get_rng_state())


@pytest.mark.parametrize("name", ["fit.json", "run-1.safetensors", "run-2-step.safetensors"])
def test_spoilt_bytes(kept: Path, name: str) -> None:
    path = kept / name
    content = path.read_bytes()
    for spoilt in (b"", content[:-1], b"[]" + content):
        path.write_bytes(spoilt)
        with pytest.raises(UserError, match="is damaged") as caught:
            clustering(0).fit(TABLE, checkpoint=kept)
        assert str(path) in str(caught.value)
