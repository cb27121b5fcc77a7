# SPDX-License-Identifier: MIT
"""How many CPU threads a command computes on."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn

# Operations of one call of torch's or of an op's that two threads finish sooner than one: half a
# millisecond of one core. Starting and joining threads takes some hundredths of that where all
# cores are free; where one is not, a thread that waits burns the time of the other.
_WORTH_SHARING = 3e7


def use_threads(asked: int | None, work: float) -> int:
    """Set torch's CPU threads, which scikit-learn's are set by too, and return their number.

    Parameters
    ----------
    asked
        On the command line; None leaves it to the size of the problem.
    work
        Operations of the largest call that the command makes over and over.
    """
    import torch

    if asked is None and work < _WORTH_SHARING:
        asked = 1
    if asked is not None:
        torch.set_num_threads(asked)
    return torch.get_num_threads()


def threads_of(run: dict[str, object]) -> int | None:
    """Return the threads that a run recorded, which repeat its figures to the last digit."""
    options = run.get("options", {})
    recorded = options.get("threads") if isinstance(options, dict) else None
    if not isinstance(recorded, int):
        return None
    return min(recorded, os.cpu_count() or 1)  # it may have come from a larger machine


def work_of(model: nn.Module, rows: int) -> float:
    """Return the operations of a model's largest matrix product with so many rows."""
    sizes = (p.numel() for p in model.parameters() if p.ndim == 2)
    return 2.0 * rows * max(sizes, default=0)
