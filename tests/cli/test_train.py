# SPDX-License-Identifier: MIT
"""What ``pyvae train`` leaves and says."""

from __future__ import annotations

import csv
import io
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from pyvae.cli.app import run
from pyvae.data import load
from pyvae.models import GMVAE, VAE, from_pretrained
from pyvae.training import evaluate

from .conftest import SMALL, Cli

PNG = b"\x89PNG\r\n\x1a\n"


def test_a_run_leaves_everything(trained: Path):
    assert {path.name for path in trained.iterdir()} >= {
        "run.json", "last.ckpt", "best.ckpt", "model", "metrics.json", "history.csv",
        "history.json", "history.png", "latent_space.png", "reconstructions.png",
        "component_samples.png", "confusion.png",
    }  # fmt: skip
    for picture in trained.glob("*.png"):
        assert picture.read_bytes()[:8] == PNG
    with (trained / "history.csv").open() as file:
        assert [row["phase"] for row in csv.DictReader(file)] == ["pretrain", "joint", "joint"]


def test_metrics_are_those_of_the_saved_model(trained: Path, digits_file: Path):
    written = json.loads((trained / "metrics.json").read_text())
    expected = evaluate(from_pretrained(trained / "model"), load(digits_file))
    assert written["clustering"] == expected["clustering"]
    assert written["baselines"] == expected["baselines"]
    assert written["bound"] == pytest.approx(expected["bound"], rel=1e-6)
    assert written["data"] == str(digits_file)


def test_another_objective_is_without_warm_up(cli: Cli, tmp_path: Path, digits_file: Path):
    short = (*SMALL[:4], *SMALL[6:])
    assert "--warmup-epochs" not in short
    arguments = ("--objective", "reweighted-wake-sleep", "--num-samples", 3, "--no-pictures")
    folder = tmp_path / "run"
    result = cli("train", "--data", digits_file, *short, *arguments, "--output", folder)
    assert result.code == 0, result.err
    saved = json.loads((folder / "run.json").read_text())["options"]
    assert (saved["objective"], saved["warmup_epochs"]) == ("reweighted-wake-sleep", 0)
    arguments = (*arguments, "--beta", 2, "--output", tmp_path / "other")
    with_beta = cli("train", "--data", digits_file, *arguments)
    assert with_beta.code == 2
    assert "has no beta to scale; build the model with beta=1 (it has 2)" in with_beta.err


def test_options_reach_the_model(cli: Cli, tmp_path: Path, digits_file: Path):
    result = cli(
        "train", "--data", digits_file, *SMALL, "--covariance", "diagonal", "--posterior",
        "amortized", "--learn-weights", "--closed-form", "--likelihood", "gaussian", "--beta", 0.5,
        "--num-samples", 2, "--hidden", "9,7", "--output", tmp_path / "run", "--no-pictures",
        "--no-baselines", "--pretrain-epochs", 0,
    )  # fmt: skip
    assert result.code == 0, result.err
    model = from_pretrained(tmp_path / "run" / "model")
    assert isinstance(model, GMVAE)
    expected = {
        "input_dim": 64, "latent_dim": 2, "num_components": 3, "covariance": "diagonal",
        "posterior": "amortized", "learn_weights": True, "closed_form": True,
        "likelihood": "gaussian", "beta": 0.5, "num_samples": 2, "hidden": [9, 7],
    }  # fmt: skip
    assert model.config.items() >= expected.items()
    assert not list((tmp_path / "run").glob("*.png"))
    assert "k-means" not in result.out
    assert "baselines" not in json.loads((tmp_path / "run" / "metrics.json").read_text())


