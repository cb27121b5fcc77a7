# SPDX-License-Identifier: MIT
"""Going on with a run, and replacing one."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

from pyvae.cli.run_form import EARLIER_OPTIONS
from pyvae.models import from_pretrained
from pyvae.training import Trainer, TrainingDivergedError

from .conftest import SMALL, Cli


def interrupt_after(epochs: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Press Ctrl-C when the row of that epoch is shown."""
    from pyvae.training.progress import ProgressReport

    shown = ProgressReport.epoch

    def epoch(self: ProgressReport, row: dict) -> None:
        shown(self, row)
        if row["epoch"] == epochs:
            raise KeyboardInterrupt

    monkeypatch.setattr(ProgressReport, "epoch", epoch)


def test_an_interrupted_run_goes_on_to_the_same_end(
    cli: Cli, tmp_path: Path, digits_file: Path, trained: Path, monkeypatch: pytest.MonkeyPatch
):
    folder = tmp_path / "run"
    with monkeypatch.context() as patch:
        interrupt_after(2, patch)
        result = cli("train", "--data", digits_file, *SMALL, "--output", folder)
    assert result.code == 130
    assert result.err == (
        f"pyvae: interrupted: go on with: pyvae train --output {folder} --resume\n"
    )
    early = cli("evaluate", folder)
    assert early.code == 2
    assert "--resume" in early.err
    assert cli("train", "--output", folder, "--resume", "--quiet").code == 0
    whole, resumed = (from_pretrained(path / "model").state_dict() for path in (trained, folder))
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)
    epochs = [row["epoch"] for row in json.loads((folder / "history.json").read_text())]
    assert epochs == [1, 2, 3]


def test_a_run_interrupted_before_its_first_checkpoint_starts_again(
    cli: Cli, tmp_path: Path, digits_file: Path, monkeypatch: pytest.MonkeyPatch
):
    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "fit", stop)
        result = cli("train", "--data", digits_file, *SMALL, "--output", tmp_path / "run")
    assert result.code == 130
    assert "--resume" in result.err
    result = cli("train", "--output", tmp_path / "run", "--resume", "--no-pictures")
    assert result.code == 0, result.err


def test_a_finished_run_is_scored_again(cli: Cli, tmp_path: Path, trained: Path):
    folder = shutil.copytree(trained, tmp_path / "run")
    (folder / "metrics.json").unlink()
    shutil.rmtree(folder / "model")
    result = cli("train", "--output", folder, "--resume", "--picture-format", "svg")
    assert result.code == 0, result.err
    assert (folder / "latent_space.svg").exists()
    assert not list(folder.glob("*.png"))  # which showed the model before
    assert "picture_format" not in (folder / "run.json").read_text()
    assert (folder / "metrics.json").read_text() == (trained / "metrics.json").read_text()
    assert (folder / "model" / "model.safetensors").exists()


@pytest.mark.parametrize(
    ("option", "was"),
    [(("--latent-dim", 5), "2"), (("--epochs", 9), "2"), (("--data", "digits"), "")],
)
def test_a_resumed_run_keeps_its_settings(cli: Cli, trained: Path, option: tuple, was: str):
    before = (trained / "run.json").read_bytes()
    result = cli("train", "--output", trained, "--resume", *option)
    assert result.code == 2
    assert f"{option[0]} {option[1]}: the run in {trained} has {was}" in result.err
    assert (trained / "run.json").read_bytes() == before


def test_a_run_from_before_there_were_more_options(cli: Cli, tmp_path: Path, trained: Path):
    folder = tmp_path / "run"
    shutil.copytree(trained, folder)
    settings = json.loads((folder / "run.json").read_text())
    assert (
        EARLIER_OPTIONS.items() >= {"capacity": None, "prior_lr": 0.02, "pseudo_inputs": 0}.items()
    )
    for name in EARLIER_OPTIONS:
        del settings["options"][name]
    (folder / "run.json").write_text(json.dumps(settings))
    result = cli("train", "--output", folder, "--resume", "--no-pictures", "--no-baselines")
    assert result.code == 0, result.err


