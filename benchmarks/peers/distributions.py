# SPDX-License-Identifier: MIT
"""The same by torch.distributions."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.distributions import (
    Categorical,
    Distribution,
    Independent,
    MixtureSameFamily,
    MultivariateNormal,
    Normal,
    kl_divergence,
)

from benchmarks.variants import DISTRIBUTIONS, Variant, in_torch

Family = Callable[[Tensor, Tensor], Distribution]  # of means, and log-variances or factors


def diagonal(mean: Tensor, logvar: Tensor) -> Distribution:
    """Give Gaussians with diagonal covariances."""
    return Independent(Normal(mean, torch.exp(0.5 * logvar), validate_args=False), 1)


def full(mean: Tensor, scale_tril: Tensor) -> Distribution:
    """Give Gaussians with full covariances."""
    return MultivariateNormal(mean, scale_tril=scale_tril, validate_args=False)


def divergence(family: Family, letters: str) -> Variant:
    """Make the variant of a divergence between two Gaussians."""

    def kl(mean_q: Tensor, spread_q: Tensor, mean_p: Tensor, spread_p: Tensor) -> Tensor:
        return kl_divergence(family(mean_q, spread_q), family(mean_p, spread_p))

    return in_torch(DISTRIBUTIONS, kl, letters)


def log_prob(family: Family) -> Variant:
    """Make the variant of a mixture's log-density; its weights are logits, which it normalises."""

    def found(x: Tensor, log_weights: Tensor, means: Tensor, spreads: Tensor) -> Tensor:
        weights = Categorical(logits=log_weights, validate_args=False)
        mixture = MixtureSameFamily(weights, family(means, spreads), validate_args=False)
        return mixture.log_prob(x)

    return in_torch(DISTRIBUTIONS, found, "nkd", same_gradients=False)
