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

LOG_2PI = math.log(2.0 * math.pi)
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


def gaussian_kl_pairwise(
    mean_q: Tensor, logvar_q: Tensor, mean_p: Tensor, logvar_p: Tensor
) -> Tensor:
    """KL(q_n || p_k) between every two diagonal Gaussians of two sets."""
    mean_q, logvar_q = mean_q.unsqueeze(-2), logvar_q.unsqueeze(-2)
    return gaussian_kl(mean_q, logvar_q, mean_p.unsqueeze(-3), logvar_p.unsqueeze(-3))


def gaussian_kl_tril(
    mean_q: Tensor, scale_tril_q: Tensor, mean_p: Tensor, scale_tril_p: Tensor
) -> Tensor:
    """KL(q || p) between Gaussians given by Cholesky factors of their covariances."""
    lower_q, lower_p = torch.tril(scale_tril_q), torch.tril(scale_tril_p)
    scale_q, scale_p = lower_q.diagonal(dim1=-2, dim2=-1), lower_p.diagonal(dim1=-2, dim2=-1)
    ratio = torch.linalg.solve_triangular(lower_p, lower_q, upper=False)
    gap = (mean_q - mean_p).unsqueeze(-1)
    z = torch.linalg.solve_triangular(lower_p, gap, upper=False).squeeze(-1)
    log_ratio = torch.log(scale_q) - torch.log(scale_p)
    of_scales = 0.5 * torch.expm1(2.0 * log_ratio) - log_ratio
    off_diagonal = torch.tril(ratio, diagonal=-1).square().sum((-2, -1))
    total = 0.5 * (off_diagonal + z.square().sum(-1)) + of_scales.sum(-1)
    valid = is_factor(lower_q) & is_factor(lower_p)
    return total * torch.where(valid, 1.0, math.nan).to(total.dtype)


def is_factor(lower: Tensor) -> Tensor:
    """Tell which triangular matrices hold no NaN, and only positive numbers on their diagonal."""
    positive = (lower.diagonal(dim1=-2, dim2=-1) > 0).all(-1)
    return positive & ~torch.isnan(lower).flatten(-2).any(-1)


def mixture_log_prob(x: Tensor, log_weights: Tensor, means: Tensor, logvars: Tensor) -> Tensor:
    """Return log sum_k exp(log_weights_k) N(x; mu_k, sigma_k^2)."""
    return logsumexp(_log_joint(x, log_weights, means, logvars))


def mixture_posterior(
    x: Tensor, log_weights: Tensor, means: Tensor, logvars: Tensor
) -> tuple[Tensor, Tensor]:
    """Return log p(z | x) and log p(x)."""
    log_joint = _log_joint(x, log_weights, means, logvars)
    log_prob = logsumexp(log_joint)
    return log_normalise(log_joint, log_prob), log_prob


def mixture_log_prob_tril(
    x: Tensor, log_weights: Tensor, means: Tensor, scale_trils: Tensor
) -> Tensor:
    """Return log sum_k exp(log_weights_k) N(x; mu_k, L_k L_k')."""
    return logsumexp(_log_joint_tril(x, log_weights, means, scale_trils))


def mixture_posterior_tril(
    x: Tensor, log_weights: Tensor, means: Tensor, scale_trils: Tensor
) -> tuple[Tensor, Tensor]:
    """Return log p(z | x) and log p(x)."""
    log_joint = _log_joint_tril(x, log_weights, means, scale_trils)
    log_prob = logsumexp(log_joint)
    return log_normalise(log_joint, log_prob), log_prob


def mixture_predict(
    x: Tensor, log_weights: Tensor, means: Tensor, logvars: Tensor
) -> tuple[Tensor, Tensor]:
    """Return the most probable component and log p(x)."""
    return most_probable(_log_joint(x, log_weights, means, logvars))


def mixture_predict_tril(
    x: Tensor, log_weights: Tensor, means: Tensor, scale_trils: Tensor
) -> tuple[Tensor, Tensor]:
    """Return the same with full covariances."""
    return most_probable(_log_joint_tril(x, log_weights, means, scale_trils))


