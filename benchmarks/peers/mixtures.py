# SPDX-License-Identifier: MIT
"""Mixtures in plain PyTorch, as they are usually written, on a log-joint density (N, K).

With diagonal covariances matrix products expand (x - mu)^2 into x^2 - 2 x mu + mu^2: the fastest
way without a kernel of one's own, and wrong far from the origin in float32. With full covariances a
loop over the components needs no (N, K, D) tensor, and each of its turns is one product or one
triangular solve, large enough to keep the BLAS busy.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, distributions

from benchmarks.peers.divergences import Family
from benchmarks.variants import DISTRIBUTIONS, Variant, in_torch

LOG_2PI = math.log(2.0 * math.pi)


def by_products(x: Any, log_weights: Any, means: Any, logvars: Any, exp: Any = torch.exp) -> Any:
    """Return log(weight_k N(x; mu_k, sigma_k^2)), GEMM form, of torch's tensors or of JAX's."""
    precision = exp(-logvars)
    distance = x**2 @ precision.T - 2 * x @ (means * precision).T
    distance = distance + (means**2 * precision).sum(-1)
    constant = logvars.sum(-1) + x.shape[-1] * LOG_2PI
    return log_weights - 0.5 * (distance + constant)


def by_loop(
    x: Tensor, log_weights: Tensor, means: Tensor, scale_trils: Tensor, by_solve: bool = False
) -> Tensor:
    """Return log(weight_k N(x; mu_k, L_k L_k')); its products are by inverse factors, made once."""
    solve = partial(torch.linalg.solve_triangular, upper=False)
    identity = torch.eye(x.shape[-1], dtype=x.dtype, device=x.device)
    inverses = scale_trils if by_solve else solve(scale_trils, identity)
    distances = []
    for k in range(means.shape[0]):
        gap = x - means[k]
        z = solve(scale_trils[k], gap.T).T if by_solve else gap @ inverses[k].T
        distances.append(z.square().sum(-1))
    log_det = scale_trils.diagonal(dim1=-2, dim2=-1).log().sum(-1)
    constant = log_weights - log_det - 0.5 * x.shape[-1] * LOG_2PI
    return constant - 0.5 * torch.stack(distances, -1)


def log_prob(joint: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Make the log-density."""
    return lambda *mixture: torch.logsumexp(joint(*mixture), -1)


def log_prob_by_distributions(family: Family) -> Variant:
    """Make the variant by torch.distributions; the weights are logits, which it normalises."""

    def found(x: Tensor, log_weights: Tensor, means: Tensor, spreads: Tensor) -> Tensor:
        weights = distributions.Categorical(logits=log_weights, validate_args=False)
        parts = family(means, spreads)
        mixture = distributions.MixtureSameFamily(weights, parts, validate_args=False)
        return mixture.log_prob(x)

    return in_torch(DISTRIBUTIONS, found, "nkd", same_gradients=False)


def posterior(joint: Callable[..., Tensor]) -> Callable[..., tuple[Tensor, Tensor]]:
    """Make the log-posterior with the log-density."""

    def found(*mixture: Tensor) -> tuple[Tensor, Tensor]:
        log_joint = joint(*mixture)
        density = torch.logsumexp(log_joint, -1)
        return log_joint - density.unsqueeze(-1), density

    return found


def elbo_terms(
    w: Any,
    log_weights: Any,
    means: Any,
    logvars: Any,
    exp: Any = torch.exp,
    log_softmax: Any = torch.log_softmax,
) -> tuple[Any, Any]:
    """Return E_q(z)[log N] and KL(q(z) || p(z)) as a model's author writes them.

    Of torch's tensors, or of JAX's.
    """
    z = (w[..., None, :] - means) * exp(-0.5 * logvars)
    log_normal = -0.5 * (z**2 + logvars + LOG_2PI).sum(-1)
    log_q = log_softmax(log_weights + log_normal, -1)
    q = exp(log_q)
    return (q * log_normal).sum(-1), (q * (log_q - log_weights)).sum(-1)


def statistics(*mixture: Tensor) -> tuple[Tensor, ...]:
    """Sums of an EM step about the current means, GEMM form."""
    x, _, means, _ = mixture
    log_posterior, density = posterior(by_products)(*mixture)
    r = log_posterior.exp().T
    counts = r.sum(-1)
    first, second = r @ x, r @ x.square()
    n = counts.unsqueeze(-1)
    sum_dx2 = second - 2 * means * first + n * means.square()
    return density.sum(), counts, first - n * means, sum_dx2


def statistics_by_loop(*mixture: Tensor) -> tuple[Tensor, ...]:
    """The same with full covariances, by a loop of products."""
    x, _, means, _ = mixture
    log_posterior, density = posterior(by_loop)(*mixture)
    r = log_posterior.exp()
    first, second = [], []
    for k in range(means.shape[0]):
        difference = x - means[k]
        weighted = difference * r[:, k, None]
        first.append(weighted.sum(0))
        second.append(weighted.T @ difference)
    return density.sum(), r.sum(0), torch.stack(first), torch.stack(second)
