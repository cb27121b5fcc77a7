# SPDX-License-Identifier: MIT
"""A small data set, a trained run that tests may read, and the command line in this process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from sklearn.datasets import load_digits

from pyvae.cli.app import run

SMALL = (
    "--epochs", "2", "--pretrain-epochs", "1", "--warmup-epochs", "1", "--components", "3",
    "--latent-dim", "2", "--hidden", "16", "--threads", "1",
)  # fmt: skip


class Result(NamedTuple):
    """What a command left."""

    code: int
    out: str
    err: str


Cli = Callable[..., Result]


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]) -> Cli:
    """Run the command line here: as a process of its own it would import torch every time."""

    def call(*args: object) -> Result:
        capsys.readouterr()
        code = run([str(arg) for arg in args])
        captured = capsys.readouterr()
        return Result(code, captured.out, captured.err)

    return call


@pytest.fixture(scope="session")
def digits_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """150 digits of three classes, as images, with labels."""
    pixels, labels = load_digits(n_class=3, return_X_y=True)
    path = tmp_path_factory.mktemp("data") / "digits.npz"
    images = (pixels[:150] / 16).reshape(-1, 8, 8).astype(np.float32)
    np.savez(path, x=images, labels=labels[:150])
    return path


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory, digits_file: Path) -> Path:
    """The folder of a finished run; tests must leave it as it is."""
    folder = tmp_path_factory.mktemp("runs") / "digits"
    arguments = ["train", "--data", str(digits_file), *SMALL, "--output", str(folder), "--quiet"]
    assert run(arguments) == 0
    return folder