def mixture_statistics(
    x: Tensor,
    log_weights: Tensor,
    means: Tensor,
    logvars: Tensor,
    sample_weight: Tensor | None = None,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return sum_n w log p(x), and sums over points of w r, w r (x - mu) and w r (x - mu)^2."""
    log_joint = _log_joint(x, log_weights, means, logvars)
    log_likelihood, r = responsibilities(log_joint, log_weights, sample_weight)
    gap = counted_gap(x, means, r)
    squares = (r.unsqueeze(-1) * gap.square()).sum(-3)
    if logvars.shape[-1] == 1:
        squares = squares.sum(-1, keepdim=True)
    return log_likelihood, r.sum(-2), (r.unsqueeze(-1) * gap).sum(-3), squares


def mixture_statistics_tril(
    x: Tensor,
    log_weights: Tensor,
    means: Tensor,
    scale_trils: Tensor,
    sample_weight: Tensor | None = None,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return the same with outer products of x - mu, summed over components where they are tied."""
    log_joint = _log_joint_tril(x, log_weights, means, scale_trils)
    log_likelihood, r = responsibilities(log_joint, log_weights, sample_weight)
    gap = counted_gap(x, means, r)
    # A product, not einsum, which would fix the number of points in an exported program.
    by_component = gap.transpose(-3, -2)
    outer = (r.mT.unsqueeze(-1) * by_component).mT @ by_component
    if scale_trils.shape[-3] == 1:
        outer = outer.sum(-3, keepdim=True)
    return log_likelihood, r.sum(-2), (r.unsqueeze(-1) * gap).sum(-3), outer


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
    # A mixture with a weight that is NaN has no density, whatever q(z) is.
    expected = torch.where(torch.isnan(log_weights).unsqueeze(-2), math.nan, expected)

    if logits_q is None:
        log_joint = _log_joint(posterior_at, log_weights, means, logvars, posterior_logvar)
        normalizer = logsumexp(log_joint)
        log_q = log_normalise(log_joint, normalizer)
        unreachable = normalizer == -_INF
    else:
        logits = torch.where(alive, logits_q, logits_q.detach())
        log_q = log_normalise(logits, logsumexp(logits))
        unreachable = ~(alive & (expected != -_INF)).any(-1)
    unreachable = unreachable | is_infinite(point)
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


def is_infinite(x: Tensor) -> Tensor:
    """Rows that hold an infinity and no NaN: points, or components, without a density."""
    return torch.isinf(x).any(-1) & ~torch.isnan(x).any(-1)


def _log_normal(
    x: Tensor, log_weights: Tensor, means: Tensor, logvars: Tensor, logvar_x: Tensor | None = None
) -> Tensor:
    """Return log N(x; mu_k, sigma_k^2), (..., N, K), or its mean under N(x, e^logvar_x).

    A component of weight -inf gets stand-in parameters, an infinite mean a stand-in and an infinite
    row a stand-in point, so that none makes a gradient NaN; the callers put the values of the first
    and the last in place.
    """
    alive = _alive(log_weights).unsqueeze(-1)
    distant = is_infinite(means).unsqueeze(-1)
    means = torch.where(alive & ~distant, means, 0.0).unsqueeze(-3)
    logvars = torch.where(alive, logvars, 0.0).unsqueeze(-3)
    x = torch.where(is_infinite(x).unsqueeze(-1), 0.0, x)
    z = (x.unsqueeze(-2) - means) * torch.exp(-0.5 * logvars)
    terms = z.square() + logvars + LOG_2PI
    if logvar_x is not None:
        terms = terms + torch.exp(logvar_x.unsqueeze(-2) - logvars)
    log_normal = -0.5 * terms.sum(-1)
    return torch.where((alive & distant).mT & ~torch.isnan(log_normal), -_INF, log_normal)


def _log_joint(
    x: Tensor, log_weights: Tensor, means: Tensor, logvars: Tensor, logvar_x: Tensor | None = None
) -> Tensor:
    """Return log(weight_k N(x; mu_k, sigma_k^2)), (..., N, K)."""
    log_normal = _log_normal(x, log_weights, means, logvars, logvar_x)
    log_weights = log_weights.unsqueeze(-2)
    alive = _alive(log_weights) & ~is_infinite(x).unsqueeze(-1)
    return torch.where(alive, torch.where(alive, log_weights, 0.0) + log_normal, -_INF)


def stand_ins(
    log_weights: Tensor, means: Tensor, scale_trils: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Return which components have a density, and means and factors with stand-ins of the others.

    As for ``_log_normal``.
    """
    alive = _alive(log_weights)
    used = alive.any(-1, keepdim=True) if scale_trils.shape[-3] == 1 else alive
    identity = torch.eye(means.shape[-1], dtype=means.dtype, device=means.device)
    factors = torch.where(used[..., None, None], torch.tril(scale_trils), identity)
    # An infinite mean leaves its component without a density, unless something is NaN beside it.
    alive = alive & ~(is_infinite(means) & is_factor(factors) & ~torch.isnan(log_weights))
    return alive, torch.where(alive.unsqueeze(-1), means, 0.0), factors


def _log_joint_tril(x: Tensor, log_weights: Tensor, means: Tensor, scale_trils: Tensor) -> Tensor:
    """Return log(weight_k N(x; mu_k, L_k L_k')), (..., N, K)."""
    alive, means, factors = stand_ins(log_weights, means, scale_trils)
    infinite = is_infinite(x).unsqueeze(-1)
    gap = torch.where(infinite, 0.0, x).unsqueeze(-3) - means.unsqueeze(-2)  # (..., K, N, D)
    z = torch.linalg.solve_triangular(factors, gap.mT, upper=False)
    log_determinant = torch.diagonal(factors, dim1=-2, dim2=-1).log().sum(-1)
    constant = log_determinant + 0.5 * LOG_2PI * x.shape[-1]
    log_normal = (-0.5 * z.square().sum(-2) - constant.unsqueeze(-1)).mT
    log_weights = torch.where(alive, log_weights, 0.0).unsqueeze(-2)
    return torch.where(alive.unsqueeze(-2) & ~infinite, log_weights + log_normal, -_INF)


def responsibilities(
    log_joint: Tensor, log_weights: Tensor, sample_weight: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Weighted log-likelihood, and weighted responsibilities, (..., N, K).

    Points of no weight or no density count for nothing, nor do components of weight -inf.
    """
    log_prob = logsumexp(log_joint)
    weight = torch.ones_like(log_prob) if sample_weight is None else sample_weight
    weight = weight.broadcast_to(torch.broadcast_shapes(weight.shape, log_prob.shape))
    log_likelihood = torch.where(weight == 0, 0.0, weight * log_prob).sum(-1)
    counts = ((weight != 0) & (log_prob != -_INF)).unsqueeze(-1) & _alive(log_weights).unsqueeze(-2)
    posterior = torch.exp(log_normalise(log_joint, log_prob))
    return log_likelihood, torch.where(counts, weight.unsqueeze(-1) * posterior, 0.0)


def most_probable(log_joint: Tensor) -> tuple[Tensor, Tensor]:
    """Return the component of the largest number, the first of equal ones, and the log-sum-exp.

    Where that is -inf or NaN no component is more probable than another, and it is 0.
    """
    log_prob = logsumexp(log_joint)
    if not log_joint.shape[-1]:
        return torch.zeros_like(log_prob, dtype=torch.int64), log_prob
    component = torch.where(torch.isnan(log_joint), -_INF, log_joint).argmax(-1)
    return torch.where(log_prob > -_INF, component, 0), log_prob


def counted_gap(x: Tensor, means: Tensor, r: Tensor) -> Tensor:
    """Return x - mu, (..., N, K, D): zero for points and components that count for nothing."""
    x = torch.where((r == 0).all(-1, keepdim=True), 0.0, x)
    gap = x.unsqueeze(-2) - means.unsqueeze(-3)
    return torch.where((r == 0).all(-2)[..., None, :, None], 0.0, gap)


def logsumexp(a: Tensor) -> Tensor:
    """Log-sum-exp over the last dimension, with a zero gradient (torch: NaN) where all are -inf."""
    if a.shape[-1] == 0:
        return a.sum(-1) - _INF
    top = a.detach().amax(-1, keepdim=True)
    top = torch.where(torch.isfinite(top), top, 0.0)
    total = torch.exp(a - top).sum(-1)
    empty = total == 0
    return torch.where(empty, -_INF, torch.log(torch.where(empty, 1.0, total)) + top.squeeze(-1))


def log_normalise(log_joint: Tensor, log_normalizer: Tensor) -> Tensor:
    """Subtract the normaliser; entries of -inf stay -inf and pass no gradient."""
    excluded = log_joint == -_INF
    safe_joint = torch.where(excluded, 0.0, log_joint)
    log_normalizer = torch.where(log_normalizer == -_INF, 0.0, log_normalizer)
    return torch.where(excluded, -_INF, safe_joint - log_normalizer.unsqueeze(-1))
