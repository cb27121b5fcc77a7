# SPDX-License-Identifier: MIT
"""Every mistake ends with code 2 and one line on stderr that names it."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from pyvae import data, ops
from pyvae.cli import errors

from .conftest import SMALL, Cli, Result


def is_mistake(result: Result, *words: str) -> None:
    assert result.code == 2, result
    assert result.out == ""
    assert result.err.startswith("pyvae: error: ")
    assert result.err.count("\n") == 1
    assert "Traceback" not in result.err
    assert "\x1b" not in result.err
    for word in words:
        assert word in result.err


def is_defect(result: Result, *words: str) -> None:
    """With a traceback, and a last line that asks for a report."""
    assert result.code == 70
    lines = result.err.splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert lines[-1].startswith("pyvae: internal error: this is a defect of the program")
    assert "error: " in lines[-1]
    assert "pyvae: error" not in result.err
    for word in words:
        assert word in result.err


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["--nope"], ["--nope", "pyvae --help"]),
        (["trian"], ["trian"]),
        (["train", "--epoch", "3"], ["--epoch", "pyvae train --help"]),
        (["train", "extra"], ["extra"]),
        (["train", "--epochs"], ["--epochs"]),
        (["train", "--epochs", "many"], ["--epochs"]),
        (["train", "--epochs", "0"], ["--epochs", "expected 1 or more, got 0"]),
        (["train", "--seed", "-1"], ["--seed", "expected 0 or more, got -1"]),
        (["train", "--model", "gan"], ["--model"]),
        (["train", "--covariance", "full"], ["--covariance"]),
        (["train", "--validation", "0.95"], ["--validation", "expected 0 to 0.9, got 0.95"]),
        (["train", "--validation", "nan"], ["--validation", "expected 0 to 0.9, got nan"]),
        (["train", "--hidden", "12,x"], ["--hidden", "12,x"]),
        (["train", "--hidden", "0"], ["hidden"]),
        (["train", "--lr", "0"], ["lr"]),
        (["train", "--lr", "nan"], ["lr"]),
        (["train", "--beta", "-1"], ["beta"]),
        (["train", "--grad-clip", "0"], ["grad_clip"]),
        (["train", "--early-stopping", "3"], ["validation"]),
        (["train", "--components", "1798"], ["--components 1798", "1797"]),
        (["train", "--model", "vae", "--components", "3"], ["--components", "gmvae"]),
        (["train", "--model", "vae", "--learn-weights"], ["--learn-weights", "gmvae"]),
        (["train", "--validation", "0.0001"], ["--validation", "1797"]),
        (["train", "--split", "test"], ["split"]),
        (["train", "--data", "no/such.npy"], ["no/such.npy"]),
        (["train", "--labels", "no/such.npy"], ["no/such.npy"]),
        (["train", "--resume"], ["--resume", "holds no run"]),
        (["train", "--resume", "--overwrite"], ["--resume", "--overwrite"]),
        (["train", "--output", "a_file/run"], ["a_file"]),
        (["train", "--output", "a_file"], ["a_file"]),
        (["train", "--output", "."], ["other files"]),
        (["evaluate"], ["RUN"]),
        (["evaluate", "nowhere"], ["nowhere"]),
        (["evaluate", "a_file"], ["a_file"]),
        (["evaluate", "."], ["config.json"]),
        (["sample"], ["RUN"]),
        (["sample", "nowhere"], ["nowhere"]),
        (["sample", "nowhere", "-n", "0"], ["-n", "expected 1 or more, got 0"]),
        (["evaluate", "nowhere", "--seed", "-2"], ["--seed", "expected 0 to 4294967295, got -2"]),
        (["predict"], ["RUN"]),
        (["sample", "nowhere", "--output", "x.jpg"], ["x.jpg", ".png", ".npy"]),
        (["sample", "nowhere", "-n", "401"], ["400", ".npy"]),
        (["info", "now"], ["now"]),
    ],
)
def test_mistakes(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, args: list[str], words: list[str]
):
    monkeypatch.chdir(tmp_path)
    Path("a_file").write_text("")
    is_mistake(cli(*args), *words)
    assert [path.name for path in tmp_path.iterdir()] == ["a_file"]


def test_unreadable_data(cli: Cli, tmp_path: Path):
    bad = tmp_path / "bad.csv"
    bad.write_text("1,2\n3,four\n")
    is_mistake(cli("train", "--data", bad, "--output", tmp_path / "run"), "bad.csv")
    bad = tmp_path / "bad.npy"
    bad.write_bytes(b"no array")
    is_mistake(cli("train", "--data", bad, "--output", tmp_path / "run"), "bad.npy")


def test_data_beyond_the_unit_interval_are_not_bernoulli(cli: Cli, tmp_path: Path):
    np.save(tmp_path / "x.npy", np.full((20, 3), 2.0))
    result = cli("train", "--data", tmp_path / "x.npy", "--likelihood", "bernoulli")
    is_mistake(result, "--likelihood bernoulli", "[0, 1]")


def test_nan_in_a_mapped_file_names_the_row(cli: Cli, tmp_path: Path):
    x = np.zeros((40, 3), dtype=np.float32)
    x[33, 1] = np.nan
    np.save(tmp_path / "x.npy", x)
    result = cli("train", "--data", tmp_path / "x.npy", *SMALL, "--output", tmp_path / "run")
    is_mistake(result, "x.npy", "33")


def test_cuda_where_there_is_none(cli: Cli, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(ops, "CUDA_MISSING", "(no nvcc); install it")
    is_mistake(cli("train", "--device", "cuda"), "--device cuda", "no nvcc", "--device cpu")


@pytest.mark.parametrize("command", ["evaluate", "sample"])
@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
@pytest.mark.parametrize("harm", ["missing", "cut", "flipped"])
def test_damaged_models(
    cli: Cli, tmp_path: Path, trained: Path, command: str, name: str, harm: str
):
    folder = shutil.copytree(trained, tmp_path / "run")
    target = folder / "model" / name
    content = bytearray(target.read_bytes())
    if harm == "missing":
        target.unlink()
    elif harm == "cut":
        target.write_bytes(content[: len(content) // 2])
    else:
        content[len(content) // 2] ^= 1
        target.write_bytes(content)
    is_mistake(cli(command, folder), str(folder / "model"))


def test_other_data_must_fit_the_model(cli: Cli, tmp_path: Path, trained: Path):
    np.save(tmp_path / "x.npy", np.zeros((5, 7)))
    is_mistake(cli("evaluate", trained, "--data", tmp_path / "x.npy"), "7 features", "64")


def test_data_of_a_run_that_are_gone(cli: Cli, tmp_path: Path, trained: Path):
    folder = shutil.copytree(trained, tmp_path / "run")
    settings = (folder / "run.json").read_text()
    (folder / "run.json").write_text(settings.replace("digits.npz", "gone.npz"))
    is_mistake(cli("evaluate", folder), "gone.npz", "no such file")


def test_a_component_that_is_not_there(cli: Cli, trained: Path):
    is_mistake(cli("sample", trained, "--component", 3), "component", "0 to 2", "3")


def test_a_place_that_cannot_be_written_to(cli: Cli, tmp_path: Path, trained: Path):
    is_mistake(cli("sample", trained, "--output", tmp_path / "no" / "x.npy"), "x.npy")


def test_a_bug_keeps_its_traceback(cli: Cli, monkeypatch: pytest.MonkeyPatch):
    def broken(*_: object, **__: object) -> None:
        np.zeros(3).reshape(2)

    monkeypatch.setattr(data, "load", broken)
    is_defect(cli("train", "--output", "nowhere"), "cannot reshape")


@pytest.mark.parametrize(
    "error",
    [
        ValueError("a value"),
        TypeError("'list' object is not a mapping"),
        KeyError("name"),
        OSError("made up"),
        ImportError("cannot import name", name="pyvae.ops"),
        RecursionError("too deep"),
    ],
)
def test_an_error_of_pyvae_itself_is_no_mistake(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, error: Exception
):
    """Whatever its type, and though it comes from a module of the package."""

    module: dict[str, object] = {"__name__": "pyvae.data.loading", "error": error}
    exec("def broken(*_, **__):\n    raise error", module)
    monkeypatch.setattr(data, "load", module["broken"])
    is_defect(cli("train", "--output", "nowhere"), str(error))


def test_messages_become_one_line(capsys: pytest.CaptureFixture[str]):
    errors.complain("one\n  two [bold]three[/bold]")
    assert capsys.readouterr().err == "pyvae: error: one two [bold]three[/bold]\n"
