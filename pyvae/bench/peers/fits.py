# SPDX-License-Identifier: MIT
"""Whole fits of a mixture by EM, start included: pyvae's and scikit-learn's."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import sklearn.mixture
import torch
from torch import Tensor

from pyvae.bench.draw import Inputs
from pyvae.bench.sizes import Size
from pyvae.mixture import GaussianMixture


def prepare(estimator: Any, kind: str, size: Size, x: np.ndarray) -> Callable[[], tuple[Tensor]]:
    """Prepare a fit of ``size["i"]`` iterations; its result is the mean log-likelihood, in nats."""

    def call() -> tuple[Tensor]:
        mixture = estimator(
            size["k"], covariance_type=kind, max_iter=size["i"], tol=0.0, random_state=0
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that so few iterations did not converge
            mixture.fit(x)
        return (torch.tensor(float(mixture.lower_bound_), dtype=torch.float64),)

    return call


def ours(kind: str, size: Size) -> Callable[[Inputs, bool], Callable[[], tuple[Tensor]]]:
    """Prepare pyvae's."""
    return lambda inputs, _: prepare(GaussianMixture, kind, size, inputs["x"].numpy())


def scikit(kind: str, size: Size) -> Callable[[Inputs], Callable[[], tuple[Tensor]]]:
    """Prepare scikit-learn's."""
    return lambda inputs: prepare(sklearn.mixture.GaussianMixture, kind, size, inputs["x"].numpy())


def exact(kind: str, size: Size) -> Callable[[Inputs], tuple[Tensor]]:
    """Give pyvae's in float64."""
    return lambda inputs: prepare(GaussianMixture, kind, size, inputs["x"].double().numpy())()


def shortfall(got: Sequence[Any], want: Sequence[Tensor], backward: bool) -> float:
    """Tell by how much a log-likelihood is below the exact one's, relative; above is zero."""
    (value,), (reached,) = got, want
    return max(0.0, ((reached - value) / reached.abs().clamp_min(1.0)).item())
