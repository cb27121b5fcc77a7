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
from tests.ops import devices, test_clusters, test_statistics
from tests.ops import test_nan as test_nan_of_ops
from tests.ops import test_numerical_contract as contract
from tests.ops.cases import (
    CASES,
    MIXTURE_CASES,
    STATISTICS_CASES,
    OpCase,
    each_case,
    each_dtype,
    each_mixture,
    each_statistics,
)
from tests.ops.checks import check_case, doubled, gradients
from tests.ops.layouts import strided
from tests.ops.test_clusters import far_apart
from tests.ops.test_nan import each_dead, each_op

SIZES = (
    {"n": 65, "k": 17, "d": 1},  # the smallest whose sums are tiled so; scores are from 33 on
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


@pytest.fixture(autouse=True, params=["dense", "sparse", "screened"])
def _large(request: pytest.FixtureRequest) -> Iterator[None]:
    way = request.param
    large = emulated.everything_is_large(
        sparse=way == "sparse", screened_share=1024 if way == "screened" else -1
    )
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


@each_dtype
@pytest.mark.parametrize("case", CASES[:3], ids=lambda case: case.name)
def test_entries_in_turns(case: OpCase, dtype: torch.dtype) -> None:
    """Divergences of pairs: a warp has several rows, a block several matrices in scratch memory."""
    for size in ({"n": 130, "d": 8}, {"n": 9, "d": 132}):
        check_case(case, case.draw(size, dtype), size)


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


FULL = (case for case in (*MIXTURE_CASES, *STATISTICS_CASES) if "tril" in case.name)
CLUSTERED = (*MIXTURE_CASES[:2], STATISTICS_CASES[0], *FULL)


@pytest.mark.parametrize("apart", [1.0, 4.0, 40.0])
@each_dtype
@pytest.mark.parametrize("case", CLUSTERED, ids=lambda case: case.name)
def test_points_of_clusters(case: OpCase, dtype: torch.dtype, apart: float) -> None:
    """Most responsibilities count for nothing; some components are near no point."""
    size = {"n": 300, "k": 150, "d": 9}
    inputs = case.among_clusters(case.draw(size, dtype), apart)
    check = test_statistics.check if case in STATISTICS_CASES else check_case
    check(case, inputs, f"{apart} apart")


@pytest.mark.parametrize("furthest", [7.9, 8.1])
@pytest.mark.parametrize("case", CLUSTERED[:3:2], ids=lambda case: case.name)
def test_components_around_a_centre(case: OpCase, furthest: float) -> None:
    """Sums are products up to eight standard deviations from it, and differences beyond."""
    inputs = case.draw({"n": 700, "k": 40, "d": 9}, torch.float32)
    means, logvars = inputs["means"], torch.zeros_like(inputs["logvars"])
    means = means - means.mean(0)
    means = means * (furthest / means.abs().max())
    x = inputs["x"] + means[torch.arange(700) % 40]
    check = test_statistics.check if case in STATISTICS_CASES else check_case
    check(case, {**inputs, "x": x, "means": means, "logvars": logvars}, furthest)


@pytest.mark.parametrize("upstream", [1e-6, 1.0, 1e3])
@pytest.mark.parametrize("logvar", [-80.0, 80.0])
def test_extreme_scales_around_a_centre(logvar: float, upstream: float) -> None:
    """Squares in the units of the points would over- or underflow."""
    case = MIXTURE_CASES[0]
    inputs = case.draw({"n": 256, "k": 20, "d": 2}, torch.float32)
    sigma = math.exp(0.5 * logvar)
    inputs |= {
        "x": inputs["x"] * sigma,
        "means": inputs["means"] * (0.5 * sigma),
        "logvars": torch.full_like(inputs["logvars"], logvar),
    }
    inputs["log_weights"][1] -= 20.0  # a component that has next to nothing finds its way
    gradient = [torch.full((256,), upstream)]
    got = gradients(case, inputs, gradient)
    want = gradients(case.expected, doubled(inputs), [gradient[0].double()])
    for name in ("log_weights", "logvars"):
        for have, truth in zip(got[name][:2], want[name][:2], strict=True):
            tolerance = 1e-4 * float(truth.abs().max())
            torch.testing.assert_close(have.double(), truth, rtol=0.0, atol=tolerance)


def among_the_dead(dtype: torch.dtype, at: float = 12.0) -> dict[str, torch.Tensor]:
    """Two components far apart, and as many that do not count as wide tiles ask for."""
    inputs = far_apart(dtype, at)
    more = {"log_weights": -math.inf, "means": 0.0, "logvars": 0.0}
    for name, value in more.items():
        padding = torch.full_like(inputs[name][:1], value).expand(38, *inputs[name].shape[1:])
        inputs[name] = torch.cat([inputs[name], padding])
    return inputs


@each_dtype
def test_components_of_no_account(dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(test_clusters, "far_apart", among_the_dead)
    test_clusters.test_a_far_component_finds_its_way(dtype, 12.0, full=False)
    test_clusters.test_points_without_a_gradient_hide_no_component(dtype)


@pytest.mark.parametrize("at", [12.0, 1e3])
@each_dtype
def test_a_nan_reaches_components_that_are_far(dtype: torch.dtype, at: float) -> None:
    inputs, upstream = among_the_dead(dtype, at), torch.ones(1000, dtype=dtype)
    upstream[3] = torch.nan
    found = gradients(MIXTURE_CASES[0], inputs, [upstream])
    assert found["means"][:2].isnan().all()
    assert (found["means"][2:] == 0.0).all()
    assert found["x"].isnan().sum() == 1
