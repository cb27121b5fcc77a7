# SPDX-License-Identifier: MIT
"""Networks that take statistics over the batch, as BatchNorm does."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn

from pyvae.errors import WrongValue

_BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)
_TOO_FEW = "Expected more than 1 value per channel"  # torch's words, of a batch of one


@contextmanager
def batch_statistics(model: nn.Module, examples: int, where: str) -> Iterator[None]:
    """Say which layer, which batch and what to do where torch refuses a batch of one.

    Raises
    ------
    ValueError
        In place of torch's own, which tells the shape of a layer's input.
    """
    try:
        yield
    except (ValueError, RuntimeError) as error:  # torch.compile makes the latter of it
        if _TOO_FEW not in str(error):
            raise
        found = [name for name, module in model.named_modules() if isinstance(module, _BATCH_NORMS)]
        layers = f"BatchNorm ({', '.join(found[:3])})" if found else "batch normalization"
        # A VampPrior has its pseudo-inputs encoded as a batch of their own.
        batch = "one example" if examples == 1 else f"{examples} examples"
        raise WrongValue(
            f"{where}, of {batch}: the model's {layers} takes means and variances over a batch, "
            "and was given one of one row; train with batch_size and examples of at least 2 a "
            "process (of pseudo-inputs as well), or build the networks with GroupNorm or LayerNorm"
        ) from error


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Have all of a model in evaluation mode, and each module as it was afterwards."""
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        yield
    finally:
        for module, training in modes.items():
            module.training = training
