# SPDX-License-Identifier: MIT
"""Values and first gradients against the reference in float64, at every shape and layout."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor

from tests.ops import devices
from tests.ops.cases import SMALL, TILED, OpCase, each_case, each_dtype
from tests.ops.checks import (
    assert_gradients,
    check_case,
    doubled,
    gradient_rtol,
    gradients,
)
from tests.ops.draws import Size
from tests.ops.layouts import LAYOUTS, repeated_first

pytestmark = pytest.mark.every_device

# Leading dimensions that broadcast to (2, 3), one for each argument in turn.
BATCHES = ((2, 1), (3,), (), (2, 3), (1, 1))


@each_dtype
@each_case
def test_sizes(case: OpCase, dtype: torch.dtype) -> None:
    for seed, size in enumerate((*devices.some(case.sizes), TILED)):
        check_case(case, case.draw(size, dtype, seed=seed), size)


@each_dtype
@each_case
def test_lopsided_sizes(case: OpCase, dtype: torch.dtype) -> None:
    """One dimension long and the others short."""
    for size in (
        {"n": 3, "k": 2, "d": 300},
        {"n": 3, "k": 2, "d": 1000},
        {"n": 2, "k": 1500, "d": 3},
        {"n": 2000, "k": 1, "d": 1},
        {"n": 1, "k": 1, "d": 1},
    ):
        if devices.takes(case.name, size):
            check_case(case, case.draw(size, dtype), size)


@each_dtype
@each_case
def test_empty_sizes(case: OpCase, dtype: torch.dtype) -> None:
    for empty in ("n", "k", "d", "nk", "kd", "nd", "nkd"):
        size = {dim: 0 if dim in empty else value for dim, value in SMALL.items()}
        check_case(case, case.draw(size, dtype), size)


@each_dtype
@each_case
def test_leading_dimensions_broadcast(case: OpCase, dtype: torch.dtype) -> None:
    for shift in range(len(BATCHES)):
        batch = {
            name: BATCHES[(index + shift) % len(BATCHES)]
            for index, name in enumerate(case.arguments)
        }
        check_case(case, case.draw({"n": 5, "k": 9, "d": 6}, dtype, batch=batch), batch)


@each_dtype
@each_case
def test_one_argument_has_leading_dimensions(case: OpCase, dtype: torch.dtype) -> None:
    for name in case.arguments:
        for batch in ((4,), (2, 2), (0,), (2, 0)):
            inputs = case.draw(SMALL, dtype, batch={name: batch})
            check_case(case, inputs, f"{name} {batch}")


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS.keys())
@each_dtype
@each_case
def test_layouts(case: OpCase, dtype: torch.dtype, layout: Callable[[Tensor], Tensor]) -> None:
    for size in devices.some(({"n": 9, "k": 17, "d": 7}, TILED)):
        inputs = case.draw(size, dtype)
        check_case(case, {name: layout(tensor) for name, tensor in inputs.items()}, "all")
        for name in inputs:
            check_case(case, {**inputs, name: layout(inputs[name])}, name)


@each_dtype
@each_case
def test_stride_zero(case: OpCase, dtype: torch.dtype) -> None:
    size = {"n": 9, "k": 17, "d": 8}
    inputs = case.draw(size, dtype, batch=dict.fromkeys(case.arguments, (3,)))
    for name, tensor in inputs.items():
        for dim in range(tensor.ndim):
            repeated = repeated_first(tensor, dim)
            check_case(case, {**inputs, name: repeated}, f"{name} dimension {dim}")
    check_case(case, {name: repeated_first(tensor, -1) for name, tensor in inputs.items()}, "all")


@each_dtype
@each_case
def test_upstream_layouts(case: OpCase, dtype: torch.dtype) -> None:
    inputs = case.draw({"n": 9, "k": 17, "d": 8}, dtype)
    outputs = case(**inputs)
    ones = [tensor.new_ones(()).expand_as(tensor) for tensor in outputs]
    check_case(case, inputs, "expanded upstream", upstream=ones)
    for name, layout in LAYOUTS.items():
        upstream = [layout(tensor) for tensor in outputs]
        check_case(case, inputs, f"{name} upstream", upstream=upstream)


@each_dtype
@each_case
def test_one_of_several_results_is_used(case: OpCase, dtype: torch.dtype) -> None:
    inputs = case.draw({"n": 9, "k": 17, "d": 8}, dtype)
    truth = case.expected(**doubled(inputs))
    for index in range(len(case.outputs)):
        got = gradients(partial(_one_result, case, index), inputs)
        want = gradients(partial(_one_result, case.expected, index), doubled(inputs))
        rtol = gradient_rtol(case.rtol[dtype], truth)
        assert_gradients(got, want, rtol, f"through result {index} of {case.name}")


def _one_result(function: Callable, index: int, **inputs: Tensor) -> tuple[Tensor, ...]:
    return (function(**inputs)[index],)


@each_case
def test_hard_values(case: OpCase) -> None:
    """Extreme log-variances and weights neither overflow nor lose digits."""
    sizes: tuple[Size, ...] = ({"n": 5, "k": 3, "d": 4}, {"n": 70, "k": 33, "d": 17})
    for dtype in case.rtol:
        for size in sizes:
            for values in case.hard:
                inputs = case.draw(size, dtype)
                for name, value in values.items():
                    inputs[name] = torch.full_like(inputs[name], value)
                check_case(case, inputs, f"{values} {size}", rtol=case.hard_rtol)
