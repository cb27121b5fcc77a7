# SPDX-License-Identifier: MIT
"""Callbacks: code of the user's that a run calls as it goes, by the names that Lightning has."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pyvae.training.history import History

if TYPE_CHECKING:
    from pyvae.models import LatentVariableModel
    from pyvae.settings import TrainerSettings


class CallbackError(RuntimeError):
    """A callback or a logger raised an exception, which is this one's ``__cause__``."""


@dataclass
class TrainingState:
    """A run as its callbacks see it.

    Attributes
    ----------
    settings
        Of the run: those of the :class:`Trainer`, with what was left out filled in.
    model
        What is trained, on its device. In training mode within an epoch, otherwise in evaluation
        mode.
    total_epochs
        Of pretraining and joint training; a run that was resumed has some of them behind it.
    history
        What was logged so far, of which the length is the number of finished epochs.
    should_stop
        Set it to True to end the run after the epoch that is going, as if it were the last.
    """

    settings: TrainerSettings
    model: LatentVariableModel
    total_epochs: int
    history: History = field(default_factory=History)
    should_stop: bool = False


class Callback:
    """Base of callbacks, whose methods do nothing.

    They are called in the first process, where several train together. Random numbers that a
    callback draws with torch are none of the run's, which has the same numbers with and without
    it; what a callback does to the model, to its parameters or its gradients, it does to the run.
    A callback has no part in checkpoints: in a resumed run it sees the epochs that are left.

    An exception of a callback ends the run with a :class:`CallbackError`. Between epochs that
    leaves a checkpoint of the last one, within an epoch the last that was written.

    Examples
    --------
    >>> import torch
    >>> from pyvae.models import VAE
    >>> from pyvae.training import Callback, Trainer
    >>> class StopAt(Callback):
    ...     def __init__(self, bound):
    ...         self.bound = bound
    ...     def on_epoch_end(self, state, row):
    ...         state.should_stop = row["bound"] > self.bound
    >>> model = VAE(4, 2, hidden=(8,))
    >>> trainer = Trainer(epochs=5, progress="silent", callbacks=StopAt(-100.0))
    >>> len(trainer.fit(model, torch.rand(64, 4)))
    1
    """

    def on_fit_start(self, state: TrainingState) -> None:
        """Before the first epoch that is left; a model that standardises knows its data."""

    def on_epoch_start(self, state: TrainingState) -> None:
        """Before every epoch."""

    def on_batch_end(self, state: TrainingState, batch: int, figures: dict[str, float]) -> None:
        """After every step of the optimizer.

        Parameters
        ----------
        state
            The run.
        batch
            Its number in the epoch, from 0 on.
        figures
            ``bound`` and its parts as in :class:`History`, of this batch (with several processes,
            of the first one's share), and the step's ``lr``.
        """

    def on_epoch_end(self, state: TrainingState, row: dict[str, Any]) -> None:
        """After every epoch, with a copy of its row of the history."""

    def on_checkpoint(self, state: TrainingState, path: Path) -> None:
        """After a checkpoint was written, ``path``: ``last.ckpt`` in the output folder."""

    def on_fit_end(self, state: TrainingState) -> None:
        """After the last epoch; the model has the weights that it keeps."""

    def on_exception(self, state: TrainingState, error: BaseException) -> None:
        """Where the run ends by ``error``, which is raised when all callbacks have been called."""
