# SPDX-License-Identifier: MIT
"""Everything torch wants of an op beside its kernels, once for all ops.

The compiled module tells each op's arguments, results and gufunc signature; from these and the
op's reference this file makes the shape checks, the fake (shape-only) kernels, autograd of every
order, the ``torch.func`` and ``vmap`` rules, autocast and half precision.

The first backward is always the fused kernel. It is an autograd function itself, and only *its*
backward differentiates the reference.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

import torch
from torch import Tensor
from torch._C._functorch import peek_interpreter_stack

from pyvae import _C
from pyvae.ops._cuda import hand_over, refuse_cuda
from pyvae.ops.signature import Signature

# Without it every kernel call goes through the registry's autograd, in Python, for nothing.
_BelowAutograd = torch._C._AutoDispatchBelowAutograd
_HALF = (torch.float16, torch.bfloat16)
# Asked once: the question itself cannot be traced by torch 2.10's compiler.
_AUTOCAST_DEVICES = frozenset(
    device for device in ("cpu", "cuda", "xpu", "mps") if torch.amp.is_autocast_available(device)
)
Tensors = tuple[Tensor, ...]
_TABLE: dict[str, dict[str, Any]] = {line["name"]: line for line in _C.op_table()}


class Op:
    """One op: call it with its tensors.

    Parameters
    ----------
    name
        Its name in the compiled table.
    reference
        The same function in plain torch, for the second derivatives; takes the op's arguments and
        returns its differentiable results.
    title
        The public function that messages speak of, where it is not the op's own name.
    large
        A module with functions of the kernels' names, for what is too large for these on a GPU.
    """

    def __init__(
        self,
        name: str,
        reference: Callable[..., Tensor | Tensors],
        title: str | None = None,
        large: ModuleType | None = None,
    ) -> None:
        line = _TABLE[name]
        self.statistics: bool = line["statistics"]
        self.signature = Signature(title or name, tuple(line["arguments"]), line["signature"])
        self.arguments = len(line["arguments"])
        self.results = len(line["results"])
        self.returned = self.results - line["auxiliary"]
        self.differentiable = 0 if self.statistics else self.returned
        self.saves_results: bool = line["backward_uses_results"]
        self.reference = reference
        self.kernel = getattr(torch.ops.pyvae, name).default
        self._find_on_cuda(self.kernel, large, position=0)
        if self.statistics:
            _register_statistics(self)
            return
        self.backward_kernel = getattr(torch.ops.pyvae, f"{name}_backward").default
        self._find_on_cuda(self.backward_kernel, large, position=self.differentiable)
        self.forward_function = _forward_function(self)
        self.eager_function = _eager_function(self)
        self.backward_function = _backward_function(self)
        _register(self)

    def __call__(self, *tensors: Tensor) -> Tensors:
        """Check, broadcast and convert the arguments; the op's results but the auxiliary ones."""
        if not torch.compiler.is_compiling() and self._ready(tensors):
            try:
                return self.run(tensors)[: self.returned]
            except RuntimeError:
                self.signature.check(tensors)  # the kernels' own checks know less of the caller
                raise
        casting = _is_casting(tensors[0])
        self.signature.check(tensors, mixed=casting)
        dtype = torch.float32 if casting else tensors[0].dtype
        compute = torch.float32 if dtype in _HALF else dtype
        tensors, rows = self.signature.broadcast(tuple(t.to(compute) for t in tensors))
        if self.statistics:
            return _tuple(self.kernel(*(t.detach() for t in tensors)))
        results = self.run(tensors)[: self.returned]
        return tuple(self.signature.restore(r, rows).to(dtype) for r in results)

    def _find_on_cuda(
        self, kernel: torch._ops.OpOverload, large: ModuleType | None, position: int
    ) -> None:
        refuse_cuda(kernel, self.signature.name)
        if large is not None:
            hand_over(kernel, getattr(large, kernel._opname), position)

    def _ready(self, tensors: tuple[Any, ...]) -> bool:
        """Nothing to convert and one batch shape: the common call goes straight to its kernel.

        Sizes are left to the kernel. In a small call the checks in Python cost more than the work.
        """
        first = tensors[0]
        if self.statistics or not isinstance(first, Tensor) or _is_casting(first):
            return False
        dtype, device = first.dtype, first.device
        if dtype is not torch.float32 and dtype is not torch.float64:
            return False
        ranks = self.signature.ranks
        batch = first.shape[: first.dim() - ranks[0]]
        for tensor, rank in zip(tensors, ranks, strict=True):
            if not isinstance(tensor, Tensor) or tensor.shape[: tensor.dim() - rank] != batch:
                return False
            if tensor.dtype is not dtype or tensor.device != device:
                return False
        return True

    def renamed(self, **names: str) -> Op:
        """The same op, whose messages speak of other argument names."""
        op = copy.copy(self)
        op.signature = self.signature.renamed(names)
        return op

    def run(self, tensors: Tensors) -> Tensors:
        """Run on tensors of one dtype and one batch shape; all results."""
        if torch.compiler.is_compiling():
            return _tuple(self.kernel(*tensors))
        if peek_interpreter_stack() is not None:
            return _tuple(self.forward_function.apply(*tensors))
        if torch.is_grad_enabled() and any(t.requires_grad for t in tensors):
            return _tuple(self.eager_function.apply(*tensors))
        with _BelowAutograd():
            return _tuple(self.kernel(*tensors))

    def run_backward(
        self, gradients: Tensors, tensors: Tensors, results: Tensors, needs: int
    ) -> Tensors:
        """Run the backward op; the bits of ``needs`` tell which arguments want a gradient."""
        kept = results if self.saves_results else ()
        return _tuple(
            _dispatch(
                self.backward_function, self.backward_kernel, *gradients, *tensors, *kept, needs
            )
        )

    def split_backward(self, inputs: Sequence[Any]) -> tuple[Tensors, Tensors, int]:
        """Gradients, arguments and the mask, from the inputs of the backward op."""
        first, last = self.differentiable, self.differentiable + self.arguments
        return tuple(inputs[:first]), tuple(inputs[first:last]), inputs[-1]


