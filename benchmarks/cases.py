# SPDX-License-Identifier: MIT
"""What a case is: an op at a size, with its inputs, its truth in float64 and its variants."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.peers import PEERS, Peers
from benchmarks.results import BOTH, FORWARD, label
from benchmarks.variants import Inputs, Variant, by_position, compiled, eager, elements, torch_call
from tests.ops.case import OpCase
from tests.ops.cases import MEASURED
from tests.ops.draws import Size

_ELEMENTS = 2**24  # of the largest tensor of a chunk of the truth


@dataclass(frozen=True)
class Case:
    """An op at a size; the first of the variants that take turns is pyvae's."""

    op: str
    size: Size
    variants: tuple[Variant, ...] = ()
    clusters: bool = False  # whether the points are drawn from the mixture

    @property
    def entry(self) -> OpCase:
        """The op's in the tests' table."""
        return MEASURED[self.op]

    @property
    def label(self) -> str:
        """Size as in ``16384x512x64``, and what the points are drawn from."""
        return label(self.size, self.clusters)

    @property
    def directions(self) -> tuple[str, ...]:
        """What is measured: one pass, or two."""
        return (FORWARD, BOTH) if self.entry.differentiable else (FORWARD,)

    @property
    def peers(self) -> Peers:
        """Those of the table, or the reference."""
        if self.op in PEERS:
            return PEERS[self.op]
        expected = by_position(self.entry, self.entry.reference)
        forms = (form("reference", expected, self.largest) for form in (eager, compiled))
        return Peers(expected, *forms)

    @property
    def largest(self) -> str:
        """Letters of the largest tensor of a formula that broadcasts: all, or an argument's."""
        dims = [argument.dims.split() for argument in self.entry.measured_arguments().values()]
        of_arguments = ("".join(letter for letter in each if letter != "1") for each in dims)
        return max("".join(self.size), *of_arguments, key=lambda x: elements(self.size, x))

    def draw(self, device: str = "cpu") -> Inputs:
        """Draw the arguments in float32: the same numbers in every run and for every device."""
        drawn = self.entry.draw(self.size, torch.float32)
        drawn = self.entry.among_clusters(drawn) if self.clusters else drawn
        return {name: drawn[name].to(device) for name in self.entry.measured_arguments()}

    def truth(self, inputs: Inputs, backward: bool) -> tuple[Tensor, ...]:
        """Compute the results, or the gradients of their sum, in float64, some points at a time."""
        arguments = [a.dims for a in self.entry.measured_arguments().values()]
        outputs = arguments if backward else self.entry.outputs
        parts = zip(*self._parts(inputs, backward), strict=True)
        return tuple(
            torch.cat(column) if dims.startswith("n") else torch.stack(column).sum(0)
            for dims, column in zip(outputs, parts, strict=True)
        )

    def _parts(self, inputs: Inputs, backward: bool) -> Iterator[tuple[Tensor, ...]]:
        by_point = {n for n, a in self.entry.measured_arguments().items() if a.dims.startswith("n")}
        points = self.size.get("n", 1)
        largest = self.peers.largest or self.largest
        step = max(1, _ELEMENTS * points // elements(self.size, largest))
        doubles = {name: tensor.double() for name, tensor in inputs.items()}
        for start in range(0, points, step):
            part = {
                name: tensor[start : start + step] if name in by_point else tensor
                for name, tensor in doubles.items()
            }
            yield torch_call(self.peers.truth, part, backward)()

    def error(self, got: Sequence[Any], want: Sequence[Tensor], backward: bool) -> float:
        """Largest error: of results beside max(1, abs(value)), of gradients beside the largest.

        Gradients of shared parameters are sums over the points, so their scale is the tensor's own.
        An index beside densities counts by them: of two components that are equally near, either
        is right.
        """
        errors: dict[bool, list[float]] = {True: [], False: []}
        for found, exact in zip(got, want, strict=True):
            value = _as_tensor(found).to(exact.device)
            if backward and exact.ndim == 3:  # what stands above a Cholesky factor is nothing
                value, exact = value.tril(), exact.tril()
            size = exact.double().abs()
            scale = size.max().clamp_min(1e-30) if backward else size.clamp_min(1.0)
            error = ((value.double() - exact.double()).abs() / scale).max().item()
            errors[exact.is_floating_point()].append(error)
        return max(errors[True] or errors[False])


def _as_tensor(value: Any) -> Tensor:
    """Convert what a peer returned."""
    return value if isinstance(value, Tensor) else torch.as_tensor(np.array(value))
