# SPDX-License-Identifier: MIT
"""Mixtures with full covariances in plain PyTorch: a loop over the components.

A loop needs no (N, K, D) tensor, and each of its turns is one product or one triangular solve,
large enough to keep the BLAS busy.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.distributions import Categorical, MixtureSameFamily, MultivariateNormal

from pyvae.bench.peers.diagonal import LOG_2PI


def _by_product(difference: Tensor, factor: Tensor, inverse: Tensor) -> Tensor:
    return difference @ inverse.T


def _by_solve(difference: Tensor, factor: Tensor, inverse: Tensor) -> Tensor:
    return torch.linalg.solve_triangular(factor, difference.T, upper=False).T


def _log_joint(
    x: Tensor, log_weights: Tensor, means: Tensor, scale_trils: Tensor, whiten: Callable
) -> Tensor:
    identity = torch.eye(x.shape[-1], dtype=x.dtype)
    by_product = whiten is _by_product
    inverses = (
        torch.linalg.solve_triangular(scale_trils, identity, upper=False)
        if by_product
        else scale_trils
    )
    distances = [
        whiten(x - means[k], scale_trils[k], inverses[k]).square().sum(-1)
        for k in range(means.shape[0])
    ]
    log_det = scale_trils.diagonal(dim1=-2, dim2=-1).log().sum(-1)
    constant = log_weights - log_det - 0.5 * x.shape[-1] * LOG_2PI
    return constant - 0.5 * torch.stack(distances, -1)


def product_log_prob(x: Tensor, log_weights: Tensor, means: Tensor, scale_trils: Tensor) -> Tensor:
    """Log-density; each component multiplies by its inverse factor, computed once a call."""
    return torch.logsumexp(_log_joint(x, log_weights, means, scale_trils, _by_product), -1)


def solve_log_prob(x: Tensor, log_weights: Tensor, means: Tensor, scale_trils: Tensor) -> Tensor:
    """Log-density; each component solves against its factor."""
    return torch.logsumexp(_log_joint(x, log_weights, means, scale_trils, _by_solve), -1)


def distributions_log_prob(
    x: Tensor, log_weights: Tensor, means: Tensor, scale_trils: Tensor
) -> Tensor:
    """Log-density by torch.distributions."""
    parts = MultivariateNormal(means, scale_tril=scale_trils, validate_args=False)
    weights = Categorical(logits=log_weights, validate_args=False)
    return MixtureSameFamily(weights, parts, validate_args=False).log_prob(x)


def statistics(
    x: Tensor, log_weights: Tensor, means: Tensor, scale_trils: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Sums of an EM step about the current means."""
    joint = _log_joint(x, log_weights, means, scale_trils, _by_product)
    density = torch.logsumexp(joint, -1)
    r = torch.exp(joint - density.unsqueeze(-1))
    first, second = [], []
    for k in range(means.shape[0]):
        difference = x - means[k]
        weighted = difference * r[:, k, None]
        first.append(weighted.sum(0))
        second.append(weighted.T @ difference)
    return density.sum(), r.sum(0), torch.stack(first), torch.stack(second)
