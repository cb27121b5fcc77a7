# SPDX-License-Identifier: MIT
"""The ops in plain PyTorch: the truth they are tested against, and their second derivatives.

Every function here is a composition of differentiable tensor operations without data-dependent
control flow, so that ``torch.func`` transforms and higher derivatives pass through it. It writes
the ``(..., N, K, D)`` tensor that the kernels avoid: use it for reading and for checking.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

_LOG_2PI = math.log(2.0 * math.pi)
_INF = math.inf


def gaussian_kl(
    mean_q: Tensor, logvar_q: Tensor, mean_p: Tensor | None = None, logvar_p: Tensor | None = None
) -> Tensor:
    """KL(q || p) between diagonal Gaussians; Kingma & Welling (2014), appendix B."""
    mean_p = torch.zeros_like(mean_q) if mean_p is None else mean_p
    logvar_p = torch.zeros_like(logvar_q) if logvar_p is None else logvar_p
    # Scale before squaring: e^(-logvar_p) alone overflows where the scaled gap does not.
    z = (mean_q - mean_p) * torch.exp(-0.5 * logvar_p)
    log_ratio = logvar_q - logvar_p
    return 0.5 * (torch.expm1(log_ratio) - log_ratio + z.square()).sum(-1)


def mixture_log_prob(x: Tensor, log_weights: Tensor, means: Tensor, logvars: Tensor) -> Tensor:
    """Return log sum_k exp(log_weights_k) N(x; mu_k, sigma_k^2)."""
    return _logsumexp(_log_joint(x, log_weights, means, logvars))


def mixture_posterior(
    x: Tensor, log_weights: Tensor, means: Tensor, logvars: Tensor
) -> tuple[Tensor, Tensor]:
    """Return log p(z | x) and log p(x)."""
    log_joint = _log_joint(x, log_weights, means, logvars)
    log_prob = _logsumexp(log_joint)
    return _log_normalise(log_joint, log_prob), log_prob


def mixture_elbo_terms(
    w: Tensor | None,
    log_weights: Tensor,
    means: Tensor,
    logvars: Tensor,
    mean_q: Tensor | None = None,
    logvar_q: Tensor | None = None,
    logits_q: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Return E_q(z)[log N] and KL(q(z) || p(z)); Jiang et al. (2017), equations 9 to 16."""
    point = w if mean_q is None else mean_q
    posterior_at, posterior_logvar = (point, logvar_q) if w is None else (w, None)
    assert point is not None
    assert posterior_at is not None
    expected = _log_normal(point, log_weights, means, logvars, logvar_q)
    alive = _alive(log_weights).unsqueeze(-2)

    if logits_q is None:
        log_joint = _log_joint(posterior_at, log_weights, means, logvars, posterior_logvar)
        normalizer = _logsumexp(log_joint)
        log_q = _log_normalise(log_joint, normalizer)
        unreachable = normalizer == -_INF
    else:
        logits = torch.where(alive, logits_q, logits_q.detach())
        log_q = _log_normalise(logits, _logsumexp(logits))
        unreachable = ~(alive & (expected != -_INF)).any(-1)
    unreachable = unreachable | _is_infinite(point)
    if logvar_q is not None:
        unreachable = unreachable | (logvar_q == _INF).any(-1)

    q = torch.exp(log_q)
    # A score of -1400 rounds by 2e-13, and q by as much of itself: without its sum, so would the
    # mean of densities of that size.
    total = q.sum(-1, keepdim=True)
    q = q / torch.where(total == 0, 1.0, total)
    counts = alive & (q != 0)
    safe_log_q = torch.where(counts, log_q, 0.0)
    safe_log_weights = torch.where(alive, log_weights.unsqueeze(-2), 0.0)
    finite = counts & (expected != -_INF)
    expected_log_prob = (q * torch.where(finite, expected, 0.0)).sum(-1)
    expected_log_prob = torch.where((counts & ~finite).any(-1), -_INF, expected_log_prob)
    kl_z = torch.where(counts, q * (safe_log_q - safe_log_weights), 0.0).sum(-1)
    kl_z = torch.where((~alive & (q > 0)).any(-1), _INF, kl_z)
    expected_log_prob = torch.where(unreachable, -_INF, expected_log_prob)
    kl_z = torch.where(unreachable, 0.0, kl_z)
    expected_log_prob, kl_z = torch.broadcast_tensors(expected_log_prob, kl_z)
    return expected_log_prob, kl_z


def _alive(log_weights: Tensor) -> Tensor:
    return log_weights != -_INF


def _is_infinite(x: Tensor) -> Tensor:
    """Rows that hold an infinity and no NaN: their density is zero under every component."""
    return torch.isinf(x).any(-1) & ~torch.isnan(x).any(-1)


def _log_normal(
    x: Tensor, log_weights: Tensor, means: Tensor, logvars: Tensor, logvar_x: Tensor | None = None
) -> Tensor:
    """Return log N(x; mu_k, sigma_k^2), (..., N, K), or its mean under N(x, e^logvar_x).

    A component of weight -inf gets stand-in parameters and an infinite row a stand-in point, so
    that neither makes a gradient NaN; the callers put their values in place.
    """
    alive = _alive(log_weights).unsqueeze(-1)
    means = torch.where(alive, means, 0.0).unsqueeze(-3)
    logvars = torch.where(alive, logvars, 0.0).unsqueeze(-3)
    x = torch.where(_is_infinite(x).unsqueeze(-1), 0.0, x)
    z = (x.unsqueeze(-2) - means) * torch.exp(-0.5 * logvars)
    terms = z.square() + logvars + _LOG_2PI
    if logvar_x is not None:
        terms = terms + torch.exp(logvar_x.unsqueeze(-2) - logvars)
    return -0.5 * terms.sum(-1)


def _log_joint(
    x: Tensor, log_weights: Tensor, means: Tensor, logvars: Tensor, logvar_x: Tensor | None = None
) -> Tensor:
    """Return log(weight_k N(x; mu_k, sigma_k^2)), (..., N, K)."""
    log_normal = _log_normal(x, log_weights, means, logvars, logvar_x)
    log_weights = log_weights.unsqueeze(-2)
    alive = _alive(log_weights) & ~_is_infinite(x).unsqueeze(-1)
    return torch.where(alive, torch.where(alive, log_weights, 0.0) + log_normal, -_INF)


def _logsumexp(a: Tensor) -> Tensor:
    """Log-sum-exp over the last dimension, with a zero gradient (torch: NaN) where all are -inf."""
    if a.shape[-1] == 0:
        return a.sum(-1) - _INF
    top = a.detach().amax(-1, keepdim=True)
    top = torch.where(torch.isfinite(top), top, 0.0)
    total = torch.exp(a - top).sum(-1)
    empty = total == 0
    return torch.where(empty, -_INF, torch.log(torch.where(empty, 1.0, total)) + top.squeeze(-1))


def _log_normalise(log_joint: Tensor, log_normalizer: Tensor) -> Tensor:
    """Subtract the normaliser; entries of -inf stay -inf and pass no gradient."""
    excluded = log_joint == -_INF
    safe_joint = torch.where(excluded, 0.0, log_joint)
    log_normalizer = torch.where(log_normalizer == -_INF, 0.0, log_normalizer)
    return torch.where(excluded, -_INF, safe_joint - log_normalizer.unsqueeze(-1))
