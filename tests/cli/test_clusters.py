# SPDX-License-Identifier: MIT
"""``pyvae train`` from clusters of the data, which it looks for where the data suit it."""

from __future__ import annotations

import errno
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pyvae.clustering import InvariantClustering
from pyvae.data import load
from pyvae.models import GMVAE, from_pretrained
from pyvae.training.clusters import NAMED

from .conftest import Cli

SHORT: dict[str, Any] = {"n_steps": 15, "n_refining_steps": 5, "n_init": 1, "batch_size": 50}
SMALL = ("--components", "3", "--latent-dim", "2", "--hidden", "16", "--threads", "1")


def _short(clusters: int, **options: Any) -> InvariantClustering:
    return InvariantClustering(clusters, **{**options, **SHORT})


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look for clusters in less time, in fewer images."""
    monkeypatch.setitem(NAMED, "invariant", _short)
    monkeypatch.setattr("pyvae.training.plan.MANY", 100)
    monkeypatch.setattr("pyvae.training.plan.FEW", 100)


@pytest.mark.usefixtures("short")
def test_images_in_number_begin_at_clusters(cli: Cli, tmp_path: Path, digits_file: Path) -> None:
    folder = tmp_path / "run"
    arguments = ("train", "--data", digits_file, *SMALL, "--output", folder)
    result = cli(*arguments, "--epochs", 2, "--no-baselines")
    assert result.code == 0, result.err
    assert "start  invariant, since the data are 150 images; --initialization" in result.out
    assert "parameters and those of its clusters\n" in result.out
    options = json.loads((folder / "run.json").read_text())["options"]
    names = ("initialization", "epochs", "pretrain_epochs", "warmup_epochs", "batch_size")
    assert [options[name] for name in names] == ["invariant", 2, 0, 0, 64]
    metrics = json.loads((folder / "metrics.json").read_text())
    assert 0.0 < metrics["information"] <= 1.0987
    assert (folder / "merges.png").exists()
    model, data = from_pretrained(folder), load(digits_file)
    assert isinstance(model, GMVAE)
    torch.testing.assert_close(metrics["information"], float(model.classifier.information))  # type: ignore[union-attr,arg-type]
    clusters = tmp_path / "clusters.csv"
    result = cli("predict", folder, digits_file, "--output", clusters)
    assert result.code == 0, result.err
    found = [int(line.split(",")[0]) for line in clusters.read_text().splitlines()[1:]]
    assert found == model.predict(data.x).tolist()
    again = cli("train", "--output", folder, "--resume", "--initialization", "em")
    assert again.code == 2
    assert "has invariant" in again.err
    assert cli("train", "--output", folder, "--resume", "--no-pictures", "--quiet").code == 0


def test_it_can_be_asked_for_otherwise(cli: Cli, tmp_path: Path, digits_file: Path) -> None:
    arguments = ("train", "--data", digits_file, *SMALL, "--output", tmp_path / "run")
    result = cli(*arguments, "--initialization", "invariant", "--pretrain-epochs", 3)
    assert result.code == 2
    assert "pretrain_epochs=3: pretraining would draw the codes" in result.err
    assert not (tmp_path / "run").exists()
    result = cli(*arguments, "--epochs", 1, "--pretrain-epochs", 1, "--no-pictures")
    assert result.code == 0, result.err
    assert "start  em, since pretraining was asked for" in result.out
    assert "parameters\n" in result.out
    assert "information" not in json.loads((tmp_path / "run" / "metrics.json").read_text())


def test_clusters_of_neighbours_were_not_merged(
    cli: Cli, tmp_path: Path, digits_file: Path
) -> None:
    """Each component is one of the network's: a picture of what was merged has nothing to show."""
    folder = tmp_path / "run"
    arguments = ("train", "--data", digits_file, *SMALL, "--output", folder, "--epochs", 1)
    result = cli(*arguments, "--initialization", "graph", "--no-baselines")
    assert result.code == 0, result.err
    assert not (folder / "merges.png").exists()
    metrics = json.loads((folder / "metrics.json").read_text())
    assert 0.5 < metrics["information"] <= 1.0987


@pytest.mark.usefixtures("short")
def test_what_a_search_has_found_outlives_a_failure(
    cli: Cli, tmp_path: Path, digits_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may have taken hours, and the failure may be of the disk or of the data's place."""
    folder, x = tmp_path / "run", tmp_path / "x.npy"
    images = np.load(digits_file)["x"]
    np.save(x, images)
    arguments = ("train", "--data", x, *SMALL, "--output", folder, "--epochs", 1, "--no-pictures")

    def stopped(*_: Any) -> Any:
        raise OSError(errno.ENOSPC, "No space left on device", "clusters")

    with monkeypatch.context() as patched:
        patched.setattr(InvariantClustering, "save", stopped)
        assert cli(*arguments).code == 2
    assert (folder / "clusters" / "run-1.safetensors").exists()
    np.save(x, images[::-1])
    result = cli("train", "--output", folder, "--resume", "--no-pictures")
    assert result.code == 2
    assert "is the checkpoint of another fit, whose X is" in result.err
    np.save(x, images)
    monkeypatch.setattr("pyvae.clustering.run._run", stopped)  # not done again
    result = cli("train", "--output", folder, "--resume", "--no-pictures")
    assert result.code == 0, result.err
