# SPDX-License-Identifier: MIT
"""An op of the compiled table: what its line says, its kernels, and how a call reaches them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch._C import _any_requires_grad as any_requires_grad
from torch._C._functorch import unwrap_if_dead

from pyvae import _C
from pyvae.ops.modes import in_transform, is_plain
from pyvae.ops.signature import Signature, Tensors

# Without it every kernel call goes through the registry's autograd, in Python, for nothing.
BelowAutograd = torch._C._AutoDispatchBelowAutograd
_TABLE: dict[str, dict[str, Any]] = {line["name"]: line for line in _C.op_table()}


class CompiledOp:
    """What the compiled module and the reference know of one op.

    Attributes
    ----------
    signature
        Names and shapes of its arguments and results.
    kernel, backward_kernel
        The registered ops; the latter only where it is differentiable.
    reference
        The same function in plain torch, which the second derivatives differentiate.
    arguments, results, returned, differentiable
        How many arguments and results it has, how many of the latter a caller gets, and how many of
        those have a gradient: all or none.
    result_dtypes
        Of the results; None is that of the arguments.
    every
        The bits of all arguments.
    saves_results
        Whether the backward op is handed the results.
    eager_function, forward_function, backward_function
        Its autograd functions: of plain calls (``autograd``), and inside the transforms of
        ``torch.func`` (``transforms``).
    listing, listed_from
        The op that gives the same, and lists for its backward pass; None where there is none. And
        of how many components on these are worth their time.
    """

    listing: CompiledOp | None
    listed_from: int
    eager_function: Any
    forward_function: Any
    backward_function: Any

    def __init__(self, name: str, reference: Callable[..., Any], title: str | None = None) -> None:
        line = _TABLE[name]
        self.signature = Signature(title or name, tuple(line["arguments"]), line["signature"])
        self.arguments = len(line["arguments"])
        self.every = (1 << self.arguments) - 1
        self.results = len(line["results"])
        self.returned = self.results - line["auxiliary"]
        self.differentiable = self.returned if line["differentiable"] else 0
        self.result_dtypes = tuple(d and getattr(torch, d) for d in line["result_dtypes"])
        self.saves_results: bool = line["backward_uses_results"]
        self.reference = reference
        self.kernel = getattr(torch.ops.pyvae, name).default
        if self.differentiable:
            self.backward_kernel = getattr(torch.ops.pyvae, f"{name}_backward").default

    def run(self, tensors: Tensors) -> Tensors:
        """Run on tensors of one dtype and one batch shape; all results."""
        return self.run_plain(tensors) if is_plain() else self._run_transformed(tensors)

    def run_plain(self, tensors: Tensors) -> Tensors:
        """The same where nobody else has a hand in the call."""
        if self.differentiable and torch.is_grad_enabled() and any_requires_grad(*tensors):
            op = self if self.listing is None else self._by_lists(self.listing, tensors)
            return as_tuple(op.eager_function(*map(unwrap_if_dead, tensors)))
        with BelowAutograd():
            return as_tuple(self.kernel(*tensors))

    def _by_lists(self, listing: CompiledOp, tensors: Tensors) -> CompiledOp:
        """The op that lists, or this one, as on a GPU and where the sizes are being traced."""
        tracing = torch.jit.is_tracing()  # type: ignore[reportPrivateImportUsage]
        if tracing or not tensors[0].is_cpu:
            return self
        return listing if tensors[1].shape[-1] >= self.listed_from else self

    def _run_transformed(self, tensors: Tensors) -> Tensors:
        if not self.differentiable:
            return as_tuple(self.kernel(*(t.detach() for t in tensors)))
        return as_tuple(dispatch(self.forward_function, self.kernel, *tensors))

    def run_backward(self, *inputs: Any) -> Any:
        """Run the backward op; the bits of the last tell which arguments want a gradient."""
        return dispatch(self.backward_function, self.backward_kernel, *inputs)

    def split_backward(self, inputs: Sequence[Any]) -> tuple[Tensors, Tensors, int]:
        """Gradients, arguments and the mask, from the inputs of the backward op."""
        first, last = self.differentiable, self.differentiable + self.arguments
        return tuple(inputs[:first]), tuple(inputs[first:last]), inputs[-1]

    def wanted(self, needs: int) -> list[bool]:
        """Which arguments want a gradient."""
        return [bool(needs >> i & 1) for i in range(self.arguments)]


def dispatch(function: Any, kernel: Any, *inputs: Any) -> Any:
    """Run the registered op, or its autograd function inside a ``torch.func`` transform.

    torch.func refuses ops whose autograd was registered from Python (pytorch issue 170834), and
    takes a new-style ``autograd.Function``.
    """
    if in_transform() and not torch.compiler.is_compiling():
        return function.apply(*inputs)
    return kernel(*inputs)


def as_tuple(value: Tensor | Sequence[Tensor]) -> Tensors:
    """One result or several, as torch returns them, as a tuple."""
    if isinstance(value, Tensor):
        return (value,)
    return value if isinstance(value, tuple) else tuple(value)


def single(values: tuple[Any, ...]) -> Any:
    """The same the other way round."""
    return values[0] if len(values) == 1 else values