def test_options_reach_the_trainer(cli: Cli, tmp_path: Path, digits_file: Path):
    result = cli(
        "train", "--data", digits_file, *SMALL, "--lr", 0.5, "--schedule", "linear", "--optimizer",
        "adamw", "--weight-decay", 0.1, "--grad-clip", 0.01, "--batch-size", 50, "--seed", 7,
        "--prior-update", "em", "--prior-lr", 0.3, "--pretrain-lr", 0.25,
        "--output", tmp_path / "run", "--no-pictures", "--no-baselines",
    )  # fmt: skip
    assert result.code == 0, result.err
    rows = json.loads((tmp_path / "run" / "history.json").read_text())
    assert [row["lr"] for row in rows] == [0.25, 0.5, 0.25]
    options = json.loads((tmp_path / "run" / "run.json").read_text())["options"]
    assert (options["seed"], options["batch_size"], options["grad_clip"]) == (7, 50, 0.01)
    assert (options["prior_update"], options["prior_lr"]) == ("em", 0.3)
    assert options["pretrain_lr"] == 0.25
    state = torch.load(
        io.BytesIO((tmp_path / "run" / "last.ckpt").read_bytes().partition(b"\n")[2]),
        weights_only=True,
    )
    assert state["optimizer"]["mixture"]["param_groups"][0]["lr"] == 0.3


def test_a_vamp_prior_and_a_capacity(cli: Cli, tmp_path: Path, digits_file: Path):
    short = ("--epochs", 2, "--latent-dim", 2, "--hidden", "16", "--no-baselines")
    common = ("--data", digits_file, "--model", "vae", *short)
    options = ("--pseudo-inputs", 5, "--capacity", 4, "--capacity-epochs", 1)
    result = cli("train", *common, *options, "--validation", 0.2, "--output", tmp_path / "run")
    assert result.code == 0, result.err
    model = from_pretrained(tmp_path / "run" / "model")
    assert model.config["prior"] == {"pseudo_inputs": [5, 64], "learn_weights": False}
    rows = json.loads((tmp_path / "run" / "history.json").read_text())
    assert [row["capacity"] for row in rows] == [0.0, 4.0]
    assert (tmp_path / "run" / "latent_space.png").exists()
    result = cli("train", *common, "--pseudo-inputs", 9999, "--output", tmp_path / "other")
    assert result.code == 2
    assert "--pseudo-inputs 9999: they start from examples, and there are" in result.err
    for name, needed in (("--prior-lr", "--prior-update em"), ("--capacity-epochs", "--capacity")):
        result = cli("train", name, 1, "--output", tmp_path / "other")
        assert result.code == 2
        assert f"{name} has no use without {needed}" in result.err
    result = cli("train", "--pseudo-inputs", 5, "--output", tmp_path / "other")
    assert result.code == 2
    assert "--pseudo-inputs belongs to --model vae; a gmvae's mixture is its prior" in result.err


@pytest.mark.parametrize(("image", "kind"), [(True, "png"), (False, "pdf")])
def test_a_plain_vae(cli: Cli, tmp_path: Path, digits_file: Path, image: bool, kind: str):
    source = digits_file
    if not image:
        source = tmp_path / "table.csv"
        np.savetxt(source, np.random.default_rng(0).normal(size=(60, 5)), delimiter=",")
    result = cli(
        "train", "--data", source, "--model", "vae", "--epochs", 2, "--latent-dim", 3, "--hidden",
        8, "--output", tmp_path / "run", "--picture-format", kind,
    )  # fmt: skip
    assert result.code == 0, result.err
    model = from_pretrained(tmp_path / "run" / "model")
    assert isinstance(model, VAE)
    assert model.config["likelihood"] == ("bernoulli" if image else "gaussian")
    names = {path.stem for path in (tmp_path / "run").glob(f"*.{kind}")}
    assert names == {"history", "latent_space", "reconstructions", "component_samples"}
    assert "clustering" not in result.out


def test_the_summary_names_every_figure(cli: Cli, tmp_path: Path, digits_file: Path):
    result = cli(
        "train", "--data", digits_file, *SMALL, "--output", tmp_path / "run", "--no-pictures"
    )
    assert result.code == 0, result.err
    assert result.err == ""
    figures = json.loads((tmp_path / "run" / "metrics.json").read_text())
    lines = [line for line in result.out.splitlines() if line.strip()]
    rows = {
        "evidence lower bound": figures["bound"],
        "reconstruction, E[log p(x|w)]": figures["reconstruction"],
        "-KL(q(z|w,x) || p(z))": figures["neg_kl_z"],
        "entropy of q(w|x)": figures["entropy_w"],
    }
    for name, value in rows.items():
        (line,) = [line for line in lines if line.strip().startswith(name)]
        assert line.split()[-1] == f"{value:.3f}"
    clusterings = {
        "GM-VAE": figures["clustering"],
        "k-means on the data (scikit-learn)": figures["baselines"]["kmeans"],
        "GaussianMixture on the data (scikit-learn)": figures["baselines"]["gaussian_mixture"],
    }
    for name, scores in clusterings.items():
        (line,) = [line for line in lines if line.startswith(name)]
        assert line.split()[-3:] == [f"{score:.3f}" for score in scores.values()]
    assert "clustering accuracy" in result.out
    assert "NMI" in result.out
    assert "ARI" in result.out


