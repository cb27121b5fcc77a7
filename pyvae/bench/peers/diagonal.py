# SPDX-License-Identifier: MIT
"""Mixtures with diagonal covariances in plain PyTorch, as they are usually written.

The GEMM forms expand (x - mu)^2 into x^2 - 2 x mu + mu^2, so that matrix products do the work: the
fastest way without a kernel of one's own, and wrong far from the origin in float32.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.distributions import Categorical, Independent, MixtureSameFamily, Normal

LOG_2PI = math.log(2.0 * math.pi)


def log_joint(x: Tensor, log_weights: Tensor, means: Tensor, logvars: Tensor) -> Tensor:
    """Return log(weight_k N(x; mu_k, sigma_k^2)), (N, K), by matrix products."""
    precision = torch.exp(-logvars)
    distance = x.square() @ precision.T - 2 * x @ (means * precision).T
    distance = distance + (means.square() * precision).sum(-1)
    constant = logvars.sum(-1) + x.shape[-1] * LOG_2PI
    return log_weights - 0.5 * (distance + constant)


def log_prob(x: Tensor, log_weights: Tensor, means: Tensor, logvars: Tensor) -> Tensor:
    """Log-density, GEMM form."""
    return torch.logsumexp(log_joint(x, log_weights, means, logvars), -1)


def posterior(
    x: Tensor, log_weights: Tensor, means: Tensor, logvars: Tensor
) -> tuple[Tensor, Tensor]:
    """Log-posterior and log-density, GEMM form."""
    joint = log_joint(x, log_weights, means, logvars)
    density = torch.logsumexp(joint, -1)
    return joint - density.unsqueeze(-1), density


def elbo_terms(
    w: Tensor, log_weights: Tensor, means: Tensor, logvars: Tensor
) -> tuple[Tensor, Tensor]:
    """Return E_q(z)[log N] and KL(q(z) || p(z)) as a model's author writes them."""
    z = (w.unsqueeze(-2) - means) * torch.exp(-0.5 * logvars)
    log_normal = -0.5 * (z.square() + logvars + LOG_2PI).sum(-1)
    log_q = torch.log_softmax(log_weights + log_normal, -1)
    q = log_q.exp()
    return (q * log_normal).sum(-1), (q * (log_q - log_weights)).sum(-1)


def distribution(log_weights: Tensor, means: Tensor, logvars: Tensor) -> MixtureSameFamily:
    """Give the mixture as an object of torch.distributions, whose weights are normalised logits."""
    parts = Independent(Normal(means, torch.exp(0.5 * logvars), validate_args=False), 1)
    weights = Categorical(logits=log_weights, validate_args=False)
    return MixtureSameFamily(weights, parts, validate_args=False)


def distributions_log_prob(
    x: Tensor, log_weights: Tensor, means: Tensor, logvars: Tensor
) -> Tensor:
    """Log-density by torch.distributions."""
    return distribution(log_weights, means, logvars).log_prob(x)


def statistics(
    x: Tensor, log_weights: Tensor, means: Tensor, logvars: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Sums of an EM step about the current means, GEMM form."""
    log_posterior, density = posterior(x, log_weights, means, logvars)
    r = log_posterior.exp().T
    counts = r.sum(-1)
    first, second = r @ x, r @ x.square()
    n = counts.unsqueeze(-1)
    sum_dx2 = second - 2 * means * first + n * means.square()
    return density.sum(), counts, first - n * means, sum_dx2
