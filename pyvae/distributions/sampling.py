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
    which, chosen = _components(log_weights, count)
    noise = torch.randn(*chosen.shape, d, dtype=means.dtype, device=means.device)
    with outside_autocast(means):
        scaled = _scaled(noise, spread, has_matrices, which, chosen, k)
    points = means.reshape(-1, k, d)[which, chosen] + scaled
    return points.reshape(*log_weights.shape[:-1], count, d)


def draw_low_rank(
    log_weights: Tensor, means: Tensor, cov_factor: Tensor, cov_diag: Tensor, count: int
) -> Tensor:
    """As :func:`draw`, of covariances of factors and noise."""
    k, d = means.shape[-2:]
    which, chosen = _components(log_weights, count)
    like = {"dtype": means.dtype, "device": means.device}
    factors = torch.randn(*chosen.shape, cov_factor.shape[-1], **like)
    noise = torch.randn(*chosen.shape, d, **like)
    with outside_autocast(means):
        scaled = _turned(factors, cov_factor, which, chosen)
    moved = scaled + noise * cov_diag.reshape(-1, k, d).sqrt()[which, chosen]
    points = means.reshape(-1, k, d)[which, chosen] + moved
    return points.reshape(*log_weights.shape[:-1], count, d)


def _components(log_weights: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Draw a component for each point, ``(batch, count)``; and the mixtures' numbers beside."""
    flat = log_weights.reshape(-1, log_weights.shape[-1])
    # torch.multinomial refuses to draw nothing
    chosen = (
        torch.multinomial(flat.to(computing_dtype(flat)).exp(), count, replacement=True)
        if count
        else flat.long()[:, :0]
    )
    return torch.arange(len(flat), device=flat.device).unsqueeze(-1), chosen


def _scaled(
    noise: Tensor, spread: Tensor, has_matrices: bool, which: Tensor, chosen: Tensor, k: int
) -> Tensor:
    if not has_matrices:
        sigmas = torch.exp(0.5 * spread.reshape(-1, k, spread.shape[-1]))
        return noise * sigmas[which, chosen]
    if spread.shape[-3] == 1:
        return noise @ spread.reshape(-1, *spread.shape[-2:]).mT
    return _turned(noise, spread, which, chosen)


def _turned(noise: Tensor, matrices: Tensor, which: Tensor, chosen: Tensor) -> Tensor:
    """Noise times the matrix of its point's component."""
    factors = matrices.reshape(-1, *matrices.shape[-3:])
    step = max(1, _ELEMENTS // max(1, len(factors) * matrices.shape[-2] * matrices.shape[-1]))
    parts = [
        (factors[which, index] @ part.unsqueeze(-1)).squeeze(-1)
        for index, part in zip(chosen.split(step, 1), noise.split(step, 1), strict=True)
    ]
    return torch.cat(parts, 1)
