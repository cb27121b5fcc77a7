# SPDX-License-Identifier: MIT
"""Loggers of Lightning's interface, told of a run as callbacks are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from pyvae.settings import TrainerSettings, settings_of
from pyvae.training.callbacks import Callback, TrainingState


class Logger(Protocol):
    """What of Lightning's interface is called."""

    def log_hyperparams(self, params: dict[str, Any]) -> None:
        """Record what the run was made with."""

    def log_metrics(self, metrics: Mapping[str, float], step: int) -> None:
        """Record the figures of an epoch."""

    def finalize(self, status: str) -> None:
        """Close, with "success" or "failed"."""


class Logging(Callback):
    """A logger as a callback."""

    def __init__(self, logger: Logger) -> None:
        self.logger = logger

    def on_fit_start(self, state: TrainingState) -> None:  # noqa: D102
        try:
            self.logger.log_hyperparams(hyperparameters(state))
        except NotImplementedError:  # as of Fabric's CSVLogger, whose table has no place for them
            return

    def on_epoch_end(self, state: TrainingState, row: dict[str, Any]) -> None:  # noqa: D102
        figures = {n: v for n, v in row.items() if isinstance(v, int | float) and n != "epoch"}
        self.logger.log_metrics(figures, step=row["epoch"])

    def on_fit_end(self, state: TrainingState) -> None:  # noqa: D102
        self.logger.finalize("success")

    def on_exception(self, state: TrainingState, error: BaseException) -> None:  # noqa: D102
        self.logger.finalize("failed")


def hyperparameters(state: TrainingState) -> dict[str, Any]:
    """Return the options of the model, and the settings that numbers depend on."""
    settings = {
        name: about.kind.recorded(getattr(state.settings, name))
        for name, about in settings_of(TrainerSettings).items()
        if not about.free
    }
    model = {"class": type(state.model).__name__, **state.model.config}
    return {"model": model, "trainer": settings}
