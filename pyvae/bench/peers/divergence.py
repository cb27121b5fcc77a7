# SPDX-License-Identifier: MIT
"""KL divergences between Gaussians in plain PyTorch, as they are usually written."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.distributions import Independent, MultivariateNormal, Normal, kl_divergence


def diagonal(mean_q: Tensor, logvar_q: Tensor, mean_p: Tensor, logvar_p: Tensor) -> Tensor:
    """Kingma & Welling (2014), appendix B, for any diagonal prior."""
    variance_ratio = torch.exp(logvar_q - logvar_p)
    gap = (mean_q - mean_p).square() * torch.exp(-logvar_p)
    return 0.5 * (logvar_p - logvar_q + variance_ratio + gap - 1).sum(-1)


def distributions_diagonal(
    mean_q: Tensor, logvar_q: Tensor, mean_p: Tensor, logvar_p: Tensor
) -> Tensor:
    """Diagonal Gaussians by torch.distributions."""
    q, p = (
        Independent(Normal(mean, torch.exp(0.5 * logvar), validate_args=False), 1)
        for mean, logvar in ((mean_q, logvar_q), (mean_p, logvar_p))
    )
    return kl_divergence(q, p)


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
    log_det = (_log_diagonal(scale_tril_p) - _log_diagonal(scale_tril_q)).sum(-1)
    return log_det + 0.5 * (ratio.square().sum((-2, -1)) + z.square().sum(-1) - z.shape[-1])


def distributions_full(
    mean_q: Tensor, scale_tril_q: Tensor, mean_p: Tensor, scale_tril_p: Tensor
) -> Tensor:
    """Full covariances by torch.distributions."""
    q = MultivariateNormal(mean_q, scale_tril=scale_tril_q, validate_args=False)
    p = MultivariateNormal(mean_p, scale_tril=scale_tril_p, validate_args=False)
    return kl_divergence(q, p)


def _log_diagonal(factor: Tensor) -> Tensor:
    return factor.diagonal(dim1=-2, dim2=-1).log()
