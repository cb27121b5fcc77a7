# SPDX-License-Identifier: MIT
"""A folder in which a run is going takes no second one, and links in it lead nowhere."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.storage.test_lock import held_elsewhere

from .conftest import SMALL, Cli


def content(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name[0] != "."
    }


@pytest.mark.parametrize("how", ["--resume", "--overwrite"])
def test_a_second_run_is_refused(
    cli: Cli, tmp_path: Path, trained: Path, digits_file: Path, how: str
):
    folder = shutil.copytree(trained, tmp_path / "run")
    before = content(folder)
    new = () if how == "--resume" else ("--data", digits_file, *SMALL)
    with held_elsewhere(folder):
        result = cli("train", *new, "--output", folder, how)
        assert result.code == 2
        assert result.err.startswith(f"pyvae: error: output folder {folder} is in use: another run")
        assert result.err.count("\n") == 1
        assert content(folder) == before
        assert cli("evaluate", folder, "--no-baselines", "--samples", 2).code == 0
    assert cli("train", *new, "--output", folder, how, "--no-pictures").code == 0
    assert not [path for path in folder.iterdir() if path.name[0] == "."]


def test_a_run_that_has_written_nothing_yet_is_a_run(cli: Cli, tmp_path: Path, digits_file: Path):
    with held_elsewhere(tmp_path):
        result = cli("train", "--data", digits_file, *SMALL, "--output", tmp_path)
    assert result.code == 2
    assert "in use" in result.err
    assert [path.name for path in tmp_path.iterdir()] == [".run.lock"]


def test_links_lead_nowhere(cli: Cli, tmp_path: Path, trained: Path):
    folder, victim = tmp_path / "run", tmp_path / "victim"
    shutil.copytree(trained, folder)
    victim.mkdir()
    for name in ("config.json", "model.safetensors", "x"):
        (victim / name).write_bytes(b"precious")
    before = content(victim)
    shutil.rmtree(folder / "model")
    (folder / "model").symlink_to(victim)
    for name in ("metrics.json", "run.json", "history.png", "samples.png"):
        data = (folder / name).read_bytes() if (folder / name).exists() else b""
        (victim / name).write_bytes(data)
        before[name] = data
        (folder / name).unlink(missing_ok=True)
        (folder / name).symlink_to(victim / name)
    assert cli("train", "--output", folder, "--resume").code == 0
    assert cli("sample", folder).code == 0
    assert content(victim) == before
    assert not [path for path in folder.rglob("*") if path.is_symlink()]