def test_plain_output_has_no_escapes_and_no_padding(cli: Cli, tmp_path: Path, digits_file: Path):
    out = cli("train", "--data", digits_file, *SMALL, "--output", tmp_path / "run").out
    assert "\x1b" not in out
    assert "\r" not in out
    assert all(line == line.rstrip() for line in out.splitlines())


def test_plain_output_needs_no_more_than_ascii(
    tmp_path: Path, digits_file: Path, monkeypatch: pytest.MonkeyPatch
):
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding="ascii"))
    code = run(["train", "--data", str(digits_file), *SMALL, "--output", str(tmp_path / "run")])
    sys.stdout.flush()
    assert code == 0
    assert b"clustering accuracy" in written.getvalue()


@pytest.mark.parametrize(("scale", "told"), [(1.0, False), (50.0, True)])
def test_columns_in_different_units_are_told(cli: Cli, tmp_path: Path, scale: float, told: bool):
    x = np.random.default_rng(0).normal(size=(60, 4)) * [1, 1, 1, scale]
    np.savetxt(tmp_path / "x.csv", x, delimiter=",")
    result = cli(
        "train", "--data", tmp_path / "x.csv", *SMALL, "--output", tmp_path / "run",
        "--no-pictures", "--no-standardize",
    )  # fmt: skip
    assert result.code == 0, result.err
    assert ("train better without --no-standardize" in result.out) == told


def test_quiet_prints_nothing(cli: Cli, tmp_path: Path, digits_file: Path):
    result = cli(
        "train", "--data", digits_file, *SMALL, "--output", tmp_path / "run", "--quiet",
        "--no-pictures",
    )  # fmt: skip
    assert result == (0, "", "")


def test_the_default_folder_is_named_after_data_and_model(
    cli: Cli, tmp_path: Path, digits_file: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    assert cli("train", "--data", digits_file, *SMALL, "--quiet", "--no-pictures").code == 0
    assert (tmp_path / "runs" / "digits-gmvae" / "metrics.json").exists()


def test_same_seed_same_run(cli: Cli, tmp_path: Path, digits_file: Path):
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        cli(
            "train", "--data", digits_file, *SMALL, "--seed", seed, "--output", tmp_path / name,
            "--quiet", "--no-pictures", "--no-baselines",
        )  # fmt: skip
    a, b, c = (from_pretrained(tmp_path / name / "model").state_dict() for name in "abc")
    assert all(torch.equal(a[name], b[name]) for name in a)
    assert not torch.equal(a["component_means"], c["component_means"])


def test_validation_is_held_out(cli: Cli, tmp_path: Path, digits_file: Path):
    result = cli(
        "train", "--data", digits_file, *SMALL, "--validation", 0.2, "--early-stopping", 5,
        "--output", tmp_path / "run", "--quiet",
    )  # fmt: skip
    assert result.code == 0, result.err
    rows = json.loads((tmp_path / "run" / "history.json").read_text())
    assert all("val_bound" in row for row in rows)


def test_labels_of_their_own_file_are_for_the_score_only(
    cli: Cli, tmp_path: Path, digits_file: Path
):
    stored = np.load(digits_file)
    np.save(tmp_path / "x.npy", stored["x"])
    np.save(tmp_path / "y.npy", stored["labels"])
    for name, labels in (("with", ("--labels", tmp_path / "y.npy")), ("without", ())):
        result = cli(
            "train", "--data", tmp_path / "x.npy", *labels, *SMALL, "--output", tmp_path / name,
            "--quiet", "--no-pictures",
        )  # fmt: skip
        assert result.code == 0, result.err
    scored, bare = (
        json.loads((tmp_path / name / "metrics.json").read_text()) for name in ("with", "without")
    )
    assert "clustering" in scored
    assert "clustering" not in bare
    assert scored["bound"] == bare["bound"]