def _is_casting(tensor: object) -> bool:
    device = tensor.device.type if isinstance(tensor, Tensor) else "cpu"
    return device in _AUTOCAST_DEVICES and torch.is_autocast_enabled(device)


def _tuple(value: Tensor | Sequence[Tensor]) -> Tensors:
    return (value,) if isinstance(value, Tensor) else tuple(value)


def _single(values: tuple[Any, ...]) -> Any:
    return values[0] if len(values) == 1 else values


def _dispatch(function: Any, kernel: Any, *inputs: Any) -> Any:
    """Run the registered op, or its autograd function inside a ``torch.func`` transform.

    torch.func refuses ops whose autograd was registered from Python (pytorch issue 170834), and
    takes a new-style ``autograd.Function``.
    """
    if not torch.compiler.is_compiling() and peek_interpreter_stack() is not None:
        return function.apply(*inputs)
    return kernel(*inputs)


def _forward_function(op: Op) -> type:
    """The op as an autograd function, which torch.func understands."""

    class Forward(torch.autograd.Function):
        @staticmethod
        def forward(*inputs: Tensor) -> Tensor | Tensors:
            return op.kernel(*inputs)

        @staticmethod
        def setup_context(ctx: Any, inputs: Tensors, output: Tensor | Tensors) -> None:
            _save_forward(op, ctx, inputs, output)
            ctx.save_for_forward(*inputs)
            ctx.mark_non_differentiable(*_tuple(output)[op.differentiable :])

        @staticmethod
        def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
            return _forward_vjp(op, ctx, *gradients)

        @staticmethod
        def jvp(ctx: Any, *tangents: Tensor | None) -> Tensor | Tensors:
            tensors = ctx.saved_tensors[: op.arguments]
            found = _jvp(lambda *t: _tuple(op.reference(*t)), tensors, tangents)
            return _single((*found, *(None,) * (op.results - op.differentiable)))

        @staticmethod
        def vmap(info: Any, in_dims: tuple[int | None, ...], *inputs: Tensor) -> tuple[Any, Any]:
            return _forward_vmap(op, info, in_dims, *inputs)

    Forward.__name__ = op.signature.name
    return Forward


