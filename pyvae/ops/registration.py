# SPDX-License-Identifier: MIT
"""What torch is told of an op, for compiled code and its checks: shapes, derivatives, ``vmap``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from pyvae.ops import autograd, transforms
from pyvae.ops.compiled import CompiledOp, Tensors, single

REGISTERED: dict[str, CompiledOp] = {}  # by their names in the op table


def register(op: CompiledOp) -> None:
    """Register all that is not a kernel."""
    REGISTERED[op.kernel._opname] = op
    name = op.kernel._name
    torch.library.register_fake(
        name, lambda *inputs: single(op.signature.fake_results(inputs, op.result_dtypes))
    )
    torch.library.register_vmap(
        name, lambda info, dims, *inputs: transforms.forward_vmap(op, info, dims, *inputs)
    )
    if op.differentiable:
        _register_derivatives(op)


def _register_derivatives(op: CompiledOp) -> None:
    name, backward = op.kernel._name, op.backward_kernel._name
    torch.library.register_fake(backward, lambda *inputs: _fake_gradients(op, inputs))
    torch.library.register_autograd(
        name,
        lambda ctx, *gradients: autograd.forward_vjp(op, ctx, *gradients),
        setup_context=lambda ctx, inputs, output: autograd.save_forward(op, ctx, inputs, output),
    )
    torch.library.register_autograd(
        backward,
        lambda ctx, *gradients: autograd.backward_vjp(op, ctx, *gradients),
        setup_context=lambda ctx, inputs, output: autograd.save_backward(op, ctx, inputs, output),
    )
    torch.library.register_vmap(
        backward, lambda info, dims, *inputs: transforms.backward_vmap(op, info, dims, *inputs)
    )


def _fake_gradients(op: CompiledOp, inputs: Sequence[Any]) -> Tensor | Tensors:
    _, tensors, needs = op.split_backward(inputs)
    return single(
        tuple(
            t.new_empty(t.shape if wanted else (0,))
            for t, wanted in zip(tensors, op.wanted(needs), strict=True)
        )
    )
