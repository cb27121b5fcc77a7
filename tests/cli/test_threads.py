# SPDX-License-Identifier: MIT
"""``--threads``, and how many threads a command takes without it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from pyvae.cli import fit_kl, threads
from pyvae.cli.errors import UserError
from pyvae.models import GMVAE

from .conftest import SMALL, Cli


@pytest.fixture(autouse=True)
def taken(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The numbers of threads that were set, on a machine on which torch would take two."""
    found = [2]
    monkeypatch.setattr(threads.os, "cpu_count", lambda: 4)
    monkeypatch.setattr(torch, "set_num_threads", found.append)
    monkeypatch.setattr(torch, "get_num_threads", lambda: found[-1])
    return found


def test_a_small_problem_takes_one():
    assert threads.use_threads(None, work=1e6) == 1


def test_a_large_problem_takes_those_of_torch(taken: list[int]):
    assert threads.use_threads(None, work=1e9) == 2
    assert threads.use_threads(3, work=0) == 3
    assert taken == [2, 3]


def test_the_size_is_that_of_the_largest_product():
    digits, images = (GMVAE(d, 10, num_components=10, hidden=(256, 256)) for d in (64, 784))
    assert threads.work_of(digits, 128) == 2 * 128 * 256 * 256
    assert threads.use_threads(None, threads.work_of(images, 128)) == 2
    assert threads.use_threads(None, threads.work_of(digits, 128)) == 1


def test_every_command_that_computes_takes_them(
    cli: Cli, tmp_path: Path, trained: Path, taken: list[int]
):
    np.save(tmp_path / "x.npy", np.random.default_rng(0).normal(size=(50, 2)))
    for command in (
        ("evaluate", trained, "--no-baselines", "--samples", 2),
        ("sample", trained, "--output", tmp_path / "s.npy"),
        ("predict", trained, "--output", tmp_path / "k.npy"),
        ("fit-mixture", tmp_path / "x.npy", "-k", 2, "--output", tmp_path / "mixture"),
    ):
        result = cli(*command, "--threads", 3)
        assert (result.code, taken[-1]) == (0, 3), (command, result.err)
        taken.append(2)


@pytest.mark.parametrize(("given", "expected"), [(("--threads", 3), 3), ((), 1)])
def test_a_fit_on_the_line_takes_one_or_those(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, taken: list[int], given, expected
):
    def fitted(*_: object) -> None:
        raise UserError("far enough")

    monkeypatch.setattr(fit_kl, "fitted", fitted)
    result = cli("fit-kl", "--output", tmp_path / "kl.svg", *given)
    assert "far enough" in result.err
    assert taken == [2, expected]


def test_training_takes_one_for_small_layers(
    cli: Cli, tmp_path: Path, digits_file: Path, taken: list[int]
):
    small = SMALL[: SMALL.index("--threads")]
    more = ("--no-pictures", "--no-baselines", "--output", tmp_path / "run")
    result = cli("train", "--data", digits_file, *small, *more)
    assert "1 thread\n" in result.out
    assert json.loads((tmp_path / "run" / "run.json").read_text())["options"]["threads"] == 1
    assert cli("sample", tmp_path / "run", "--output", tmp_path / "s.npy").code == 0
    assert taken == [2, 1, 1]


def test_a_command_on_a_run_takes_the_runs():
    assert threads.threads_of({"options": {"threads": 3}}) == 3
    assert threads.threads_of({"options": {"threads": 64}}) == 4  # as many as there are
    assert threads.threads_of({}) is None