def _eager_function(op: Op) -> type:
    """The op outside all transforms: the same rules, a fifth quicker than through the registry."""

    class Eager(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, *inputs: Tensor) -> Tensor | Tensors:
            with _BelowAutograd():
                output = op.kernel(*inputs)
            _save_forward(op, ctx, inputs, output)
            ctx.mark_non_differentiable(*_tuple(output)[op.differentiable :])
            return output

        @staticmethod
        def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
            if torch.is_grad_enabled() or peek_interpreter_stack() is not None:
                return _forward_vjp(op, ctx, *gradients)
            with _BelowAutograd():
                return _forward_vjp(op, ctx, *gradients)

    Eager.__name__ = op.signature.name
    return Eager


def _backward_function(op: Op) -> type:
    """The backward op likewise: its own backward differentiates the reference."""

    class Backward(torch.autograd.Function):
        @staticmethod
        def forward(*inputs: Any) -> Tensor | Tensors:
            return op.backward_kernel(*inputs)

        @staticmethod
        def setup_context(ctx: Any, inputs: Sequence[Any], output: Any) -> None:
            _save_backward(op, ctx, inputs, output)
            ctx.save_for_forward(*ctx.to_save)

        @staticmethod
        def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
            return _backward_vjp(op, ctx, *gradients)

        @staticmethod
        def jvp(ctx: Any, *tangents: Tensor | None) -> Tensor | Tensors:
            saved = ctx.saved_tensors
            found = iter(_jvp(_reference_backward(op, ctx.needs), saved, tangents[: len(saved)]))
            wanted = [ctx.needs >> i & 1 for i in range(op.arguments)]
            return _single(tuple(next(found) if w else saved[0].new_zeros(0) for w in wanted))

        @staticmethod
        def vmap(info: Any, in_dims: tuple[int | None, ...], *inputs: Any) -> tuple[Any, Any]:
            return _backward_vmap(op, info, in_dims, *inputs)

    Backward.__name__ = f"{op.signature.name}_backward"
    return Backward


def _register(op: Op) -> None:
    name, backward = op.kernel._name, op.backward_kernel._name
    torch.library.register_fake(name, lambda *inputs: _single(op.signature.fake_results(inputs)))
    torch.library.register_fake(backward, lambda *inputs: _fake_gradients(op, inputs))
    torch.library.register_autograd(
        name,
        lambda ctx, *gradients: _forward_vjp(op, ctx, *gradients),
        setup_context=lambda ctx, inputs, output: _save_forward(op, ctx, inputs, output),
    )
    torch.library.register_autograd(
        backward,
        lambda ctx, *gradients: _backward_vjp(op, ctx, *gradients),
        setup_context=lambda ctx, inputs, output: _save_backward(op, ctx, inputs, output),
    )
    torch.library.register_vmap(name, lambda info, dims, *i: _forward_vmap(op, info, dims, *i))
    torch.library.register_vmap(backward, lambda info, dims, *i: _backward_vmap(op, info, dims, *i))


def _register_statistics(op: Op) -> None:
    """Sums over points: float64, without a gradient, so that fake and ``vmap`` rules are all."""
    name = op.kernel._name
    torch.library.register_fake(
        name, lambda *inputs: op.signature.fake_results(inputs, dtype=torch.float64)
    )

    def vmap(info: Any, in_dims: Sequence[int | None], *inputs: Tensor) -> tuple[Any, Any]:
        results = op.kernel(*_batched(info.batch_size, in_dims, inputs))
        return results, (0,) * len(results)

    torch.library.register_vmap(name, vmap)


def _fake_gradients(op: Op, inputs: Sequence[Any]) -> Tensor | Tensors:
    _, tensors, needs = op.split_backward(inputs)
    wanted = [needs >> i & 1 for i in range(op.arguments)]
    return _single(
        tuple(t.new_empty(t.shape if w else (0,)) for t, w in zip(tensors, wanted, strict=True))
    )


