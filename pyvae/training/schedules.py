# SPDX-License-Identifier: MIT
"""The learning rate and the KL warm-up over a run, as functions of where it is."""

from __future__ import annotations

import math
from collections.abc import Callable

from pyvae.settings.kinds import factor_of


def learning_rate_scale(schedule: str | Callable[[float], float], progress: float) -> float:
    """Return the factor of the learning rate where ``progress`` (0 to 1) of a phase is done.

    Examples
    --------
    >>> [learning_rate_scale("cosine", p) for p in (0.0, 0.5, 1.0)]
    [1.0, 0.5, 0.0]
    >>> learning_rate_scale(lambda progress: 0.1**progress, 1.0)
    0.1
    """
    if not isinstance(schedule, str):
        return factor_of(schedule, progress)
    if schedule == "cosine":
        return 0.5 + 0.5 * math.cos(math.pi * progress)
    if schedule == "linear":
        return 1.0 - progress
    return 1.0


def warmup_scale(epoch: int, warmup_epochs: int) -> float:
    """Return the factor of beta in epoch ``epoch`` (from 0 on) of joint training.

    It rises linearly and is one from epoch ``warmup_epochs`` on.

    Examples
    --------
    >>> [warmup_scale(epoch, 2) for epoch in range(4)]
    [0.333..., 0.666..., 1.0, 1.0]
    """
    return min(1.0, (epoch + 1) / (warmup_epochs + 1))


def capacity_in(epoch: int, capacity: float, capacity_epochs: int) -> float:
    """Return the capacity in nats in epoch ``epoch`` (from 0 on) of joint training.

    It rises linearly from zero and is ``capacity`` from epoch ``capacity_epochs`` on.

    Examples
    --------
    >>> [capacity_in(epoch, 6.0, 3) for epoch in range(5)]
    [0.0, 2.0, 4.0, 6.0, 6.0]
    """
    return capacity * min(1.0, epoch / capacity_epochs) if capacity_epochs else capacity
