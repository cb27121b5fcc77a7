# SPDX-License-Identifier: MIT
"""Optimizers for what a gradient step is not the best step for."""

from pyvae.optim.stepwise_em import StepwiseEM

__all__ = ["StepwiseEM"]
