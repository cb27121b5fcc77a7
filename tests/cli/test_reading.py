# SPDX-License-Identifier: MIT
"""Options that say how data are read, and what a run remembers of them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pyvae.mixture import GaussianMixture

from .conftest import SMALL, Cli
from .test_mistakes import is_mistake

QUICK = (*SMALL, "--no-baselines", "--no-pictures")
DRAW = np.random.default_rng(0)


def test_fit_mixture_fits_all_columns_in_their_precision(cli: Cli, tmp_path: Path) -> None:
    x = np.concatenate([DRAW.normal(1.7e9 + at, 1.0, (40, 2)) for at in (0, 20)])
    rows = "\n".join(f"{a:.3f};{b:.3f}" for a, b in x).replace(".", ",")
    (tmp_path / "a.csv").write_text("x;y\n" + rows)
    folder = tmp_path / "out"
    result = cli("fit-mixture", tmp_path / "a.csv", "-k", 2, "--output", folder)
    assert result.code == 0, result.err
    means = np.sort(GaussianMixture.load(folder).means_, axis=0)
    np.testing.assert_allclose(means, [x[:40].mean(0), x[40:].mean(0)], rtol=0, atol=0.01)
    assert json.loads((folder / "mixture.json").read_text())["columns"] == ["x", "y"]
    lines = result.out.splitlines()
    assert "read with decimal commas" in lines[0]
    assert next(line.split() for line in lines if "weight" in line)[-2:] == ["x", "y"]
    assert "1700000020" in result.out


def test_fit_mixture_marginalizes_missing_values(cli: Cli, tmp_path: Path) -> None:
    text = "a,label\nNA,1.5\n" + "".join(f"{a:.4f},{b:.4f}\n" for a, b in DRAW.normal(size=(30, 2)))
    (tmp_path / "a.csv").write_text(text)
    fit = ("fit-mixture", tmp_path / "a.csv", "-k", 1, "--output", tmp_path / "out")
    is_mistake(cli(*fit), "line 2, column 1 (a) is missing", "--missing marginalize")
    result = cli(*fit, "--missing", "marginalize")
    assert result.code == 0, result.err
    assert "column 'label' is a feature; --drop label leaves it out" in result.out
    assert "mixture.png shows 30 of 31 points" in result.out
    assert len(np.load(tmp_path / "out" / "labels.npy")) == 31


def test_a_run_is_scored_and_resumed_by_its_options(cli: Cli, tmp_path: Path) -> None:
    rows = [f"r{i}|{DRAW.normal():.3f}|{DRAW.normal():.3f}|{'ab'[i % 2]}" for i in range(30)]
    source, run = tmp_path / "a.csv", tmp_path / "run"
    source.write_text("id|u|v|y\n" + "\n".join(rows))
    options = ("--drop", "id", "--label-column", "y")
    result = cli("train", "--data", source, *options, *QUICK, "--output", run)
    assert result.code == 0, result.err
    assert "labels from column 4 (y), for the score only" in result.out
    assert "2 classes: a, b" in result.out
    assert json.loads((run / "metrics.json").read_text())["classes"] == ["a", "b"]
    assert json.loads((run / "run.json").read_text())["columns"] == ["u", "v"]
    assert cli("train", "--output", run, "--resume", "--quiet").code == 0
    scored = json.loads(cli("evaluate", run, "--json", "--no-baselines").out)
    assert "clustering" in scored
    # Other data of the same form may come without labels, and with another delimiter.
    (tmp_path / "b.csv").write_text("v;id;u\n1,5;q;2\n2;r;2,5\n3;s;3\n")
    other = ("evaluate", run, "--data", tmp_path / "b.csv", "--no-baselines")
    assert cli(*other, "--delimiter", "semicolon").code == 0
    # An older run knows of no such options; by the rules of its time y holds labels.
    older = shutil.copytree(run, tmp_path / "older")
    source.write_text("u,v,y\n" + "\n".join(f"{i / 30},{i % 7},{i % 2}" for i in range(30)))
    saved = json.loads((older / "run.json").read_text())
    for name in ("label_column", "no_label_column", "columns", "drop", "delimiter", "decimal",
                 "header", "missing", "reading_rules"):  # fmt: skip
        del saved["options"][name]
    (older / "run.json").write_text(json.dumps(saved))
    assert "clustering" in json.loads(cli("evaluate", older, "--json", "--no-baselines").out)
    is_mistake(cli("evaluate", older, "--no-label-column"), "3 features")


@pytest.mark.parametrize("command", ["train", "evaluate"])
def test_mistakes(cli: Cli, tmp_path: Path, trained: Path, command: str) -> None:
    run = ("evaluate", trained) if command == "evaluate" else ("train", "--output", tmp_path / "r")
    is_mistake(cli(*run, "--missing", "marginalize"), "--missing marginalize", "fit-mixture")
    both = ("--label-column", "y", "--no-label-column")
    is_mistake(cli(*run, *both), "--label-column and --no-label-column exclude each other")
    is_mistake(cli(*run, "--delimiter", "dash"), "delimiter is 'dash'")


def test_a_folder_of_images_with_channels(cli: Cli, tmp_path: Path) -> None:
    for name in ("red", "blue"):
        for i in range(12):
            pixels = DRAW.integers(0, 90, (5, 6, 3), dtype=np.uint8)
            pixels[..., 0 if name == "red" else 2] += 160
            (tmp_path / "images" / name).mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(tmp_path / "images" / name / f"{i}.png")
    run = tmp_path / "run"
    result = cli("train", "--data", tmp_path / "images", *SMALL, "--no-baselines", "--output", run)
    assert result.code == 0, result.err
    assert "2 classes: blue, red" in result.out
    assert json.loads((run / "run.json").read_text())["image_shape"] == [3, 5, 6]
    assert cli("sample", run, "-n", 4).code == 0
    drawn = np.asarray(Image.open(run / "samples.png").convert("RGB")).astype(int)
    assert (np.abs(drawn[..., 0] - drawn[..., 2]) > 20).any()  # in colour