def test_a_constant_schedule_lets_a_run_be_prolonged(cli: Cli, tmp_path: Path, digits_file: Path):
    folder = tmp_path / "run"
    common = ("--output", folder, "--no-pictures", "--no-baselines")
    cli("train", "--data", digits_file, *SMALL, "--schedule", "constant", *common)
    result = cli("train", "--resume", "--epochs", 4, *common)
    assert result.code == 0, result.err
    assert len(json.loads((folder / "history.json").read_text())) == 5
    assert json.loads((folder / "run.json").read_text())["options"]["epochs"] == 4


def test_a_folder_with_a_run_is_left_alone(cli: Cli, trained: Path):
    before = {path: path.read_bytes() for path in trained.iterdir() if path.is_file()}
    result = cli("train", "--output", trained)
    assert result.code == 2
    assert "--resume" in result.err
    assert "--overwrite" in result.err
    assert before == {path: path.read_bytes() for path in trained.iterdir() if path.is_file()}


def test_overwrite_replaces_the_run_and_nothing_else(
    cli: Cli, tmp_path: Path, trained: Path, digits_file: Path
):
    folder = shutil.copytree(trained, tmp_path / "run")
    (folder / "notes.txt").write_text("mine")
    result = cli(
        "train", "--data", digits_file, *SMALL, "--seed", 3, "--output", folder, "--overwrite",
        "--no-pictures",
    )  # fmt: skip
    assert result.code == 0, result.err
    assert (folder / "notes.txt").read_text() == "mine"
    assert not list(folder.glob("*.png"))
    assert json.loads((folder / "run.json").read_text())["options"]["seed"] == 3


def test_a_mistake_does_not_cost_the_old_run(cli: Cli, tmp_path: Path, trained: Path):
    folder = shutil.copytree(trained, tmp_path / "run")
    assert cli("train", "--data", tmp_path / "no.csv", "--output", folder, "--overwrite").code == 2
    assert cli("train", "--hidden", "a", "--output", folder, "--overwrite").code == 2
    assert (folder / "last.ckpt").exists()
    assert (folder / "model" / "model.safetensors").exists()


@pytest.mark.parametrize("name", ["last.ckpt", "run.json"])
def test_a_damaged_run_is_told(cli: Cli, tmp_path: Path, trained: Path, name: str):
    folder = shutil.copytree(trained, tmp_path / "run")
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[: len(content) // 2])
    result = cli("train", "--output", folder, "--resume")
    assert result.code == 2
    assert str(folder / name) in result.err
    assert "damaged" in result.err


@pytest.mark.parametrize("content", ["[]", '{"format": "other"}', '{"format": "pyvae.run"}'])
def test_a_foreign_run_file_is_told(cli: Cli, tmp_path: Path, content: str):
    (tmp_path / "run.json").write_text(content)
    result = cli("train", "--output", tmp_path, "--resume")
    assert result.code == 2
    assert str(tmp_path / "run.json") in result.err


def test_divergence_is_one_line(
    cli: Cli, tmp_path: Path, digits_file: Path, monkeypatch: pytest.MonkeyPatch
):
    def diverge(*_: object, **__: object) -> None:
        raise TrainingDivergedError("epoch 1, batch 2 of 3: reconstruction is nan")

    monkeypatch.setattr(Trainer, "fit", diverge)
    folder = tmp_path / "run"
    result = cli("train", "--data", digits_file, *SMALL, "--output", folder)
    assert result.code == 1
    assert result.err == "pyvae: error: epoch 1, batch 2 of 3: reconstruction is nan\n"
    # Nothing was trained: the next attempt needs no --overwrite.
    assert not (folder / "run.json").exists()
