# SPDX-License-Identifier: MIT
"""The studies are commands: they tell their options, and name a mistake in one line."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import pytest

import benchmarks.studies
from pyvae.cli import manners

NAMES = sorted(
    path.stem
    for path in Path(benchmarks.studies.__file__).parent.glob("*.py")
    if path.stem[0] != "_"
)


def run(name: str, *args: str) -> int:
    study = import_module(f"benchmarks.studies.{name}")
    return manners.run(study.app, name, args)


@pytest.mark.parametrize("name", NAMES)
def test_help_tells_every_option(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(name, "--help") == 0
    shown = capsys.readouterr().out
    assert f"Usage: {name} [OPTIONS]" in shown
    assert "--threads" in shown


@pytest.mark.parametrize(
    ("name", "args", "words"),
    [
        ("digits_seeds", ["--first", "3", "--last", "2"], "--first 3 comes after --last 2"),
        ("mapped_file", ["--folder", "nowhere"], "--folder: nowhere is no folder"),
        ("mapped_file", ["--folder", ".", "--points", str(10**15)], "no room for a file of"),
        ("mixture_starts", ["--shapes", "flat"], "--shapes 'flat'; expected one of"),
        ("neighbor_graphs", ["--first", "3", "--last", "2"], "--first 3 comes after --last 2"),
        ("prior_updates", ["--mnist", "nowhere"], "nowhere: no such file"),
        ("shares", ["digits", "--first", "3", "--last", "2"], "--first 3 comes after --last 2"),
        ("shares", ["digits", "--ratio", "0.5"], "--ratio"),
        ("small_calls", ["--size", "3x4"], "'3x4' must be three numbers"),
        ("small_tables", ["--first", "3", "--last", "2"], "--first 3 comes after --last 2"),
        ("vamp_prior", ["--threads", "0"], "--threads"),
        ("views", ["nowhere"], "nowhere: no such file"),
        ("views", ["digits", "--first", "3", "--last", "2"], "--first 3 comes after --last 2"),
    ],
)
def test_mistakes(
    name: str, args: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(name, *args) == 2
    err = capsys.readouterr().err
    assert err.startswith(f"{name}: error: ")
    assert words in err
    assert err.count("\n") == 1


def test_a_study_prints_what_it_measured(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("training_step", "--steps", "2", "--batch", "4", "--threads", "1") == 0
    shown = capsys.readouterr().out
    assert shown.startswith("batch 4, D=10, K=10, 1 threads, medians")
    assert "eager: step" in shown
    small = ("--rounds", "1", "--hidden", "3", "--threads", "1", "--features", "4")
    assert run("vamp_prior", *small, "--pseudo-inputs", "3", "--latent-dim", "2") == 0
    assert "| (3, 3) | 1 |" in capsys.readouterr().out


def test_the_study_of_shares_thins_half_of_the_classes(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("shares", "digits", "--walk", "1", "--ratio", "10", "--threads", "1") == 0
    assert "| walk 1, default | 1:10 | 0 | 955 | " in capsys.readouterr().out


def test_the_study_of_a_mapped_file_removes_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny = ("--points", "3000", "--in-memory", "1000", "--components", "5", "--threads", "1")
    assert run("mapped_file", "--folder", str(tmp_path), *tiny) == 0
    assert "| 3,000 | file |" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []


def test_the_study_of_starts_goes_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Fits that its file has are not made again, and what it says of them is the same."""
    output, image = tmp_path / "fits.csv", tmp_path / "starts.png"
    args = ("--shapes", "pancakes, tied", "--seeds", "1", "--output", str(output))
    assert run("mixture_starts", *args) == 0
    first, fits = capsys.readouterr().out, output.read_text()
    assert "| *pancakes, tied* | 1.00, " in first
    assert len(fits.splitlines()) == 6
    assert run("mixture_starts", *args, "--picture", str(image)) == 0
    assert capsys.readouterr().out == first
    assert output.read_text() == fits
    assert image.stat().st_size > 1000
