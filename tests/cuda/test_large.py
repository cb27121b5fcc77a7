# SPDX-License-Identifier: MIT
"""What large problems are given to, on the emulated device at sizes that it manages.

The tiles for large problems, and sums over the points in parts.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import partial

import pytest
import torch

from tests.cuda import emulated
from tests.ops import devices, test_statistics
from tests.ops import test_nan as test_nan_of_ops
from tests.ops import test_numerical_contract as contract
from tests.ops.cases import CASES, OpCase, each_case, each_dtype, each_mixture, each_statistics
from tests.ops.checks import check_case
from tests.ops.layouts import strided
from tests.ops.test_nan import each_dead, each_op

SIZES = (
    {"n": 65, "k": 33, "d": 1},  # the smallest tiled so
    {"n": 130, "k": 40, "d": 9},
    {"n": 66, "k": 130, "d": 21},
    {"n": 700, "k": 3, "d": 5},
)
TILED = SIZES[1]
CONTRACT = {
    "an offset": lambda case, dtype, size: contract.test_offset_of_ten_thousand(case, size),
    "mixed scales": contract.test_tight_and_wide_components_together,
    "dead components": contract.test_weight_of_minus_infinity,
    "all dead": contract.test_all_weights_of_minus_infinity,
    "infinite means": partial(contract.test_infinite_means, value=torch.inf),
    "infinite points": partial(contract.test_infinite_points, value=torch.inf),
    "NaN points": contract.test_nan_points_touch_only_their_rows,
}


@pytest.fixture(autouse=True, params=["dense", "sparse"])
def _large(request: pytest.FixtureRequest) -> Iterator[None]:
    large = emulated.everything_is_large(sparse=request.param == "sparse")
    with devices.running_on(devices.EMULATED), large:
        yield


@each_dtype
@each_case
def test_values_and_gradients(case: OpCase, dtype: torch.dtype) -> None:
    for size in SIZES if dtype == torch.float32 else SIZES[:2]:
        check_case(case, case.draw(size, dtype), size)


@each_case
def test_strides_and_leading_dimensions(case: OpCase) -> None:
    inputs = case.draw(TILED, torch.float32, batch=dict.fromkeys(case.arguments, (2,)))
    check_case(case, {name: strided(tensor) for name, tensor in inputs.items()})


@pytest.mark.parametrize("check", CONTRACT.values(), ids=CONTRACT.keys())
@each_mixture
def test_numerical_contract(case: OpCase, check: partial) -> None:
    check(case=case, dtype=torch.float32, size=TILED)


@each_op
@each_dead
def test_nan(case: OpCase, dead: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(test_nan_of_ops, "SIZES", (TILED,))
    test_nan_of_ops.test_values(case, torch.float32, dead)
    if case in CASES:
        test_nan_of_ops.test_gradients(case, torch.float32, dead)


@pytest.mark.parametrize("value", [math.nan, 1e4])
@each_dtype
@each_statistics
def test_statistics_of_no_points(case: OpCase, dtype: torch.dtype, value: float) -> None:
    test_statistics.test_no_points_have_no_sums(case, dtype, value)
    test_statistics.test_components_without_points_have_no_sums(case, dtype)
    test_statistics.test_very_wide_components_with_points(case, dtype, 300.0)


@each_dtype
@each_statistics
def test_statistics_in_parts(case: OpCase, dtype: torch.dtype) -> None:
    for size in SIZES:
        test_statistics.check(case, case.draw(size, dtype), size)
