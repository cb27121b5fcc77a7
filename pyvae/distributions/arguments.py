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


# Their own dimensions.
CORES = {
    "log_weights": 1,
    "means": 2,
    "logvars": 2,
    "scale_tril": 3,
    "cov_factor": 3,
    "cov_diag": 2,
}
CONSTRAINTS: dict[str, constraints.Constraint] = {
    "log_weights": _Weights(),
    "means": constraints.independent(constraints.real, 2),
    "logvars": constraints.independent(constraints.real, 2),
    "scale_tril": constraints.independent(constraints.lower_cholesky, 1),
    "cov_factor": constraints.independent(constraints.real, 3),
    "cov_diag": constraints.independent(constraints.positive, 2),
}


_SHAPES = {
    "logvars": "(..., K, D)",
    "scale_tril": "(..., K, D, D)",
    "cov_factor": "(..., K, D, r)",
    "cov_diag": "(..., K, D)",
}


def spread_of(
    logvars: Tensor | None,
    scale_tril: Tensor | None,
    cov_factor: Tensor | None,
    cov_diag: Tensor | None,
) -> dict[str, Tensor]:
    """Give what says the covariances, by its names.

    Raises
    ------
    ValueError
        If there is none, or more than one.
    """
    named = {
        "logvars": logvars,
        "scale_tril": scale_tril,
        "cov_factor": cov_factor,
        "cov_diag": cov_diag,
    }
    given = {name: value for name, value in named.items() if value is not None}
    if tuple(given) not in (("logvars",), ("scale_tril",), ("cov_factor", "cov_diag")):
        raise WrongValue(
            f"GaussianMixture: got {' and '.join(given) or 'no covariances'}; expected one of "
            "logvars and scale_tril, not both, or cov_factor with cov_diag"
        )
    return given


def check_shapes(log_weights: Tensor, means: Tensor, spread: dict[str, Tensor]) -> None:
    """Raise ValueError unless the shapes fit; ``spread`` is what says the covariances."""
    for name, value in spread.items():
        _check_shapes(log_weights, means, name, value)


def _check_shapes(log_weights: Tensor, means: Tensor, name: str, spread: Tensor) -> None:
    core = CORES[name]
    if log_weights.ndim < 1 or means.ndim < 2 or spread.ndim < core:
        raise WrongValue(
            f"GaussianMixture: log_weights {tuple(log_weights.shape)}, means {tuple(means.shape)} "
            f"and {name} {tuple(spread.shape)}; expected (..., K), (..., K, D) and {_SHAPES[name]}"
        )
    if torch.jit.is_tracing():  # type: ignore[attr-defined]  # sizes are tensors there, and to compare them is to fix them
        return
    k, d = means.shape[-2:]
    allowed = {
        "logvars": ((k, d), (k, 1)),
        "scale_tril": ((k, d, d), (1, d, d)),
        "cov_factor": ((k, d, spread.shape[-1]),),
        "cov_diag": ((k, d),),
    }
    if log_weights.shape[-1] != k or tuple(spread.shape[-core:]) not in allowed[name]:
        raise WrongValue(
            f"GaussianMixture: log_weights {tuple(log_weights.shape)} and {name} "
            f"{tuple(spread.shape)} do not fit means {tuple(means.shape)}, which have K = {k} "
            f"components in D = {d} dimensions"
        )
