# SPDX-License-Identifier: MIT
"""The derivatives of an op, once for all ops: the rules, and the autograd function of plain calls.

The first backward is always the fused kernel. It is an op with a rule of its own, and only *that*
rule differentiates the reference.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from pyvae.ops.compiled import BelowAutograd, CompiledOp, Tensors, as_tuple
from pyvae.ops.modes import in_transform


def eager_function(op: CompiledOp) -> type:
    """The op outside all transforms: the same rules, a fifth quicker than through the registry."""

    class Eager(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, *inputs: Tensor) -> Tensor | Tensors:
            with BelowAutograd():
                output = op.kernel(*inputs)
            save_forward(op, ctx, inputs, output)
            ctx.mark_non_differentiable(*as_tuple(output)[op.differentiable :])
            return output

        @staticmethod
        def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
            if torch.is_grad_enabled() or in_transform():
                return forward_vjp(op, ctx, *gradients)
            with BelowAutograd():
                return forward_vjp(op, ctx, *gradients)

    Eager.__name__ = op.signature.name
    return Eager


def save_forward(op: CompiledOp, ctx: Any, inputs: Tensors, output: Tensor | Tensors) -> None:
    """Keep what the backward op is handed."""
    ctx.save_for_backward(*inputs, *(as_tuple(output) if op.saves_results else ()))


def forward_vjp(op: CompiledOp, ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
    """The gradients by the arguments, by the backward op."""
    saved = ctx.saved_tensors
    tensors, results = saved[: op.arguments], saved[op.arguments :]
    needed = ctx.needs_input_grad[: op.arguments]
    needs = sum(1 << i for i, need in enumerate(needed) if need)
    if not needs:
        return (None,) * op.arguments
    found = op.run_backward(gradients[: op.differentiable], tensors, results, needs)
    return tuple(g if need else None for g, need in zip(found, needed, strict=True))


def save_backward(op: CompiledOp, ctx: Any, inputs: Sequence[Any], output: Any) -> None:
    """Keep what the derivative of the backward op takes."""
    gradients, tensors, ctx.needs = op.split_backward(inputs)
    ctx.save_for_backward(*gradients, *tensors)
    ctx.inputs = len(inputs)


def backward_vjp(op: CompiledOp, ctx: Any, *upstream: Tensor) -> tuple[Tensor | None, ...]:
    """The gradients by the backward op's inputs, by the reference."""
    pull_back = vjp(reference_backward(op, ctx.needs), ctx.saved_tensors)[1]
    wanted = tuple(u for u, wanted in zip(upstream, op.wanted(ctx.needs), strict=True) if wanted)
    found = pull_back(wanted)
    return (*found, *(None,) * (ctx.inputs - len(found)))


def reference_backward(op: CompiledOp, needs: int) -> Callable[..., Tensors]:
    """The backward op in plain torch, as a function of the upstream gradients and the arguments.

    The saved results are functions of these, so they get no derivative of their own.
    """

    def backward(*inputs: Tensor) -> Tensors:
        gradients, tensors = inputs[: op.differentiable], inputs[op.differentiable :]
        found = vjp(lambda *t: as_tuple(op.reference(*t)), tensors)[1](gradients)
        return tuple(g for g, wanted in zip(found, op.wanted(needs), strict=True) if wanted)

    return backward


def vjp(
    function: Callable[..., Tensors], inputs: Tensors
) -> tuple[Tensors, Callable[[Tensors], Tensors]]:
    """``torch.func.vjp`` as its type says too little: outputs, and cotangents to gradients."""
    outputs, pull_back = torch.func.vjp(function, *inputs)[:2]
    return outputs, pull_back
