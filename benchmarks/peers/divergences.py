# SPDX-License-Identifier: MIT
"""KL divergences between Gaussians in plain PyTorch, as they are usually written."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, distributions

from benchmarks.variants import DISTRIBUTIONS, Variant, in_torch

Family = Callable[[Tensor, Tensor], distributions.Distribution]  # of means and spreads


def diagonal(mean_q: Tensor, logvar_q: Tensor, mean_p: Tensor, logvar_p: Tensor) -> Tensor:
    """Kingma & Welling (2014), appendix B, for any diagonal prior."""
    variance_ratio = torch.exp(logvar_q - logvar_p)
    gap = (mean_q - mean_p).square() * torch.exp(-logvar_p)
    return 0.5 * (logvar_p - logvar_q + variance_ratio + gap - 1).sum(-1)


def pairwise(mean_q: Tensor, logvar_q: Tensor, mean_p: Tensor, logvar_p: Tensor) -> Tensor:
    """Every q against every p through an (N, K, D) tensor."""
    return diagonal(mean_q.unsqueeze(-2), logvar_q.unsqueeze(-2), mean_p, logvar_p)


def pairwise_products(mean_q: Tensor, logvar_q: Tensor, mean_p: Tensor, logvar_p: Tensor) -> Tensor:
    """Every q against every p by matrix products."""
    precision = torch.exp(-logvar_p)
    spread = (mean_q.square() + logvar_q.exp()) @ precision.T
    cross = mean_q @ (mean_p * precision).T
    of_p = (mean_p.square() * precision + logvar_p).sum(-1)
    of_q = logvar_q.sum(-1, keepdim=True) + mean_q.shape[-1]
    return 0.5 * (spread - 2 * cross + of_p - of_q)


def full(mean_q: Tensor, scale_tril_q: Tensor, mean_p: Tensor, scale_tril_p: Tensor) -> Tensor:
    """Full covariances by two batched triangular solves."""
    ratio = torch.linalg.solve_triangular(scale_tril_p, scale_tril_q, upper=False)
    gap = (mean_q - mean_p).unsqueeze(-1)
    z = torch.linalg.solve_triangular(scale_tril_p, gap, upper=False).squeeze(-1)
    diagonals = (factor.diagonal(dim1=-2, dim2=-1) for factor in (scale_tril_p, scale_tril_q))
    log_p, log_q = (values.log().sum(-1) for values in diagonals)
    return log_p - log_q + 0.5 * (ratio.square().sum((-2, -1)) + z.square().sum(-1) - z.shape[-1])


def normal(mean: Tensor, logvar: Tensor) -> distributions.Distribution:
    """Give Gaussians with diagonal covariances."""
    normal = distributions.Normal(mean, torch.exp(0.5 * logvar), validate_args=False)
    return distributions.Independent(normal, 1)


def normal_tril(mean: Tensor, scale_tril: Tensor) -> distributions.Distribution:
    """Give Gaussians with full covariances."""
    return distributions.MultivariateNormal(mean, scale_tril=scale_tril, validate_args=False)


def by_distributions(family: Family, letters: str) -> Variant:
    """Make the variant by torch.distributions."""

    def kl(mean_q: Tensor, spread_q: Tensor, mean_p: Tensor, spread_p: Tensor) -> Tensor:
        return distributions.kl_divergence(family(mean_q, spread_q), family(mean_p, spread_p))

    return in_torch(DISTRIBUTIONS, kl, letters)
