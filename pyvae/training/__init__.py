# SPDX-License-Identifier: MIT
"""Training on Lightning Fabric: the loop, checkpoints, history and metrics."""

from pyvae.training.callbacks import Callback, CallbackError, TrainingState
from pyvae.training.checkpoint import load_weights
from pyvae.training.divergence import TrainingDivergedError
from pyvae.training.evaluation import evaluate
from pyvae.training.history import History
from pyvae.training.trainer import Trainer

__all__ = [
    "Callback",
    "CallbackError",
    "History",
    "Trainer",
    "TrainingDivergedError",
    "TrainingState",
    "evaluate",
    "load_weights",
]
