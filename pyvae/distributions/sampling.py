# SPDX-License-Identifier: MIT
"""Points of Gaussian mixtures: first their components, then normal noise, scaled and moved."""

from __future__ import annotations

import torch
from torch import Tensor

from pyvae.distributions.precision import computing_dtype, outside_autocast

_ELEMENTS = 2**22  # of the factors that are gathered at a time


def draw(
    log_weights: Tensor, means: Tensor, spread: Tensor, has_matrices: bool, count: int
) -> Tensor:
    """Draw ``(*batch, count, D)`` from mixtures of one batch shape, with torch's generator."""
    k, d = means.shape[-2:]
    flat = log_weights.reshape(-1, k)
    # torch.multinomial refuses to draw nothing
    chosen = (
        torch.multinomial(flat.to(computing_dtype(flat)).exp(), count, replacement=True)
        if count
        else flat.long()[:, :0]
    )
    which = torch.arange(len(flat), device=flat.device).unsqueeze(-1)
    noise = torch.randn(*chosen.shape, d, dtype=means.dtype, device=means.device)
    with outside_autocast(means):
        scaled = _scaled(noise, spread, has_matrices, which, chosen, k)
    points = means.reshape(-1, k, d)[which, chosen] + scaled
    return points.reshape(*log_weights.shape[:-1], count, d)


def _scaled(
    noise: Tensor, spread: Tensor, has_matrices: bool, which: Tensor, chosen: Tensor, k: int
) -> Tensor:
    d = noise.shape[-1]
    if not has_matrices:
        sigmas = torch.exp(0.5 * spread.reshape(-1, k, spread.shape[-1]))
        return noise * sigmas[which, chosen]
    factors = spread.reshape(-1, *spread.shape[-3:])
    if factors.shape[1] == 1:
        return noise @ factors[:, 0].mT
    step = max(1, _ELEMENTS // max(1, len(factors) * d * d))
    parts = [
        (factors[which, index] @ part.unsqueeze(-1)).squeeze(-1)
        for index, part in zip(chosen.split(step, 1), noise.split(step, 1), strict=True)
    ]
    return torch.cat(parts, 1)
