# SPDX-License-Identifier: MIT
"""Convolutional networks on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from pyvae.models import ConvDecoder, ConvEncoder, from_pretrained

from .conftest import SMALL, Cli

CONV = ("--encoder", "conv", "--decoder", "conv", "--channels", "4,8")
BARE = ("--no-pictures", "--no-baselines")


def test_a_run_and_what_is_asked_of_it(cli: Cli, tmp_path: Path, digits_file: Path):
    folder = tmp_path / "run"
    common = ("--output", folder, "--schedule", "constant", *BARE)
    result = cli("train", "--data", digits_file, *SMALL, *CONV, *common)
    assert result.code == 0, result.err
    assert "model  GMVAE bernoulli, convolutional encoder and decoder, " in result.out
    model = from_pretrained(folder)
    assert isinstance(model.encoder, ConvEncoder)
    assert isinstance(model.decoder, ConvDecoder)
    assert model.config.items() >= {"image_shape": [1, 8, 8], "channels": [4, 8]}.items()

    figures = json.loads((folder / "metrics.json").read_text())
    result = cli("evaluate", folder, "--json", "--no-baselines")
    assert json.loads(result.out)["bound"] == figures["bound"]
    rows = tmp_path / "clusters.npy"
    assert cli("predict", folder, digits_file, "--output", rows).code == 0
    assert np.load(rows).shape == (150,)
    assert cli("sample", folder, "-n", 3, "--output", tmp_path / "samples.npy").code == 0
    assert np.load(tmp_path / "samples.npy").shape == (3, 64)

    result = cli("train", "--resume", "--epochs", 3, *common[:2], *BARE)
    assert result.code == 0, result.err
    assert len(json.loads((folder / "history.json").read_text())) == 4
    result = cli("train", "--resume", "--encoder", "mlp", *common[:2])
    assert result.code == 2
    assert f"--encoder mlp: the run in {folder} has conv, and a resumed run keeps" in result.err


def test_one_network_and_colours(cli: Cli, tmp_path: Path):
    colours = np.random.default_rng(0).integers(0, 256, (40, 6, 5, 3), dtype=np.uint8)
    np.save(tmp_path / "x.npy", colours)
    common = ("--data", tmp_path / "x.npy", "--model", "vae", "--epochs", 1, "--hidden", 8, *BARE)
    options = ("--decoder", "conv", "--likelihood", "gaussian", "--pseudo-inputs", 3)
    result = cli("train", *common, *options, "--output", tmp_path / "run")
    assert result.code == 0, result.err
    assert "model  VAE gaussian, convolutional decoder, " in result.out
    assert from_pretrained(tmp_path / "run").config["image_shape"] == [3, 6, 5]
    result = cli("train", *common, "--output", tmp_path / "other")
    assert result.code == 0, result.err
    assert "convolutional" not in result.out
    assert from_pretrained(tmp_path / "other").config["image_shape"] is None


@pytest.mark.parametrize("name", ["encoder", "decoder"])
def test_a_table_has_no_places(cli: Cli, tmp_path: Path, name: str):
    np.savetxt(tmp_path / "x.csv", np.random.default_rng(0).normal(size=(20, 9)), delimiter=",")
    output = ("--output", tmp_path / "run")
    result = cli("train", "--data", tmp_path / "x.csv", f"--{name}", "conv", *SMALL, *output)
    assert result.code == 2
    assert f"--{name} conv: {tmp_path / 'x.csv'} holds no images" in result.err
    assert f"or take --{name} mlp" in result.err
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--channels", "8"), "--channels has no use without --encoder conv or --decoder conv"),
        ((*CONV, "--channels", "8,3"), "channels[1] must be at least 4, got 3"),
        ((*CONV, "--channels", "a"), "--channels: expected widths like 256,256, got 'a'"),
        (("--encoder", "resnet"), "'mlp', 'conv'"),
    ],
)
def test_mistakes(cli: Cli, tmp_path: Path, options: tuple[str, ...], message: str):
    result = cli("train", *options, "--output", tmp_path / "run")
    assert result.code == 2
    assert message in result.err
    assert not (tmp_path / "run").exists()
