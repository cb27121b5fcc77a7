# SPDX-License-Identifier: MIT
"""Mixtures of torch's, and which ops are called meanwhile."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.distributions import (
    Categorical,
    Distribution,
    Independent,
    MixtureSameFamily,
    MultivariateNormal,
    Normal,
)
from torch.utils._python_dispatch import TorchDispatchMode


class Ops(TorchDispatchMode):
    """Names of our ops that are called meanwhile."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func.namespace == "pyvae":
            self.names.add(func._opname)
        return func(*args, **(kwargs or {}))


def normals(means: Tensor, scales: Tensor) -> Independent:
    return Independent(Normal(means, scales), 1)


def mixture_of(logits: Tensor, parts: Distribution, **options: Any) -> MixtureSameFamily:
    return MixtureSameFamily(Categorical(logits=logits), parts, **options)


def diagonal(logits: Tensor, means: Tensor, scales: Tensor) -> MixtureSameFamily:
    return mixture_of(logits, normals(means, scales))


def unvalidated(logits: Tensor, means: Tensor, scales: Tensor) -> MixtureSameFamily:
    parts = Independent(Normal(means, scales, validate_args=False), 1, validate_args=False)
    return MixtureSameFamily(Categorical(logits=logits), parts, validate_args=False)


def scalar(logits: Tensor, means: Tensor, scales: Tensor) -> MixtureSameFamily:
    return mixture_of(logits, Normal(means, scales))


def pictures(logits: Tensor, means: Tensor, scales: Tensor) -> MixtureSameFamily:
    return mixture_of(logits, Independent(Normal(means, scales), 2))


def full(logits: Tensor, means: Tensor, factors: Tensor) -> MixtureSameFamily:
    return mixture_of(logits, MultivariateNormal(means, scale_tril=factors))


def by_covariance(logits: Tensor, means: Tensor, factors: Tensor) -> MixtureSameFamily:
    return mixture_of(logits, MultivariateNormal(means, factors @ factors.mT))


def by_probabilities(logits: Tensor, means: Tensor, scales: Tensor) -> MixtureSameFamily:
    """One of them zero, which torch's Categorical takes to be its smallest number."""
    shares = logits.softmax(-1) * (torch.arange(logits.shape[-1]) != 1)
    return MixtureSameFamily(Categorical(probs=shares), normals(means, scales))


def valid(**options: Any) -> MixtureSameFamily:
    parts = Independent(Normal(torch.zeros(2, 3), 1.0), 1)
    return mixture_of(torch.zeros(2), parts, **options)
