# SPDX-License-Identifier: MIT
"""Any logger of Lightning's interface gets the settings and the rows of the history."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from lightning_fabric.loggers import CSVLogger, Logger
from sklearn.mixture import GaussianMixture

from pyvae.training import CallbackError, Trainer
from pyvae.training.divergence import TrainingDivergedError
from tests.training.helpers import blobs, small_model, small_trainer


class Memory(Logger):
    """One of Lightning's own class, as those of W&B and MLflow are."""

    name, version = "memory", 0

    def __init__(self, fail: str = "") -> None:
        self.params: list[dict[str, Any]] = []
        self.rows: list[tuple[int | None, dict[str, float]]] = []
        self.ends: list[str] = []
        self.fail = fail

    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        self.params.append(json.loads(json.dumps(params)))

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        if self.fail:
            raise OSError(self.fail)
        self.rows.append((step, metrics))

    def finalize(self, status: str) -> None:
        self.ends.append(status)


def half(progress: float) -> float:
    return 0.5


def test_a_logger_is_told_settings_rows_and_the_end():
    found = Memory()
    history = small_trainer(epochs=2, pretrain_epochs=1, logger=found, schedule=half).fit(
        small_model(), blobs(), blobs(20)
    )
    assert [step for step, _ in found.rows] == [1, 2, 3]
    for row, (_, metrics) in zip(history, found.rows, strict=True):
        assert metrics == {
            n: v for n, v in row.items() if v is not None and n not in ("epoch", "phase")
        }
    assert {"bound", "val_bound", "lr", "seconds", "active_units"} <= found.rows[-1][1].keys()
    assert found.ends == ["success"]
    (params,) = found.params
    assert params["model"]["class"] == "GMVAE"
    assert params["model"]["num_components"] == 3
    trainer = params["trainer"]
    assert (trainer["epochs"], trainer["batch_size"], trainer["objective"]) == (2, 32, "elbo")
    assert trainer["schedule"].startswith(f"{half.__module__}.half: 0.5")
    assert not {"progress", "logger", "output_dir"} & trainer.keys()


def test_an_estimator_is_named():
    found = Memory()
    start = GaussianMixture(3, random_state=0)
    small_trainer(epochs=1, pretrain_epochs=None, initialization=start, logger=found).fit(
        small_model(), blobs()
    )
    named = found.params[0]["trainer"]["initialization"]
    assert named == "sklearn.mixture._gaussian_mixture.GaussianMixture"


def test_fabrics_csv_logger_beside_another(tmp_path: Path):
    """Which has no place for settings, and says so."""
    found = Memory()
    trainer = small_trainer(logger=[CSVLogger(tmp_path, name="csv"), found])
    history = trainer.fit(small_model(), blobs())
    with (tmp_path / "csv" / "version_0" / "metrics.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["bound"]) for row in rows] == history.column("bound")
    assert [int(row["step"]) for row in rows] == history.column("epoch")
    assert len(found.rows) == 6


def test_tensorboard_beside_fabrics(tmp_path: Path):
    """``tensorboard=True`` writes scalars where it always did."""
    pytest.importorskip("tensorboard")
    from lightning_fabric.loggers import TensorBoardLogger
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    run, own = tmp_path / "run", tmp_path / "own"
    trainer = small_trainer(output_dir=run, tensorboard=True, logger=TensorBoardLogger(own))
    history = trainer.fit(small_model(), blobs())
    for folder in (run / "tensorboard", own / "lightning_logs" / "version_0"):
        events = EventAccumulator(str(folder)).Reload()
        bounds = [(event.step, event.value) for event in events.Scalars("bound")]
        steps, values = zip(*bounds, strict=True)
        assert list(steps) == history.column("epoch")
        assert values == pytest.approx(history.column("bound"))
    names = EventAccumulator(str(run / "tensorboard")).Reload().Tags()["scalars"]
    assert "hp_metric" not in names
    assert "epoch" not in names


def test_a_failed_run_is_told_as_one():
    found = Memory()
    with pytest.raises(TrainingDivergedError):
        small_trainer(lr=1e30, logger=found).fit(small_model(), blobs())
    assert found.ends == ["failed"]


def test_a_logger_that_fails_is_named(tmp_path: Path):
    beside = Memory()
    trainer = small_trainer(logger=[Memory("disk full"), beside], output_dir=tmp_path)
    with pytest.raises(CallbackError, match=r"Memory, on_epoch_end, with 1 of 6 .*disk full"):
        trainer.fit(small_model(), blobs())
    assert beside.ends == ["failed"]
    assert (tmp_path / "last.ckpt").exists()


@pytest.mark.parametrize("wrong", ["csv", Memory, [Memory(), None]])
def test_what_is_no_logger_is_refused(wrong: Any):
    with pytest.raises(
        TypeError, match=r"logger is .*; expected a logger of Lightning's interface"
    ):
        Trainer(logger=wrong)
