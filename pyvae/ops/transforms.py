# SPDX-License-Identifier: MIT
"""An op inside the transforms of ``torch.func``, which take new-style autograd functions only.

They add forward-mode derivatives and ``vmap`` to the rules of ``autograd``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from pyvae.ops import autograd
from pyvae.ops.compiled import CompiledOp, Tensors, as_tuple, single
from pyvae.ops.folding import place


def forward_function(op: CompiledOp) -> type:
    """The op as an autograd function that torch.func understands."""

    class Forward(torch.autograd.Function):
        @staticmethod
        def forward(*inputs: Tensor) -> Tensor | Tensors:
            return op.kernel(*inputs)

        @staticmethod
        def setup_context(ctx: Any, inputs: Tensors, output: Tensor | Tensors) -> None:
            autograd.save_forward(op, ctx, inputs, output)
            ctx.save_for_forward(*inputs)
            ctx.mark_non_differentiable(*as_tuple(output)[op.differentiable :])

        @staticmethod
        def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
            return autograd.forward_vjp(op, ctx, *gradients)

        @staticmethod
        def jvp(ctx: Any, *tangents: Tensor | None) -> Tensor | Tensors:
            tensors = ctx.saved_tensors[: op.arguments]
            found = _jvp(lambda *t: as_tuple(op.reference(*t)), tensors, tangents)
            return single((*found, *(None,) * (op.results - op.differentiable)))

        @staticmethod
        def vmap(info: Any, in_dims: tuple[int | None, ...], *inputs: Tensor) -> tuple[Any, Any]:
            return forward_vmap(op, info, in_dims, *inputs)

    Forward.__name__ = op.signature.name
    return Forward


def backward_function(op: CompiledOp) -> type:
    """The backward op likewise: its own backward differentiates the reference."""

    class Backward(torch.autograd.Function):
        @staticmethod
        def forward(*inputs: Any) -> Tensor | Tensors:
            return op.backward_kernel(*inputs)

        @staticmethod
        def setup_context(ctx: Any, inputs: Sequence[Any], output: Any) -> None:
            autograd.save_backward(op, ctx, inputs, output)
            ctx.save_for_forward(*ctx.to_save)

        @staticmethod
        def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
            return autograd.backward_vjp(op, ctx, *gradients)

        @staticmethod
        def jvp(ctx: Any, *tangents: Tensor | None) -> Tensor | Tensors:
            saved = ctx.saved_tensors
            function = autograd.reference_backward(op, ctx.needs)
            found = iter(_jvp(function, saved, tangents[: len(saved)]))
            wanted = op.wanted(ctx.needs)
            return single(tuple(next(found) if w else saved[0].new_zeros(0) for w in wanted))

        @staticmethod
        def vmap(info: Any, in_dims: tuple[int | None, ...], *inputs: Any) -> tuple[Any, Any]:
            return backward_vmap(op, info, in_dims, *inputs)

    Backward.__name__ = f"{op.signature.name}_backward"
    return Backward


def forward_vmap(
    op: CompiledOp, info: Any, in_dims: Sequence[int | None], *inputs: Tensor
) -> tuple[Any, Any]:
    """The op with one batch dimension more; points mapped over one mixture are a row of points."""
    tensors = tuple(_in_front(x, dim) for x, dim in zip(inputs, in_dims, strict=True))
    placed, folding = op.signature.broadcast(tensors)
    results = op.run(placed)
    if folding is not None:
        results = tuple(folding.restore(result) for result in results)
    return single(results), single((0,) * len(results))


def backward_vmap(
    op: CompiledOp, info: Any, in_dims: Sequence[int | None], *inputs: Any
) -> tuple[Any, Any]:
    """The backward op likewise, but that a mixture's gradient differs from entry to entry."""
    needs, signature = inputs[-1], op.signature
    tensors = tuple(_in_front(x, dim) for x, dim in zip(inputs[:-1], in_dims, strict=False))
    cores = (*signature.result_cores[: op.differentiable], *signature.cores)
    cores = (*cores, *signature.result_cores)[: len(tensors)]
    wanted = op.wanted(needs)
    by_points = all("n" in core for core, w in zip(signature.cores, wanted, strict=True) if w)
    batch = torch.broadcast_shapes(
        *(t.shape[: t.dim() - len(c)] for t, c in zip(tensors, cores, strict=True))
    )
    placed, folding = place(cores, tensors, batch, folds=signature.folds and by_points)
    found = as_tuple(op.run_backward(*placed, needs))
    if folding is not None:
        found = tuple(folding.restore(g) if w else g for g, w in zip(found, wanted, strict=True))
    return single(found), single(tuple(0 if w else None for w in wanted))


def _in_front(tensor: Tensor, dim: int | None) -> Tensor:
    """The mapped dimension in front; one of size 1 where there was none."""
    return tensor.unsqueeze(0) if dim is None else tensor.movedim(dim, 0)


def _jvp(
    function: Callable[..., Tensors], inputs: Tensors, tangents: Sequence[Tensor | None]
) -> Tensors:
    """Forward-mode derivative by two reverse passes: forward-mode levels do not nest, these do."""
    outputs, pull_back = autograd.vjp(function, inputs)
    zeros = tuple(torch.zeros_like(output) for output in outputs)
    push_forward = autograd.vjp(lambda *v: pull_back(v), zeros)[1]
    filled = (
        torch.zeros_like(x) if t is None else t for x, t in zip(inputs, tangents, strict=True)
    )
    return push_forward(tuple(filled))
