# SPDX-License-Identifier: MIT
"""Arguments of every kind of covariance, and what computes with them."""

from __future__ import annotations

import torch
from torch import Tensor

from pyvae.distributions import GaussianMixture

FORMS = ("diagonal", "isotropic", "full", "tied")
K, D = 3, 2


def leaves(
    form: str, batch: tuple[int, ...] = (), dtype: torch.dtype = torch.float64
) -> tuple[Tensor, Tensor, Tensor]:
    """Log-weights, means, and log-variances or factors, which have gradients."""
    generator = torch.Generator().manual_seed(0)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*batch, *shape, generator=generator, dtype=torch.float64)

    weights, means = normal(K), normal(K, D)
    if form in ("diagonal", "isotropic"):
        spread = 0.5 * normal(K, D if form == "diagonal" else 1)
    else:
        count = K if form == "full" else 1
        diagonal = torch.diag_embed(torch.exp(0.3 * normal(count, D)))
        spread = (0.5 * normal(count, D, D)).tril(-1) + diagonal
    return tuple(t.to(dtype).requires_grad_() for t in (weights, means, spread))  # type: ignore[return-value]


def mixture_of(form: str, weights: Tensor, means: Tensor, spread: Tensor) -> GaussianMixture:
    name = "logvars" if form in ("diagonal", "isotropic") else "scale_tril"
    return GaussianMixture(weights, means, **{name: spread})
