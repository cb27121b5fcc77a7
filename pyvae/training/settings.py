# SPDX-License-Identifier: MIT
"""The trainer's settings, checked."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from numbers import Real
from pathlib import Path
from typing import Any

from pyvae.training.objective import OBJECTIVES
from pyvae.training.progress import MODES
from pyvae.training.schedules import SCHEDULES

# What a resumed run may change: none of it touches the numbers of the epochs already done.
_FREE = {"output_dir", "progress", "num_workers", "tensorboard", "checkpoint_seconds"}
# What checkpoints may lack, with what they were made by.
LATER = {
    "objective": "elbo",
    "prior_update": "gradient",
    "prior_lr": 0.02,
    "capacity": None,
    "capacity_epochs": 50,
}
# Numbers: whether one is in its range, and what is expected. Those that may be None say so.
_NUMBERS: dict[str, tuple[Callable[[float], bool], str]] = {
    "lr": (lambda value: 0 < value < math.inf, "a number > 0, as 1e-3"),
    "prior_lr": (lambda value: 0 < value <= 1, "a share in (0, 1]"),
    "grad_clip": (lambda value: 0 < value < math.inf, "a norm > 0, or None"),
    "capacity": (lambda value: 0 <= value < math.inf, "nats >= 0, or None"),
    **dict.fromkeys(
        ("weight_decay", "pretrain_beta", "checkpoint_seconds"),
        (lambda value: 0 <= value < math.inf, "a number >= 0"),
    ),
}
_CHOICES = {
    "objective": OBJECTIVES,
    "optimizer": ("adam", "adamw"),
    "prior_update": ("gradient", "em"),
    "schedule": SCHEDULES,
    "initialization": ("em", "kmeans", "kmeans++", "none"),
    "progress": MODES,
}
_LEAST = {
    "epochs": 0,
    "pretrain_epochs": 0,
    "warmup_epochs": 0,
    "capacity_epochs": 0,
    "batch_size": 1,
    "early_stopping": 1,
    "num_workers": 0,
    "seed": 0,
}


@dataclass(kw_only=True)
class Settings:
    """Base of the trainer: its arguments, as fields, with their checks."""

    epochs: int = 100
    batch_size: int = 128
    objective: str = "elbo"
    optimizer: str = "adam"
    lr: float = 1e-3
    weight_decay: float = 0.0
    prior_update: str = "gradient"
    prior_lr: float = 0.02
    schedule: str = "cosine"
    pretrain_epochs: int = 100
    pretrain_beta: float = 0.05
    initialization: str = "em"
    warmup_epochs: int = 10
    capacity: float | None = None
    capacity_epochs: int = 50
    grad_clip: float | None = None
    early_stopping: int | None = None
    compile: bool = False
    seed: int = 0
    accelerator: str = "auto"
    devices: int | str = 1
    precision: str = "32-true"
    output_dir: str | Path | None = None
    checkpoint_seconds: float = 10.0
    num_workers: int = 0
    tensorboard: bool | None = None
    progress: str = "auto"

    def __post_init__(self) -> None:
        for name, options in _CHOICES.items():
            if getattr(self, name) not in options:
                raise ValueError(
                    f"{name} is {getattr(self, name)!r}; expected one of {', '.join(options)}"
                )
        for name, least in _LEAST.items():
            _check_count(name, getattr(self, name), least)
        for name, (holds, expected) in _NUMBERS.items():
            _check_number(name, getattr(self, name), holds, expected)
        self._check_together()

    def _check_together(self) -> None:
        if self.capacity is not None and self.objective != "elbo":
            raise ValueError(f"capacity belongs to objective 'elbo', not to {self.objective!r}")
        if self.prior_update == "em" and self.capacity is not None:
            raise ValueError(
                "below its capacity the divergence is pushed up, which no step of EM does; leave "
                "out capacity, or take prior_update='gradient'"
            )
        if self.prior_update == "em" and self.precision == "16-mixed":
            raise ValueError(
                "prior_update 'em' reads the gradients, which precision '16-mixed' scales; take "
                "'bf16-mixed'"
            )

    def identity(self) -> dict[str, Any]:
        """Return the settings that a resumed run must share with the one it goes on from."""
        # Without a schedule an epoch does not depend on how many follow: a run may be prolonged.
        free = _FREE | {"epochs"} if self.schedule == "constant" else _FREE
        found = {name: value for name, value in asdict(self).items() if name not in free}
        # What has no use must not differ, and runs from before there was a choice go on.
        unused = {"prior_lr"} if self.prior_update != "em" else set()
        unused |= {"capacity_epochs"} if self.capacity is None else set()
        return {
            name: value
            for name, value in found.items()
            if name not in unused and (name not in LATER or LATER[name] != value)
        }


def _check_number(name: str, value: Any, holds: Callable[[float], bool], expected: str) -> None:
    if value is None and expected.endswith("or None"):
        return
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{name} is {value!r}; expected {expected}")
    if not holds(float(value)):
        raise ValueError(f"{name} is {value}; expected {expected}")


def _check_count(name: str, value: object, least: int) -> None:
    if value is None and name == "early_stopping":
        return
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{name} is {value!r}; expected an integer")
    if value < least:
        raise ValueError(f"{name} is {value}; expected at least {least}")
