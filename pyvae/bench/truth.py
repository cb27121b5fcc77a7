# SPDX-License-Identifier: MIT
"""Results and gradients in float64, some points at a time, and how far a variant is from them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from pyvae.bench.cases import Case
from pyvae.bench.draw import Inputs, point_arguments
from pyvae.bench.peers.optional import as_tensor
from pyvae.bench.variants import as_tuple

_ELEMENTS = 2**24  # of the largest tensor of a chunk


def truth(case: Case, inputs: Inputs, backward: bool) -> tuple[Tensor, ...]:
    """Compute the results of a case, or the gradients of their sum, in float64."""
    if case.whole:
        return as_tuple(case.truth(inputs))
    rows = point_arguments(case.op)
    parts = list(_parts(case, inputs, rows, backward))
    by_rows = rows if backward else (not case.sums,) * len(parts[0])
    return tuple(
        torch.cat(column) if joined else torch.stack(column).sum(0)
        for joined, column in zip(by_rows, zip(*parts, strict=True), strict=True)
    )


def _parts(
    case: Case, inputs: Inputs, rows: Sequence[bool], backward: bool
) -> Iterator[tuple[Tensor, ...]]:
    points = case.size["n"]
    width = case.size["d"] * case.size.get("k", case.size["d"])
    step = max(1, _ELEMENTS // width)
    tensors = [tensor.double() for tensor in inputs.values()]
    for start in range(0, points, step):
        part = [t[start : start + step] if r else t for t, r in zip(tensors, rows, strict=True)]
        if not backward:
            with torch.no_grad():
                yield as_tuple(case.truth(*part))
            continue
        leaves = [tensor.detach().requires_grad_() for tensor in part]
        results = as_tuple(case.truth(*leaves))
        total = torch.stack([result.sum() for result in results]).sum()
        yield torch.autograd.grad(total, leaves)


def largest_error(got: Sequence[Any], want: Sequence[Tensor], backward: bool) -> float:
    """Largest error: of results beside max(1, abs(value)), of gradients beside the largest.

    Gradients of shared parameters are sums over the points, so their scale is the tensor's own.
    """
    errors = []
    for value, exact in zip(map(as_tensor, got), want, strict=True):
        if backward and exact.ndim == 3:  # what stands above a Cholesky factor is nothing
            value, exact = value.tril(), exact.tril()
        scale = exact.abs().max().clamp_min(1e-30) if backward else exact.abs().clamp_min(1.0)
        errors.append(((value - exact).abs() / scale).max().item())
    return max(errors)
