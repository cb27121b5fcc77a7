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


def eager_function(op: CompiledOp) -> Callable[..., Tensor | Tensors]:
    """The op outside all transforms: the same rules, a third quicker than through the registry.

    Torch's own ``apply`` looks for transforms first, and unwraps tensors of those that have ended;
    of this one the caller does.
    """
    has_others = op.results > op.differentiable

    class Eager(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, *inputs: Tensor) -> Tensor | Tensors:
            with BelowAutograd():
                output = op.kernel(*inputs)
            save_forward(op, ctx, inputs, output)
            if has_others:
                ctx.mark_non_differentiable(*output[op.differentiable :])
            return output

        @staticmethod
        def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
            if torch.is_grad_enabled() or in_transform():
                return forward_vjp(op, ctx, *gradients)
            with BelowAutograd():
                return _gradients(op, ctx, op.backward_kernel, gradients)

    Eager.__name__ = op.signature.name
    return super(torch.autograd.Function, Eager).apply  # type: ignore[misc]


def save_forward(op: CompiledOp, ctx: Any, inputs: Tensors, output: Tensor | Tensors) -> None:
    """Keep what the backward op is handed."""
    if not op.saves_results:
        ctx.save_for_backward(*inputs)
    elif isinstance(output, Tensor):
        ctx.save_for_backward(*inputs, output)
    else:
        ctx.save_for_backward(*inputs, *output)


def forward_vjp(op: CompiledOp, ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
    """The gradients by the arguments, by the backward op."""
    return _gradients(op, ctx, op.run_backward, gradients)


def _gradients(
    op: CompiledOp, ctx: Any, run: Callable[..., Tensor | Tensors], upstream: Tensors
) -> tuple[Tensor | None, ...]:
    needed = ctx.needs_input_grad
    every = all(needed)
    needs = op.every if every else sum(1 << i for i, need in enumerate(needed) if need)
    if not needs:
        return (None,) * op.arguments
    found = as_tuple(run(*upstream[: op.differentiable], *ctx.saved_tensors, needs))
    return found if every else tuple(g if n else None for g, n in zip(found, needed, strict=True))


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
