# SPDX-License-Identifier: MIT
"""Full covariances by torch's matrix products: for factors too large for the fused kernels.

Every function takes the place of a kernel: the same arguments, results and gradients, and none of
the checks. Points and components are taken a chunk at a time, so that nothing of size (N, K, D) is
written, nor, by a density, anything of size (N, K). As in the kernels, factors are inverted once a
call, in float64: a library's solves of one matrix are many times slower than its products.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from pyvae.ops import reference
from pyvae.ops.folding import Tensors

_CHUNK = 1 << 24  # numbers of one (K, N, D) tensor; three or so are held at a time
_INF = math.inf
# From a chunk's log joint density, its points and its components: d/d(log joint).
_Coefficients = Callable[[Tensor, slice, slice], Tensor]


@dataclass(frozen=True)
class _Components:
    """Components with their inverse factors: (..., K), (..., K, D) and twice (..., C, D, D)."""

    alive: Tensor
    constant: Tensor
    means: Tensor
    factors: Tensor
    inverses: Tensor

    @classmethod
    def of(cls, log_weights: Tensor, means: Tensor, scale_trils: Tensor) -> _Components:
        alive, means, factors = reference.stand_ins(log_weights, means, scale_trils)
        log_determinant = _diagonal(factors).double().log().sum(-1)
        constant = log_weights - log_determinant - 0.5 * reference.LOG_2PI * means.shape[-1]
        constant = torch.where(alive, constant, -_INF).to(means.dtype)
        return cls(alive, constant, means, factors, _inverses(factors))

    def score(self, x: Tensor) -> Iterator[tuple[slice, Tensor, Tensor]]:
        """Yield chunks of components, L^-1 (x - mu), (..., K, N, D), and log joint densities."""
        infinite = reference.is_infinite(x).unsqueeze(-1)
        x = torch.where(infinite, 0.0, x)
        for chosen in self.chunks(x):
            gap = x.unsqueeze(-3) - self.means[..., chosen, None, :]
            z = gap @ _of(chosen, self.inverses).mT
            squares = torch.linalg.vector_norm(z, dim=-1).square_()
            joint = (self.constant[..., chosen, None] - 0.5 * squares).mT
            counts = self.alive[..., None, chosen] & ~infinite
            yield chosen, z, torch.where(counts, joint, -_INF)

    def chunks(self, x: Tensor) -> Iterator[slice]:
        return _slices(self.alive.shape[-1], _CHUNK // _volume(x))

    def joints(self, x: Tensor) -> Iterator[tuple[slice, Tensor]]:
        """Yield chunks of points, and their log joint densities with all components."""
        for points in self.points(x):
            chunk = x[..., points, :]
            joint = x.new_empty((*chunk.shape[:-1], self.alive.shape[-1]))
            for chosen, _, found in self.score(chunk):
                joint[..., chosen] = found
            yield points, joint

    def points(self, x: Tensor) -> Iterator[slice]:
        """Chunks of points; sums over so many are exact enough in the dtype of the points."""
        others = math.prod(x.shape[:-2]) * max(x.shape[-1], self.alive.shape[-1], 1)
        return _slices(x.shape[-2], _CHUNK // max(1, 4 * others))


def mixture_log_prob_tril(
    x: Tensor, log_weights: Tensor, means: Tensor, scale_trils: Tensor
) -> Tensor:
    """Return log sum_k exp(log_weights_k) N(x; mu_k, L_k L_k')."""
    log_prob = x.new_empty(x.shape[:-1])
    for points, joint in _Components.of(log_weights, means, scale_trils).joints(x):
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
    for points, joint in _Components.of(log_weights, means, scale_trils).joints(x):
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
    for points, joint in _Components.of(log_weights, means, scale_trils).joints(x):
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
    components = _Components.of(log_weights, means, scale_trils)
    for points, joint in components.joints(x):
        of_points, r = reference.responsibilities(joint, log_weights, sample_weight[..., points])
        log_likelihood += of_points
        counts += r.sum(-2, dtype=torch.float64)
        # What counts for nothing may hold anything.
        chunk = torch.where((r == 0).all(-1, keepdim=True), 0.0, x[..., points, :])
        counted = (r != 0).any(-2).unsqueeze(-1)
        for chosen in components.chunks(chunk):
            gap = chunk.unsqueeze(-3) - means[..., chosen, None, :]
            weighted = r[..., chosen].mT.unsqueeze(-1) * gap
            of_chosen = counted[..., chosen, :]
            found = weighted.sum(-2, dtype=torch.float64)
            first[..., chosen, :] += torch.where(of_chosen, found, 0.0)
            outer = weighted.mT @ gap
            _add(second, chosen, torch.where(of_chosen.unsqueeze(-1), outer, 0.0))
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


def _add(total: Tensor, components: slice, found: Tensor) -> None:
    """Add matrices of some components, where all may share one sum."""
    if total.shape[-3] == 1:
        total += found.sum(-3, keepdim=True, dtype=total.dtype)
    else:
        total[..., components, :, :] += found


def _inverses(factors: Tensor) -> Tensor:
    """The inverses of triangular matrices, computed in float64."""
    inverses = torch.empty_like(factors)
    identity = torch.eye(factors.shape[-1], dtype=torch.float64, device=factors.device)
    for chosen in _slices(factors.shape[-3], _CHUNK // _volume(factors[..., :1, :, :])):
        exact = factors[..., chosen, :, :].double()
        inverses[..., chosen, :, :] = torch.linalg.solve_triangular(exact, identity, upper=False)
    return inverses


def _gradients(tensors: Tensors, needs: int, coefficients: _Coefficients) -> Tensors:
    """The gradients of a mixture's arguments.

    With g the coefficients, W = L^-1 and z = W (x - mu),
    d/dx = -sum_k g W'z, d/dmu = W' sum_n g z, d/dL = tril(W' sum_n g z z') - sum_n g / diag(L).
    """
    x, log_weights, means, scale_trils = tensors
    by_x, total, first, second = (torch.zeros_like(t) for t in tensors)
    components = _Components.of(log_weights, means, scale_trils)
    alive, inverses = components.alive, components.inverses
    for points in components.points(x):
        for chosen, z, joint in components.score(x[..., points, :]):
            g = coefficients(joint, points, chosen)
            g = torch.where(alive[..., None, chosen], g, 0.0).mT
            total[..., chosen] += g.sum(-1)
            weighted = g.unsqueeze(-1) * z
            if needs & 1:
                by_x[..., points, :] -= (weighted @ _of(chosen, inverses)).sum(-3)
            first[..., chosen, :] += weighted.sum(-2)
            if needs >> 3 & 1:
                _add(second, chosen, weighted.mT @ z)
    # A NaN of points is none of the components that have no density, nor the other way round.
    by_x = torch.where(alive.any(-1)[..., None, None], by_x, 0.0)
    by_mean = (first.unsqueeze(-2) @ inverses).squeeze(-2)
    by_mean = torch.where(alive.unsqueeze(-1), by_mean, 0.0)
    tied = second.shape[-3] == 1
    used = alive.any(-1, keepdim=True) if tied else alive
    of_factor = total.sum(-1, keepdim=True) if tied else total
    by_diagonal = of_factor.unsqueeze(-1) / _diagonal(components.factors)
    by_factor = (inverses.mT @ second).tril() - torch.diag_embed(by_diagonal)
    by_factor = torch.where(used[..., None, None], by_factor, 0.0)
    return _wanted((by_x, total, by_mean, by_factor), needs)
