# SPDX-License-Identifier: MIT
"""A mixture of Gaussians' arguments: their dimensions, their domains, and what is refused."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.distributions import constraints

from pyvae.errors import WrongValue


class _Weights(constraints.Constraint):
    """Of normalised log-weights, which are NaN where there was nothing to normalise."""

    event_dim = 1

    def check(self, value: Tensor) -> Tensor:
        return (value < math.inf).all(-1)

    def __repr__(self) -> str:
        return "that not every log_weight of a mixture is -inf, and none NaN or inf"


CORES = {"log_weights": 1, "means": 2, "logvars": 2, "scale_tril": 3}  # their own dimensions
CONSTRAINTS: dict[str, constraints.Constraint] = {
    "log_weights": _Weights(),
    "means": constraints.independent(constraints.real, 2),
    "logvars": constraints.independent(constraints.real, 2),
    "scale_tril": constraints.independent(constraints.lower_cholesky, 1),
}


def check_shapes(log_weights: Tensor, means: Tensor, spread: Tensor, core: int) -> None:
    """Raise ValueError unless the shapes fit; ``core`` is the rank of one mixture's ``spread``."""
    name = "logvars" if core == 2 else "scale_tril"
    if log_weights.ndim < 1 or means.ndim < 2 or spread.ndim < core:
        raise WrongValue(
            f"GaussianMixture: log_weights {tuple(log_weights.shape)}, means {tuple(means.shape)} "
            f"and {name} {tuple(spread.shape)}; expected (..., K), (..., K, D) and "
            + ("(..., K, D)" if core == 2 else "(..., K, D, D)")
        )
    if torch.jit.is_tracing():  # type: ignore[attr-defined]  # sizes are tensors there, and to compare them is to fix them
        return
    k, d = means.shape[-2:]
    allowed = ((k, d), (k, 1)) if core == 2 else ((k, d, d), (1, d, d))
    if log_weights.shape[-1] != k or tuple(spread.shape[-core:]) not in allowed:
        raise WrongValue(
            f"GaussianMixture: log_weights {tuple(log_weights.shape)} and {name} "
            f"{tuple(spread.shape)} do not fit means {tuple(means.shape)}, which have K = {k} "
            f"components in D = {d} dimensions"
        )
