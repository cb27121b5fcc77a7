# SPDX-License-Identifier: MIT
"""An op as the public functions call it: checked, broadcast, converted, run."""

from __future__ import annotations

import copy
from collections.abc import Callable
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from pyvae.ops import autograd, transforms
from pyvae.ops._cuda import hand_over, refuse_cuda
from pyvae.ops.compiled import CompiledOp, Tensors
from pyvae.ops.modes import HALF, is_any_casting, is_casting, is_plain
from pyvae.ops.registration import register


class Op(CompiledOp):
    """One op: call it with its tensors.

    Parameters
    ----------
    name
        Its name in the compiled table.
    reference
        The same function in plain torch, for the second derivatives; takes the op's arguments and
        returns its results.
    title
        The public function that messages speak of, where it is not the op's own name.
    large
        A module with functions of the kernels' names, for what is too large for these on a GPU.
    fused_to
        The largest D that these are given there.
    listing, listed_from
        The op that gives the same and lists what counts for each point, for plain calls that want
        a gradient of so many components or more: its backward pass makes no score again.
    """

    def __init__(
        self,
        name: str,
        reference: Callable[..., Tensor | Tensors],
        title: str | None = None,
        large: ModuleType | None = None,
        fused_to: int = 0,
        listing: Op | None = None,
        listed_from: int = 0,
    ) -> None:
        super().__init__(name, reference, title)
        self.listing, self.listed_from = listing, listed_from
        self._find_on_cuda(self.kernel, large, 0, fused_to)
        if self.differentiable:
            self._find_on_cuda(self.backward_kernel, large, self.differentiable, fused_to)
            self.eager_function = autograd.eager_function(self)
            self.forward_function = transforms.forward_function(self)
            self.backward_function = transforms.backward_function(self)
        register(self)

    def __call__(self, *tensors: Tensor) -> Tensors:
        """Check, broadcast and convert the arguments; the op's results but the auxiliary ones."""
        if is_plain() and self._ready(tensors):
            try:
                return self.run_plain(tensors)[: self.returned]
            except RuntimeError:
                self.signature.check(tensors)  # the kernels' own checks know less of the caller
                raise
        casting = is_casting(tensors[0])
        self.signature.check(tensors, mixed=casting)
        dtype = torch.float32 if casting else tensors[0].dtype
        compute = torch.float32 if dtype in HALF else dtype
        tensors, folding = self.signature.broadcast(tuple(t.to(compute) for t in tensors))
        results = self.run(tensors)[: self.returned]
        return tuple(
            (result if folding is None else folding.restore(result)).to(own or dtype)
            for result, own in zip(results, self.result_dtypes, strict=False)
        )

    def _ready(self, tensors: tuple[Any, ...]) -> bool:
        """Nothing to convert, broadcast or fold: the common call goes straight to its kernel.

        Sizes are left to the kernel. In a small call the checks in Python cost more than the work.
        """
        first = tensors[0]
        if not isinstance(first, Tensor) or (is_any_casting() and is_casting(first)):
            return False
        dtype, device = first.dtype, first.device
        if dtype is not torch.float32 and dtype is not torch.float64:
            return False
        ranks = self.signature.ranks
        batch = first.shape[: first.dim() - ranks[0]]
        for tensor, rank in zip(tensors, ranks, strict=True):
            if not isinstance(tensor, Tensor):
                return False
            if tensor.dtype is not dtype or tensor.device != device:
                return False
            leading = tensor.dim() - rank
            if leading != len(batch) or (batch and tensor.shape[:leading] != batch):
                return False
        return not batch or not self.signature.folds_batch(tensors, batch)

    def renamed(self, **names: str) -> Op:
        """The same op, whose messages speak of other argument names."""
        op = copy.copy(self)
        op.signature = self.signature.renamed(names)
        return op

    def _find_on_cuda(
        self,
        kernel: torch._ops.OpOverload,
        large: ModuleType | None,
        position: int,
        largest: int,
    ) -> None:
        refuse_cuda(kernel, self.signature.name)
        if large is not None:
            hand_over(kernel, getattr(large, kernel._opname), position, largest)
