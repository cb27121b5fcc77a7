# SPDX-License-Identifier: MIT
"""Implicit reparameterisation of a Gaussian mixture.

With F_d(x) = P(X_d <= x_d | x_1 .. x_(d-1)) the vector F(X) is uniform whatever the parameters, so
a sample that keeps F(x; theta) at its value moves by dx = -(dF/dx)^-1 dF/dtheta. Within a component
y = L^-1 (x - mu) has independent standard normal coordinates, y_d a function of x_1 .. x_d, so

    F_d = sum_k w_k(x_1 .. x_(d-1)) Phi(y_kd),
    w_k proportional to pi_k prod_(j<d) phi(y_kj) / L_kjj,

and dF/dx is lower triangular.

Source: Figurnov, Mohamed & Mnih (2018), section 3 and equation 5; Graves (2016).
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

_LOG_2PI = math.log(2.0 * math.pi)


def reparameterized(
    drawn: Tensor, log_weights: Tensor, means: Tensor, spread: Tensor, has_matrices: bool
) -> Tensor:
    """Give samples ``(*sample, *batch, D)`` the gradients of a mixture's parameters."""
    return _Implicit.apply(drawn, log_weights, means, spread, has_matrices)


def distribution_functions(
    x: Tensor, log_weights: Tensor, means: Tensor, spread: Tensor, has_matrices: bool
) -> Tensor:
    """F of each sample, ``(*sample, *batch, D)``."""
    gaps = x.unsqueeze(-2) - means
    if has_matrices:
        factors = spread.expand(*means.shape, means.shape[-1])
        y = torch.linalg.solve_triangular(factors, gaps.unsqueeze(-1), upper=False).squeeze(-1)
        log_scale = torch.diagonal(factors, dim1=-2, dim2=-1).log()
    else:
        y = gaps * torch.exp(-0.5 * spread)
        log_scale = (0.5 * spread).expand(means.shape)
    log_density = -0.5 * (y.square() + _LOG_2PI) - log_scale
    before = log_density.cumsum(-1) - log_density  # of the coordinates before each
    shares = torch.softmax(log_weights.unsqueeze(-1) + before, -2)
    return (shares * torch.special.ndtr(y)).sum(-2)


class _Implicit(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, drawn: Tensor, log_weights: Tensor, means: Tensor, spread: Tensor, matrices: bool
    ) -> Tensor:
        ctx.save_for_backward(drawn, log_weights, means, spread)
        ctx.matrices = matrices
        return drawn.clone()

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        drawn, *parameters = (tensor.detach() for tensor in ctx.saved_tensors)
        with torch.enable_grad():
            leaves = [drawn.requires_grad_(), *(p.requires_grad_() for p in parameters)]
            values = distribution_functions(*leaves, ctx.matrices)  # type: ignore[arg-type]
            columns = values.unbind(-1)
            rows = [
                torch.autograd.grad(column.sum(), drawn, retain_graph=True)[0] for column in columns
            ]
            jacobian = torch.stack(rows, -2).tril()
            pulled = torch.linalg.solve_triangular(
                jacobian.mT, upstream.unsqueeze(-1), upper=True
            ).squeeze(-1)
            wanted = [
                p for p, need in zip(parameters, ctx.needs_input_grad[1:4], strict=True) if need
            ]
            found = torch.autograd.grad(values, wanted, -pulled, allow_unused=True)
        gradients = iter(found)
        needs = ctx.needs_input_grad[1:4]
        return None, *(next(gradients) if need else None for need in needs), None
