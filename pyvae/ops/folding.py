# SPDX-License-Identifier: MIT
"""Batches of points against fewer mixtures, as longer rows of points against each of these.

A kernel prepares a mixture once for all its points. A batch dimension over which no mixture changes
is therefore no batch of mixtures: its points join one row.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from pyvae.ops.modes import is_plain

Core = tuple[str, ...]
Shape = tuple[int, ...]
Tensors = tuple[Tensor, ...]


class Folding(NamedTuple):
    """Which dimensions of a batch joined the points, which did not, and how many points it had."""

    batch: Shape
    kept: tuple[int, ...]
    folded: tuple[int, ...]
    points: int

    @staticmethod
    def over(batch: Shape, shared: tuple[int, ...], points: int = 1) -> Folding:
        """Fold the dimensions that ``shared_dimensions`` found."""
        kept = tuple([dim for dim in range(len(batch)) if dim not in shared])
        return Folding(batch, kept, shared, points)

    def fold(self, tensor: Tensor) -> Tensor:
        """Join the points of the folded dimensions: ``(*batch, n, ...)`` to ``(*kept, N, ...)``."""
        dims = len(self.batch)
        rest = tensor.shape[dims + 1 :]
        count = self.points * math.prod([self.batch[dim] for dim in self.folded])
        if self.kept:
            order = self.kept + self.folded
            tensor = tensor.permute(*order, *range(dims, tensor.dim()))
        return tensor.reshape(*self._left(), count, *rest)

    def drop(self, tensor: Tensor, core: int) -> Tensor:
        """Keep one slice of every folded dimension of a tensor without points."""
        missing = len(self.batch) - (tensor.dim() - core)
        for dim in reversed(self.folded):
            if dim >= missing:
                tensor = tensor.select(dim - missing, 0)
        return _expanded(tensor, self._left(), core)

    def restore(self, result: Tensor) -> Tensor:
        """Undo ``fold``."""
        rest = result.shape[len(self.kept) + 1 :]
        if not self.kept:
            return result.reshape(*self.batch, self.points, *rest)
        order = self.kept + self.folded
        result = result.reshape(*[self.batch[dim] for dim in order], self.points, *rest)
        back = [order.index(dim) for dim in range(len(order))]
        return result.permute(*back, *range(len(order), result.dim()))

    def _left(self) -> Shape:
        return tuple([self.batch[dim] for dim in self.kept])


def place(
    cores: Sequence[Core], tensors: Tensors, batch: Shape, *, folds: bool
) -> tuple[Tensors, Folding | None]:
    """Give all tensors one batch shape without copying: what is left of ``batch`` by folding.

    ``folds`` says whether every result has a row a point; ``Folding.restore`` is for these.
    """
    shared = shared_dimensions(cores, tensors, batch) if folds else ()
    if not shared:
        return tuple(
            _expanded(t, batch, len(core)) for t, core in zip(tensors, cores, strict=True)
        ), None
    points = next(
        tensor.shape[tensor.dim() - len(core)]
        for tensor, core in zip(tensors, cores, strict=True)
        if "n" in core
    )
    folding = Folding.over(batch, shared, points)
    return tuple(
        folding.fold(_expanded(tensor, batch, len(core)))
        if "n" in core
        else folding.drop(tensor, len(core))
        for tensor, core in zip(tensors, cores, strict=True)
    ), folding


def _expanded(tensor: Tensor, batch: Shape, core: int) -> Tensor:
    rest = tensor.dim() - core
    return tensor if tensor.shape[:rest] == batch else tensor.expand(*batch, *tensor.shape[rest:])


def shared_dimensions(cores: Sequence[Core], tensors: Tensors, batch: Shape) -> tuple[int, ...]:
    """The dimensions of a batch over which no tensor without points changes.

    They are of size 1 there, or missing, or expanded from one slice. An expanded tensor that has a
    gradient is taken as it is: each of its entries has a gradient of its own.
    """
    found = tuple(dim for dim, size in enumerate(batch) if size > 1)
    for core, tensor in zip(cores, tensors, strict=True):
        if not found:
            break
        if "n" not in core:
            missing = len(batch) - (tensor.dim() - len(core))
            strides = _strides(tensor)
            found = tuple(
                dim
                for dim in found
                if dim < missing
                or tensor.shape[dim - missing] == 1
                or (strides is not None and strides[dim - missing] == 0)
            )
    return found


def narrowed(tensor: Tensor, core: int) -> Tensor:
    """Batch dimensions expanded from one slice at size 1, of a tensor without a gradient."""
    strides = None if tensor.requires_grad else _strides(tensor)
    for dim in range(tensor.dim() - core):
        if strides is not None and strides[dim] == 0 and tensor.shape[dim] > 1:
            tensor = tensor.narrow(dim, 0, 1)
    return tensor


def _strides(tensor: Tensor) -> Shape | None:
    """None where they do not tell what the gradients are."""
    if not is_plain():
        return None
    return None if tensor.requires_grad and torch.is_grad_enabled() else tensor.stride()
