# SPDX-License-Identifier: MIT
"""``evaluate``, ``sample``, ``info`` and the help."""

from __future__ import annotations

import inspect
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from pyvae import ops
from pyvae.cli import app
from pyvae.models import GMVAE, VAE, from_pretrained

from .conftest import SMALL, Cli


def test_evaluate_repeats_the_metrics_of_the_run(cli: Cli, trained: Path):
    written = json.loads((trained / "metrics.json").read_text())
    result = cli("evaluate", trained, "--json")
    assert result.code == 0, result.err
    assert json.loads(result.out).items() <= written.items()
    assert f"{written['bound']:.3f}" in cli("evaluate", trained, "--no-baselines").out


def test_evaluate_takes_the_seed_and_the_parts_of_the_run(
    cli: Cli, tmp_path: Path, digits_file: Path
):
    """To the last digit, baselines included, though they saw a sample."""
    folder = tmp_path / "run"
    options = ("--seed", 3, "--validation", 0.2, "--early-stopping", 1, "--split", "all")
    arguments = (*SMALL, *options, "--quiet", "--no-pictures")
    parts = dict(np.load(digits_file))
    parts = {
        f"{name}_{part}": values for name, values in parts.items() for part in ("train", "test")
    }
    np.savez(tmp_path / "parts.npz", **parts)
    result = cli("train", "--data", tmp_path / "parts.npz", *arguments, "--output", folder)
    assert result.code == 0, result.err
    written = json.loads((folder / "metrics.json").read_text())
    assert written["examples"] == 300
    assert json.loads(cli("evaluate", folder, "--json").out) == written
    other = json.loads(cli("evaluate", folder, "--json", "--seed", 0, "--no-baselines").out)
    assert other["bound"] != written["bound"]
    part = json.loads(cli("evaluate", folder, "--json", "--split", "test").out)
    assert (part["split"], part["examples"]) == ("test", 150)
    (folder / "metrics.json").write_text(json.dumps({**written, "baseline_examples": 90}))
    fewer = cli("evaluate", folder)
    assert "scikit-learn's k-means on 90 of 300 rows\n" in fewer.out
    assert "were fitted to 90 of the 300 examples, and all are scored" in fewer.out


def test_evaluate_takes_other_data_and_labels(cli: Cli, tmp_path: Path, trained: Path):
    np.save(tmp_path / "x.npy", np.random.default_rng(0).uniform(size=(30, 64)))
    np.save(tmp_path / "y.npy", np.arange(30) % 3)
    bare = json.loads(cli("evaluate", trained, "--data", tmp_path / "x.npy", "--json").out)
    assert bare["examples"] == 30
    assert "clustering" not in bare
    labels = ("--labels", tmp_path / "y.npy", "--samples", 7)
    scored = cli("evaluate", trained, "--data", tmp_path / "x.npy", *labels, "--json")
    figures = json.loads(scored.out)
    assert "clustering" in figures
    assert figures["log_likelihood_samples"] == 7


def test_evaluate_takes_a_saved_model(cli: Cli, tmp_path: Path, trained: Path, digits_file: Path):
    assert cli("evaluate", trained / "model").code == 2
    result = cli("evaluate", trained / "model", "--data", digits_file, "--no-baselines")
    assert result.code == 0, result.err
    VAE(64, 2, hidden=(4,)).save_pretrained(tmp_path)
    result = cli("evaluate", tmp_path, "--data", digits_file)
    assert result.code == 0, result.err
    assert "clustering" not in result.out


def test_sample_writes_the_models_samples(cli: Cli, tmp_path: Path, trained: Path):
    target = tmp_path / "x.npy"
    result = cli("sample", trained, "-n", 5, "--component", 2, "--seed", 4, "--output", target)
    assert result.code == 0, result.err
    assert result.out == f"5 samples in {target}\n"
    generator = torch.Generator().manual_seed(4)
    expected = from_pretrained(trained / "model").sample(5, 2, generator)
    np.testing.assert_array_equal(np.load(target), expected.numpy())


@pytest.mark.parametrize("component", [(), ("--component", 1)])
def test_sample_draws_a_picture_into_the_run(
    cli: Cli, tmp_path: Path, trained: Path, component: tuple
):
    folder = shutil.copytree(trained, tmp_path / "run")
    assert cli("sample", folder, "-n", 7, *component).code == 0
    assert (folder / "samples.png").stat().st_size > 1000
    before = (trained / "component_samples.png").read_bytes()
    assert (folder / "component_samples.png").read_bytes() == before


def test_sample_of_a_bare_model_draws_a_table(cli: Cli, tmp_path: Path):
    GMVAE(6, 2, num_components=2, hidden=(4,)).save_pretrained(tmp_path)
    assert cli("sample", tmp_path, "--output", tmp_path / "x.pdf").code == 0
    assert (tmp_path / "x.pdf").read_bytes().startswith(b"%PDF")


def test_info_tells_where_every_op_runs(cli: Cli):
    result = cli("info")
    assert result.code == 0
    facts, build = json.loads(cli("info", "--json").out), ops.build_info()
    assert facts["version"] == build["version"]
    assert facts["torch"] == torch.__version__
    assert facts["instruction_set_chosen"] == build["instruction_set"]
    assert facts["instruction_sets_compiled"] == build["instruction_sets"]
    assert facts["threads"] == torch.get_num_threads()
    assert [op["name"] for op in facts["ops"]] == [op["name"] for op in ops.op_table()]
    for op in facts["ops"]:
        assert f"CPU: {build['instruction_set']}" in op["runs_on"]
        assert op["name"] in result.out


def test_version_and_bare_command(cli: Cli):
    assert cli("--version").out == f"pyvae {ops.build_info()['version']}\n"
    assert cli().out == cli("--help").out
    assert cli("-h").code == 0


@pytest.mark.parametrize("columns", [60, 80, 120, 200])
@pytest.mark.parametrize("command", ["train", "evaluate", "predict", "sample", "info"])
def test_help_fits_the_terminal(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, columns: int, command: str
):
    monkeypatch.setenv("COLUMNS", str(columns))
    out = cli(command, "--help").out
    assert max(map(len, out.splitlines())) <= columns
    assert columns < 80 or "…" not in out


def test_help_has_a_panel_for_every_kind_of_option(cli: Cli, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("COLUMNS", "160")
    out = cli("train", "--help").out
    for panel in ("Data", "Model", "Training", "Machine", "Run folder and output"):
        assert f"─ {panel} ─" in out
    options = set(inspect.signature(app.train).parameters) - {"ctx"}
    assert all("--" + name.replace("_", "-") in out for name in options)
