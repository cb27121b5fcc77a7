# SPDX-License-Identifier: MIT
"""Implicit reparameterisation of a Gaussian mixture.

With F_d(x) = P(X_d <= x_d | x_1 .. x_(d-1)) the vector F(X) is uniform whatever the parameters, so
a sample that keeps F(x; theta) at its value moves by dx = -(dF/dx)^-1 dF/dtheta. Within a component
y = L^-1 (x - mu) has independent standard normal coordinates, y_d a function of x_1 .. x_d, so

    F_d = sum_k w_kd Phi(y_kd),   w_kd proportional to pi_k prod_(j<d) phi(y_kj) / L_kjj,

and dF/dx is lower triangular: the backward pass is one substitution, from the last coordinate to
the first. It is a formula in plain torch of the sample and the parameters, and the sample it takes
is the result itself, so derivatives of every order are those of the point that keeps F.

Source: Figurnov, Mohamed & Mnih (2018), section 3 and equation 5; Graves (2016).
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor

from pyvae.distributions.precision import computing_dtype, outside_autocast

_LOG_2PI = math.log(2.0 * math.pi)
_ELEMENTS = 2**17  # of (points, components, coordinates) that are worked on at a time


def reparameterized(
    drawn: Tensor, log_weights: Tensor, means: Tensor, spread: Tensor, has_matrices: bool
) -> Tensor:
    """Give samples ``(*batch, N, D)`` the derivatives of a mixture's parameters.

    The parameters are ``(*batch, K)``, ``(*batch, K, D)`` and log-variances ``(*batch, K, D|1)``,
    or with ``has_matrices`` lower factors ``(*batch, K|1, D, D)``.
    """
    function = _Implicit if torch.compiler.is_compiling() else _ImplicitForward
    dtype = computing_dtype(log_weights, means, spread)
    tensors = (t.to(dtype) for t in (drawn, log_weights, means, spread))
    with outside_autocast(means):
        return function.apply(*tensors, has_matrices).to(drawn.dtype)


def distribution_functions(
    x: Tensor, log_weights: Tensor, means: Tensor, spread: Tensor, has_matrices: bool
) -> Tensor:
    """F of each sample; shapes are those of :func:`reparameterized`."""
    within = _within(x, log_weights, means, spread, has_matrices)
    return (within.shares * torch.special.ndtr(within.y)).sum(-1)


class _Within(NamedTuple):
    """Coordinates within the components ``(*batch, N, D, K)``, and w_kd for each of them."""

    y: Tensor
    shares: Tensor
    rates: Tensor  # dy_d/dx_d, (*batch, 1, D, K)
    inverses: Tensor | None  # L^-1, (*batch, K, D, D)


def _within(
    x: Tensor, log_weights: Tensor, means: Tensor, spread: Tensor, has_matrices: bool
) -> _Within:
    gaps = x.unsqueeze(-1) - means.mT.unsqueeze(-3)
    inverses = None
    if has_matrices:
        d = means.shape[-1]
        factors = spread.expand(*means.shape, d)
        unit = torch.eye(d, dtype=means.dtype, device=means.device).expand(factors.shape)
        inverses = torch.linalg.solve_triangular(factors, unit, upper=False)
        # (*batch, K, D, N): the points are the columns of one right side a component
        columns = torch.linalg.solve_triangular(factors, _by_component(gaps), upper=False)
        y = columns.mT.movedim(-3, -1)
        rates = torch.diagonal(inverses, dim1=-2, dim2=-1).mT.unsqueeze(-3)
        log_scale = torch.diagonal(factors, dim1=-2, dim2=-1).log().mT.unsqueeze(-3)
    else:
        log_scale = 0.5 * spread.expand(means.shape).mT.unsqueeze(-3)
        rates = torch.exp(-log_scale)
        y = gaps * rates
    log_density = -0.5 * (y.square() + _LOG_2PI) - log_scale
    before = torch.cat([torch.zeros_like(y[..., :1, :]), log_density[..., :-1, :]], -2).cumsum(-2)
    shares = torch.softmax(log_weights[..., None, None, :] + before, -1)
    return _Within(y, shares, rates, inverses)


def _pulled_back(
    x: Tensor,
    log_weights: Tensor,
    means: Tensor,
    spread: Tensor,
    has_matrices: bool,
    upstream: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:
    """The gradients of the parameters, from that of the samples.

    With p = (dF/dx)^-T upstream they are those of -p'F: ``along`` is its derivative by y, ``later``
    the sum of p_e w_ke (Phi(y_ke) - F_e) over the coordinates e after each, by its log-density.
    """
    means, spread = _of_the_living(log_weights, means, spread, has_matrices)
    within = _within(x, log_weights, means, spread, has_matrices)
    y, rates = within.y, within.rates
    along, later, total = _substituted(within, upstream)
    by_weights = -total.sum(-2)
    if within.inverses is None:
        by_means = (along * rates).sum(-3).mT
        by_logvars = 0.5 * (along * y + later).sum(-3).mT
        kept = by_logvars if spread.shape[-1] == means.shape[-1] else by_logvars.sum(-1, True)
        return by_weights, by_means, kept
    transposed = within.inverses.mT
    by_means = (transposed @ along.sum(-3).mT.unsqueeze(-1)).squeeze(-1)
    outer = _by_component(along) @ _by_component(y).mT
    scales = (later * rates).sum(-3).mT
    by_factors = (transposed @ outer).tril() + torch.diag_embed(scales)
    tied = spread.shape[-3] != means.shape[-2]
    return by_weights, by_means, by_factors.sum(-3, True) if tied else by_factors


def _by_parts(
    saved: tuple[Tensor, Tensor, Tensor, Tensor], has_matrices: bool, upstream: Tensor
) -> tuple[Tensor, ...]:
    """``_pulled_back`` of as many points at a time as stay in the cache, where nothing is kept."""
    x, log_weights, means, spread = saved
    if torch.compiler.is_compiling() or torch.is_grad_enabled():
        return _pulled_back(x, log_weights, means, spread, has_matrices, upstream)
    step = max(1, _ELEMENTS // max(1, means.numel()))
    parts = [
        _pulled_back(points, log_weights, means, spread, has_matrices, gradients)
        for points, gradients in zip(x.split(step, -2), upstream.split(step, -2), strict=True)
    ]
    if len(parts) == 1:
        return parts[0]
    return tuple(torch.stack(each).sum(0) for each in zip(*parts, strict=True))


def _of_the_living(
    log_weights: Tensor, means: Tensor, spread: Tensor, has_matrices: bool
) -> tuple[Tensor, Tensor]:
    """Harmless values for components of no weight, whatever they hold."""
    alive = (log_weights > -math.inf).unsqueeze(-1)
    means = torch.where(alive, means, 0.0)
    if not has_matrices:
        return means, torch.where(alive, spread, 0.0)
    if spread.shape[-3] == 1:
        return means, spread
    unit = torch.eye(spread.shape[-1], dtype=spread.dtype, device=spread.device)
    return means, torch.where(alive.unsqueeze(-1), spread, unit)


def _substituted(within: _Within, upstream: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """``along`` and ``later`` of all coordinates, from the last to the first, and the last sum."""
    moves, heights, slopes = _slopes(within)
    later = torch.zeros_like(within.y[..., 0, :])
    beyond = torch.zeros_like(upstream)  # p'dF/dx of the coordinates done, by x
    alongs, laters = [], []
    for e in reversed(range(upstream.shape[-1])):
        y, rate = within.y[..., e, :], within.rates[..., e, :]
        shifted = later * y
        done = beyond[..., e] - (shifted * rate).sum(-1)
        p = ((upstream[..., e] - done) / slopes[..., e]).unsqueeze(-1)
        along = p * heights[..., e, :] - shifted
        alongs.append(along)
        laters.append(later)
        later = later + p * moves[..., e, :]
        if within.inverses is not None:
            beyond = beyond + along @ within.inverses[..., e, :]
    return torch.stack(alongs[::-1], -2), torch.stack(laters[::-1], -2), later


def _slopes(within: _Within) -> tuple[Tensor, Tensor, Tensor]:
    """Of each coordinate w (Phi(y) - F) and w phi(y), and its density given those before it."""
    y, shares = within.y, within.shares
    # of the smaller tail, whose probabilities keep their digits
    side = torch.where((shares * y).sum(-1, keepdim=True) > 0, -1.0, 1.0).to(y.dtype)
    tail = torch.special.ndtr(side * y)
    moves = side * shares * (tail - (shares * tail).sum(-1, keepdim=True))
    heights = shares * torch.exp(-0.5 * (y.square() + _LOG_2PI))
    return moves, heights, (heights * within.rates).sum(-1)


def _by_component(by_point: Tensor) -> Tensor:
    """``(*batch, N, D, K)`` as ``(*batch, K, D, N)``."""
    return by_point.movedim(-1, -3).mT


class _Implicit(torch.autograd.Function):
    """For the compiler, which takes no function with a forward-mode derivative."""

    generate_vmap_rule = True

    @staticmethod
    def forward(
        drawn: Tensor, log_weights: Tensor, means: Tensor, spread: Tensor, matrices: bool
    ) -> Tensor:
        return drawn.clone()

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        _, *parameters, ctx.matrices = inputs
        ctx.save_for_backward(output, *parameters)
        ctx.save_for_forward(output, *parameters)

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        with outside_autocast(upstream):
            found = _by_parts(ctx.saved_tensors, ctx.matrices, upstream)
        return None, *found, None


class _ImplicitForward(_Implicit):
    """With a forward-mode derivative: the transpose of the backward pass, which is linear."""

    @staticmethod
    def jvp(ctx: Any, *tangents: Tensor | None) -> Tensor:
        x, *parameters = ctx.saved_tensors
        filled = (
            torch.zeros_like(p) if t is None else t
            for p, t in zip(parameters, tangents[1:4], strict=True)
        )
        with outside_autocast(x):
            push = torch.func.vjp(
                lambda upstream: _pulled_back(x, *parameters, ctx.matrices, upstream),  # type: ignore[call-arg]
                torch.zeros_like(x),
            )[1]
            return push(tuple(filled))[0]