def _save_forward(op: Op, ctx: Any, inputs: Tensors, output: Tensor | Tensors) -> None:
    ctx.save_for_backward(*inputs, *(_tuple(output) if op.saves_results else ()))


def _forward_vjp(op: Op, ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
    saved = ctx.saved_tensors
    tensors, results = saved[: op.arguments], saved[op.arguments :]
    needed = ctx.needs_input_grad[: op.arguments]
    needs = sum(1 << i for i, need in enumerate(needed) if need)
    if not needs:
        return (None,) * op.arguments
    found = op.run_backward(gradients[: op.differentiable], tensors, results, needs)
    return tuple(g if need else None for g, need in zip(found, needed, strict=True))


def _save_backward(op: Op, ctx: Any, inputs: Sequence[Any], output: Any) -> None:
    gradients, tensors, ctx.needs = op.split_backward(inputs)
    ctx.save_for_backward(*gradients, *tensors)
    ctx.inputs = len(inputs)


def _vjp(
    function: Callable[..., Tensors], inputs: Tensors
) -> tuple[Tensors, Callable[[Tensors], Tensors]]:
    """``torch.func.vjp`` as its type says too little: outputs, and cotangents to gradients."""
    outputs, pull_back = torch.func.vjp(function, *inputs)[:2]
    return outputs, pull_back


def _reference_backward(op: Op, needs: int) -> Callable[..., Tensors]:
    """The backward op in plain torch, as a function of the upstream gradients and the arguments.

    The saved results are functions of these, so they get no derivative of their own.
    """

    def backward(*inputs: Tensor) -> Tensors:
        gradients, tensors = inputs[: op.differentiable], inputs[op.differentiable :]
        found = _vjp(lambda *t: _tuple(op.reference(*t)), tensors)[1](gradients)
        return tuple(found[i] for i in range(op.arguments) if needs >> i & 1)

    return backward


def _backward_vjp(op: Op, ctx: Any, *upstream: Tensor) -> tuple[Tensor | None, ...]:
    pull_back = _vjp(_reference_backward(op, ctx.needs), ctx.saved_tensors)[1]
    wanted = tuple(upstream[i] for i in range(op.arguments) if ctx.needs >> i & 1)
    found = pull_back(wanted)
    return (*found, *(None,) * (ctx.inputs - len(found)))


def _jvp(
    function: Callable[..., Tensors], inputs: Tensors, tangents: Sequence[Tensor | None]
) -> Tensors:
    """Forward-mode derivative by two reverse passes: forward-mode levels do not nest, these do."""
    outputs, pull_back = _vjp(function, inputs)
    zeros = tuple(torch.zeros_like(output) for output in outputs)
    push_forward = _vjp(lambda *v: pull_back(v), zeros)[1]
    filled = (
        torch.zeros_like(x) if t is None else t for x, t in zip(inputs, tangents, strict=True)
    )
    return push_forward(tuple(filled))


def _batched(size: int, in_dims: Sequence[int | None], inputs: Sequence[Any]) -> list[Any]:
    """Every tensor with the mapped dimension in front; a broadcast view where it had none."""
    return [
        x
        if not isinstance(x, Tensor)
        else x.movedim(dim, 0)
        if dim is not None
        else x.unsqueeze(0).expand(size, *x.shape)
        for x, dim in zip(inputs, in_dims, strict=True)
    ]


def _forward_vmap(
    op: Op, info: Any, in_dims: Sequence[int | None], *inputs: Tensor
) -> tuple[Any, Any]:
    results = op.run(tuple(_batched(info.batch_size, in_dims, inputs)))
    return _single(results), _single((0,) * len(results))


def _backward_vmap(
    op: Op, info: Any, in_dims: Sequence[int | None], *inputs: Any
) -> tuple[Any, Any]:
    batched = _batched(info.batch_size, in_dims, inputs)
    found = _tuple(_dispatch(op.backward_function, op.backward_kernel, *batched))
    dims = tuple(0 if inputs[-1] >> i & 1 else None for i in range(op.arguments))
    return _single(found), _single(dims)
