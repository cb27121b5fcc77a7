# SPDX-License-Identifier: MIT
"""Full covariances by torch's matrix products: for factors too large for the fused kernels.

Every function takes the place of a kernel: the same arguments, results and gradients, and none of
the checks. Points and components are taken a chunk at a time, so that nothing of size (N, K, D) is
written, nor, by a density, anything of size (N, K).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from pyvae.ops import reference
from pyvae.ops.folding import Tensors

_CHUNK = 1 << 22  # numbers of one (K, D, N) tensor; four or so are held at a time
_INF = math.inf
# From a chunk's log joint density, its points and its components: d/d(log joint).
_Coefficients = Callable[[Tensor, slice, slice], Tensor]


def mixture_log_prob_tril(
    x: Tensor, log_weights: Tensor, means: Tensor, scale_trils: Tensor
) -> Tensor:
    """Return log sum_k exp(log_weights_k) N(x; mu_k, L_k L_k')."""
    log_prob = x.new_empty(x.shape[:-1])
    for points, joint in _joints(x, log_weights, means, scale_trils):
        log_prob[..., points] = reference.logsumexp(joint)
    return log_prob


def mixture_log_prob_tril_backward(
    gradient: Tensor,
    x: Tensor,
    log_weights: Tensor,
    means: Tensor,
    scale_trils: Tensor,
    log_prob: Tensor,
    needs: int,
) -> Tensors:
    """Return the gradients of the arguments whose bits are set in ``needs``."""

    def coefficients(joint: Tensor, points: slice, _: slice) -> Tensor:
        return _posterior(joint, log_prob[..., points]) * gradient[..., points, None]

    return _gradients((x, log_weights, means, scale_trils), needs, coefficients)


def mixture_posterior_tril(
    x: Tensor, log_weights: Tensor, means: Tensor, scale_trils: Tensor
) -> tuple[Tensor, Tensor]:
    """Return log p(z | x) and log p(x)."""
    log_posterior = x.new_empty((*x.shape[:-1], log_weights.shape[-1]))
    log_prob = x.new_empty(x.shape[:-1])
    for points, joint in _joints(x, log_weights, means, scale_trils):
        log_prob[..., points] = reference.logsumexp(joint)
        log_posterior[..., points, :] = reference.log_normalise(joint, log_prob[..., points])
    return log_posterior, log_prob


def mixture_posterior_tril_backward(
    gradient: Tensor,
    gradient_log_prob: Tensor,
    x: Tensor,
    log_weights: Tensor,
    means: Tensor,
    scale_trils: Tensor,
    log_posterior: Tensor,
    log_prob: Tensor,
    needs: int,
) -> Tensors:
    """Return the gradients of the arguments whose bits are set in ``needs``."""
    gradient = torch.where(log_posterior == -_INF, 0.0, gradient)
    of_normalizer = gradient_log_prob - gradient.sum(-1)

    def coefficients(joint: Tensor, points: slice, components: slice) -> Tensor:
        posterior = _posterior(joint, log_prob[..., points])
        return gradient[..., points, components] + posterior * of_normalizer[..., points, None]

    return _gradients((x, log_weights, means, scale_trils), needs, coefficients)


def mixture_predict_tril(
    x: Tensor, log_weights: Tensor, means: Tensor, scale_trils: Tensor
) -> tuple[Tensor, Tensor]:
    """Return the most probable component, and the log-density."""
    log_prob = x.new_empty(x.shape[:-1])
    component = torch.empty_like(log_prob, dtype=torch.int64)
    for points, joint in _joints(x, log_weights, means, scale_trils):
        component[..., points], log_prob[..., points] = reference.most_probable(joint)
    return component, log_prob


def mixture_statistics_tril(
    x: Tensor, log_weights: Tensor, means: Tensor, scale_trils: Tensor, sample_weight: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return sum_n w log p(x), and sums of w r, w r (x - mu) and w r (x - mu) (x - mu)'."""

    def zeros(*core: int) -> Tensor:
        return x.new_zeros((*x.shape[:-2], *core), dtype=torch.float64)

    k, d = means.shape[-2:]
    log_likelihood, counts, first = zeros(), zeros(k), zeros(k, d)
    second = zeros(*scale_trils.shape[-3:])
    for points, joint in _joints(x, log_weights, means, scale_trils):
        of_points, r = reference.responsibilities(joint, log_weights, sample_weight[..., points])
        log_likelihood += of_points
        counts += r.sum(-2, dtype=torch.float64)
        for components in _slices(k, _CHUNK // _volume(x[..., points, :])):
            mine = r[..., components]
            gap = reference.counted_gap(x[..., points, :], means[..., components, :], mine)
            gap = gap.transpose(-3, -2)
            weighted = mine.mT.unsqueeze(-1) * gap
            first[..., components, :] += weighted.sum(-2, dtype=torch.float64)
            outer = weighted.mT @ gap
            if second.shape[-3] == 1:
                second += outer.sum(-3, keepdim=True, dtype=torch.float64)
            else:
                second[..., components, :, :] += outer
    return log_likelihood, counts, first, second


def gaussian_kl_tril(
    mean_q: Tensor, scale_tril_q: Tensor, mean_p: Tensor, scale_tril_p: Tensor
) -> Tensor:
    """KL(q || p) between Gaussians given by Cholesky factors of their covariances."""
    return reference.gaussian_kl_tril(mean_q, scale_tril_q, mean_p, scale_tril_p)


def gaussian_kl_tril_backward(
    gradient: Tensor,
    mean_q: Tensor,
    scale_tril_q: Tensor,
    mean_p: Tensor,
    scale_tril_p: Tensor,
    needs: int,
) -> Tensors:
    """Return the gradients of the arguments whose bits are set in ``needs``.

    With z = L_p^-1 (mu_q - mu_p) and L_p^-1 L_q = S + R, R its diagonal. What S and z leave out,
    (R^2 - 1) / L, comes of the diagonals alone: no two numbers cancel where q is near p.
    """
    gap = (mean_q - mean_p).unsqueeze(-1)
    found = _whitened_factors(torch.cat([scale_tril_q.tril(), gap], -1), scale_tril_p)
    ratio, z = found[..., :-1], found[..., -1:]
    scale_q, scale_p = _diagonal(scale_tril_q), _diagonal(scale_tril_p)
    valid = reference.is_factor(scale_tril_q.tril()) & reference.is_factor(scale_tril_p.tril())
    gradient = torch.where(valid, gradient, math.nan).unsqueeze(-1)
    excess = torch.expm1(2.0 * (scale_q.log() - scale_p.log()))
    below = ratio.tril(-1)
    scaled = below * _diagonal(ratio).unsqueeze(-2)
    inner = scaled + scaled.mT + below @ below.mT + z @ z.mT
    by_gap, by_q, by_p = (
        torch.linalg.solve_triangular(scale_tril_p.tril().mT, right, upper=True)
        for right in (z, below, inner)
    )
    by_mean = gradient * by_gap.squeeze(-1)
    gradient = gradient.unsqueeze(-1)
    by_factor_q = (gradient * (by_q + torch.diag_embed(excess / scale_q))).tril()
    by_factor_p = -(gradient * (by_p + torch.diag_embed(excess / scale_p))).tril()
    return _wanted((by_mean, by_factor_q, -by_mean, by_factor_p), needs)


def _whitened_factors(right: Tensor, factor: Tensor) -> Tensor:
    return torch.linalg.solve_triangular(factor.tril(), right, upper=False)


def _diagonal(factor: Tensor) -> Tensor:
    return factor.diagonal(dim1=-2, dim2=-1)


def _posterior(joint: Tensor, log_prob: Tensor) -> Tensor:
    return torch.exp(reference.log_normalise(joint, log_prob))


def _wanted(gradients: Tensors, needs: int) -> Tensors:
    """The gradients, and an empty tensor for each that nobody asked for."""
    return tuple(g if needs >> i & 1 else g.new_empty(0) for i, g in enumerate(gradients))


def _volume(x: Tensor) -> int:
    return max(1, x.numel())


def _slices(size: int, step: int) -> Iterator[slice]:
    step = max(1, step)
    return (slice(at, at + step) for at in range(0, size, step))


def _of(components: slice, factors: Tensor) -> Tensor:
    """The factors of some components, where all may share one."""
    return factors if factors.shape[-3] == 1 else factors[..., components, :, :]


def _points(x: Tensor, components: int) -> Iterator[slice]:
    """Chunks of points whose (N, D), and whose (N, K), are of the size of a chunk."""
    others = math.prod(x.shape[:-2]) * max(x.shape[-1], components, 1)
    return _slices(x.shape[-2], _CHUNK // max(1, others))


def _whitened(
    x: Tensor, log_weights: Tensor, means: Tensor, scale_trils: Tensor
) -> Iterator[tuple[slice, Tensor, Tensor, Tensor]]:
    """Yield chunks of components, and what ``reference.whiten`` returns for them."""
    for components in _slices(log_weights.shape[-1], _CHUNK // _volume(x)):
        chosen = log_weights[..., components], means[..., components, :]
        yield components, *reference.whiten(x, *chosen, _of(components, scale_trils))


def _joints(
    x: Tensor, log_weights: Tensor, means: Tensor, scale_trils: Tensor
) -> Iterator[tuple[slice, Tensor]]:
    """Yield chunks of points, and their log joint densities with all components."""
    for points in _points(x, log_weights.shape[-1]):
        chosen = x[..., points, :]
        joint = x.new_empty((*chosen.shape[:-1], log_weights.shape[-1]))
        for components, _, found, _ in _whitened(chosen, log_weights, means, scale_trils):
            joint[..., components] = found
        yield points, joint


def _gradients(tensors: Tensors, needs: int, coefficients: _Coefficients) -> Tensors:
    """The gradients of a mixture's arguments.

    With g the coefficients and u = L'^-1 z,
    d/dx = -sum_k g u, d/dmu = sum_n g u, d/dL = tril(sum_n g u z') - sum_n g / diag(L).
    """
    x, log_weights, means, scale_trils = tensors
    by_x, by_weight, by_mean, by_factor = (torch.zeros_like(t) for t in tensors)
    for points in _points(x, log_weights.shape[-1]):
        chunk = x[..., points, :]
        for components, z, joint, factors in _whitened(chunk, log_weights, means, scale_trils):
            g = coefficients(joint, points, components)
            dead = log_weights[..., components, None, None] == -_INF
            g = torch.where(dead[..., 0].mT, 0.0, g)  # a NaN of points is none of theirs
            z = torch.where(dead, 0.0, z)
            u = torch.linalg.solve_triangular(factors.mT, z, upper=True)
            u = torch.where(dead, 0.0, u)  # nor is a NaN in a factor that is tied
            u = u * g.mT.unsqueeze(-2)
            total = g.sum(-2)
            by_x[..., points, :] -= u.sum(-3).mT
            by_weight[..., components] += total
            by_mean[..., components, :] += u.sum(-1)
            if needs >> 3 & 1:
                by_diagonal = torch.diag_embed(total.unsqueeze(-1) / _diagonal(factors))
                found = (u @ z.mT).tril() - by_diagonal
                if by_factor.shape[-3] == 1:
                    found = found.sum(-3, keepdim=True)
                _of(components, by_factor).add_(found)
    return _wanted((by_x, by_weight, by_mean, by_factor), needs)
