# SPDX-License-Identifier: MIT
"""Every op of the case table against its reference in eager PyTorch, in float32.

Sizes and baselines come from the table, so the benchmarks and the tests cannot drift apart. Each
group is one case, size and direction; the number in parentheses is the ratio within the run. Beside
the times: the error against float64 and the peak memory (``--benchmark-json`` keeps them).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture
from torch import Tensor

from benchmarks.results import label
from tests.memory import peak_growth
from tests.ops.case import OpCase
from tests.ops.cases import CASES, SMALL
from tests.ops.draws import Size

# Beyond this many elements the reference's (N, K, D) tensors take tens of GB and minutes.
REFERENCE_LIMIT = 2**26
# The error is taken on the first rows, where float64 has room for its (N, K, D) tensors.
ROWS = 64


def _parameters() -> list:
    return [
        pytest.param(case, size, form, id=f"{case.name}-{label(size)}-{form}")
        for case in CASES
        for size in case.measured_sizes()
        for form in ("op", "reference")
        if form == "op" or math.prod(size.values()) <= REFERENCE_LIMIT
    ]


def _leaves(inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.detach().clone().requires_grad_() for name, tensor in inputs.items()}


def _first_rows(case: OpCase, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The first points, in float64; the other arguments whole."""
    return {
        name: (tensor[:ROWS] if case.arguments[name].dims[0] == "n" else tensor).detach().double()
        for name, tensor in inputs.items()
    }


def _error(got: Sequence[Tensor], want: Sequence[Tensor]) -> float:
    """Largest error relative to max(1, |value|)."""
    pairs = zip(got, want, strict=True)
    return max(((g[:ROWS] - w).abs() / w.abs().clamp_min(1.0)).max().item() for g, w in pairs)


def _gradients(
    function: Callable[..., tuple[Tensor, ...]], leaves: Mapping[str, Tensor]
) -> tuple[Tensor, ...]:
    outputs = function(**leaves)
    upstream = [torch.ones_like(tensor) for tensor in outputs]
    return torch.autograd.grad(outputs, list(leaves.values()), upstream)


each_form = pytest.mark.parametrize(("case", "size", "form"), _parameters())


@pytest.mark.benchmark(min_rounds=3, max_time=0.5, warmup=True, warmup_iterations=1)
@each_form
def test_forward(benchmark: BenchmarkFixture, case: OpCase, size: Size, form: str) -> None:
    benchmark.group = f"{case.name} {label(size)}: forward"
    function = case if form == "op" else case.expected
    inputs = case.draw(size, torch.float32)
    function(**case.draw(SMALL, torch.float32))  # what only a first call takes
    benchmark.extra_info["peak_bytes"] = peak_growth(lambda: function(**inputs))
    got = benchmark(function, **inputs)
    error = _error(got, case.expected(**_first_rows(case, inputs)))
    benchmark.extra_info["error"] = error
    assert error < 1e-3


@pytest.mark.benchmark(min_rounds=3, max_time=0.5, warmup=True, warmup_iterations=1)
@each_form
def test_forward_and_backward(
    benchmark: BenchmarkFixture, case: OpCase, size: Size, form: str
) -> None:
    benchmark.group = f"{case.name} {label(size)}: forward and backward"
    function = case if form == "op" else case.expected
    leaves = _leaves(case.draw(size, torch.float32))
    _gradients(function, _leaves(case.draw(SMALL, torch.float32)))
    benchmark.extra_info["peak_bytes"] = peak_growth(lambda: _gradients(function, leaves))
    got = dict(zip(leaves, benchmark(_gradients, function, leaves), strict=True))
    few = _leaves(_first_rows(case, leaves))
    want = dict(zip(few, _gradients(case.expected, few), strict=True))
    points = [name for name, argument in case.arguments.items() if argument.dims[0] == "n"]
    error = _error([got[name] for name in points], [want[name] for name in points])
    benchmark.extra_info["error"] = error
    assert error < 1e-2
