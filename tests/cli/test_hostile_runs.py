# SPDX-License-Identifier: MIT
"""Run folders whose run.json holds other things than a run's: mistakes, and no tracebacks."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from .conftest import Cli
from .test_mistakes import is_mistake

WRONG: dict[str, tuple[tuple[str, ...], Any]] = {
    "options is a list": (("options",), [1, 2]),
    "options is None": (("options",), None),
    "options.data is a list": (("options", "data"), ["digits"]),
    "options.labels is 3": (("options", "labels"), 3),
    "options.split is 'dev'": (("options", "split"), "dev"),
    "options.hidden is a list": (("options", "hidden"), [16]),
    "options.epochs is 'many'": (("options", "epochs"), "many"),
    "options.lr is a dict": (("options", "lr"), {}),
    "options.seed is True": (("options", "seed"), True),
    "options.schedule is 'steep'": (("options", "schedule"), "steep"),
    "image_shape is 'square'": (("image_shape",), "square"),
    "image_shape has 4 entries": (("image_shape",), [1, 1, 8, 8]),
    "image_shape.0 is -8": (("image_shape",), [-8, -8]),
}


def changed(trained: Path, folder: Path, names: tuple[str, ...], value: Any) -> Path:
    shutil.copytree(trained, folder)
    saved = json.loads((folder / "run.json").read_text())
    part = saved
    for name in names[:-1]:
        part = part[name]
    part[names[-1]] = value
    (folder / "run.json").write_text(json.dumps(saved))
    return folder


@pytest.mark.parametrize("words", WRONG)
def test_a_run_of_another_form(cli: Cli, tmp_path: Path, trained: Path, words: str):
    folder = changed(trained, tmp_path / "run", *WRONG[words])
    for command in (("train", "--resume", "--output"), ("evaluate",), ("sample",)):
        is_mistake(cli(*command, folder), str(folder / "run.json"), words)


@pytest.mark.parametrize(("name", "value"), [("epochs", -3), ("lr", 0.0), ("hidden", "a,b")])
def test_settings_out_of_their_range(cli: Cli, tmp_path: Path, trained: Path, name: str, value):
    folder = changed(trained, tmp_path / "run", ("options", name), value)
    is_mistake(cli("train", "--resume", "--output", folder), str(folder / "run.json"), name)


def test_images_of_another_size(cli: Cli, tmp_path: Path, trained: Path):
    folder = changed(trained, tmp_path / "run", ("image_shape",), [2**30, 2**30])
    is_mistake(cli("sample", folder), str(folder / "run.json"), "64 features")


@pytest.mark.parametrize("content", ["[" * 60_000, " " * 10**6, "\xff", '{"format": 1e999}'])
def test_a_file_that_is_no_description(cli: Cli, tmp_path: Path, trained: Path, content: str):
    folder = shutil.copytree(trained, tmp_path / "run")
    (folder / "run.json").write_bytes(content.encode("latin1"))
    is_mistake(cli("evaluate", folder), str(folder / "run.json"))
