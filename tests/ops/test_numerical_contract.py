# SPDX-License-Identifier: MIT
"""The numerical contract of the mixture ops: offsets, weights of -inf, infinities and NaN."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from tests.ops.case import point_argument
from tests.ops.cases import OpCase, each_dtype, each_mixture
from tests.ops.checks import assert_gradients, assert_values, check_case, gradients, upstream_of

pytestmark = pytest.mark.every_device

SIZES = (
    {"n": 6, "k": 5, "d": 3},
    {"n": 13, "k": 33, "d": 17},
    {"n": 130, "k": 40, "d": 9},
)
each_size = pytest.mark.parametrize("size", SIZES, ids=lambda size: f"n{size['n']}")
INF, NAN = torch.inf, torch.nan


def points_near_components(case: OpCase, size: dict[str, int], sigma: float) -> dict[str, Tensor]:
    """Components of one standard deviation, and points that each of them could have made."""
    inputs = case.draw(size, torch.float64)
    if "logvars" in inputs:
        inputs["logvars"] = torch.full_like(inputs["logvars"], sigma).log().mul(2.0)
    else:
        inputs["scale_trils"] = sigma * inputs["scale_trils"]
    if "logvar_q" in inputs:
        inputs["logvar_q"] = inputs["logvar_q"] + 2.0 * math.log(sigma)
    component = inputs["means"][torch.arange(size["n"]) % size["k"]]
    for name in ("x", "w", "mean_q"):
        if name in inputs:
            inputs[name] = component + sigma * inputs[name]
    return inputs


@each_size
@each_mixture
def test_offset_of_ten_thousand(case: OpCase, size: dict[str, int]) -> None:
    """Points and means near 1e4, sigma 0.1, in float32: squares of differences, about a centre."""
    inputs = points_near_components(case, size, sigma=0.1)
    for name in ("x", "w", "mean_q", "means"):
        if name in inputs:
            inputs[name] = 1e4 + inputs[name]
    inputs = {name: tensor.float() for name, tensor in inputs.items()}
    check_case(case, inputs, f"at offset 1e4, {size}", rtol={torch.float32: 5e-6})


@each_dtype
@each_mixture
@pytest.mark.parametrize("together", [1, 5, 16])
def test_clusters_far_apart(case: OpCase, dtype: torch.dtype, together: int) -> None:
    """Most responsibilities are zero, here at whole runs of points, there at some of a run."""
    inputs = points_near_components(case, {"n": 150, "k": 140, "d": 5}, sigma=1.0)
    means = 100.0 * inputs["means"]
    component = means[torch.arange(150) // together % 140]
    for name in ("x", "w", "mean_q"):
        if name in inputs:
            inputs[name] = component + torch.randn_like(component)
    inputs["means"] = means
    inputs = {name: tensor.to(dtype) for name, tensor in inputs.items()}
    rtol = {**case.rtol, torch.float32: 2e-5}
    check_case(case, inputs, f"{together} of a cluster together", rtol=rtol)


@each_dtype
@each_mixture
@pytest.mark.parametrize("masked", [1, 8, 12])
def test_a_nan_reaches_the_gradients_of_whoever_is_beside_it(
    case: OpCase, dtype: torch.dtype, masked: int
) -> None:
    """Also where its upstream gradient is zero, and whether its neighbours' are too."""
    inputs = case.draw({"n": 13, "k": 33, "d": 17}, dtype)
    point = point_argument(case)
    inputs[point][0, 3] = NAN
    upstream = [tensor.clone() for tensor in upstream_of(case(**inputs))]
    for tensor in upstream:
        tensor[:masked] = 0.0
    found = gradients(case, inputs, upstream)
    one = [tensor.clone() for tensor in upstream_of(case(**inputs))]
    for tensor in one:
        tensor[0] = 0.0
    expected = gradients(case, inputs, one)
    for name in inputs:
        if name != point and "logits" not in name:
            assert torch.equal(found[name].isnan().any(), expected[name].isnan().any()), name


@each_size
@each_dtype
@each_mixture
def test_tight_and_wide_components_together(
    case: OpCase, dtype: torch.dtype, size: dict[str, int]
) -> None:
    """Standard deviations from 1e-3 to 1e3 in one call, the points near the tight components."""
    inputs = points_near_components(case, size, sigma=1e-3)
    # A responsibility's gradient to a coordinate is in units of 1 / sigma.
    units = dict.fromkeys((*case.point_arguments(), "means"), 1e3)
    scales = torch.linspace(0.0, 14.0, size["k"], dtype=torch.float64)
    if "logvars" in inputs:
        inputs["logvars"] = inputs["logvars"] + 2.0 * scales[:, None]
    else:
        factors = inputs["scale_trils"]
        inputs["scale_trils"] = scales[: len(factors), None, None].exp() * factors
        units["scale_trils"] = 1e3
    inputs = {name: tensor.to(dtype) for name, tensor in inputs.items()}
    check_case(case, inputs, f"of mixed scales, {size}", rtol=case.hard_rtol, units=units)


@each_size
@each_dtype
@each_mixture
def test_weight_of_minus_infinity(case: OpCase, dtype: torch.dtype, size: dict[str, int]) -> None:
    """The component might as well not be there, whatever it holds, and gets a gradient of zero."""
    inputs = case.draw(size, dtype)
    dead = torch.arange(size["k"]) % 2 == 0
    inputs["log_weights"][dead] = -INF
    inputs["means"][dead] = (
        torch.tensor([NAN, INF, 1e30])[: dead.sum()].repeat(20)[: dead.sum(), None].to(dtype)
    )
    if case.arguments[case.spread].dims[0] == "k":
        junk = torch.tensor([INF, NAN, -INF, 1e30]).repeat(20)[: dead.sum()].to(dtype)
        rank = inputs[case.spread].ndim
        inputs[case.spread][dead] = junk.reshape(-1, *(1,) * (rank - 1))
    if "logits_q" in inputs:
        inputs["logits_q"][:, dead] = -INF
    check_case(case, inputs, f"with dead components, {size}")

    upstream = upstream_of(case(**inputs))
    got = gradients(case, inputs, upstream)
    for name in _of_components(case):
        assert (got[name][dead] == 0).all(), name
    assert_same_without(case, inputs, ~dead)


def _of_components(case: OpCase) -> list[str]:
    """Arguments with a row a component."""
    return [name for name, argument in case.arguments.items() if argument.dims[0] == "k"]


def assert_same_without(case: OpCase, inputs: dict[str, Tensor], alive: Tensor) -> None:
    """The living components alone give the same results and gradients."""
    rows = _of_components(case)
    kept = {k: v[alive] if k in rows else v for k, v in inputs.items()}
    if "logits_q" in kept:
        kept["logits_q"] = kept["logits_q"][:, alive]
    rtol = case.rtol[inputs["means"].dtype]
    got, want = case(**inputs), case(**kept)
    if case.outputs[0] == "n k":
        assert (got[0][:, ~alive] == -INF).all()
        got = (got[0][:, alive], got[1])
    assert_values(got, want, 2 * rtol, case.name)


@each_size
@each_dtype
@each_mixture
def test_all_weights_of_minus_infinity(
    case: OpCase, dtype: torch.dtype, size: dict[str, int]
) -> None:
    inputs = case.draw(size, dtype)
    inputs["log_weights"].fill_(-INF)
    inputs["means"][0] = NAN
    assert_unreachable(case, case(**inputs))
    for name, gradient in gradients(case, inputs).items():
        assert (gradient == 0).all(), name


def assert_unreachable(case: OpCase, outputs: tuple[Tensor, ...]) -> None:
    """log_prob and log_posterior are -inf; the ELBO terms are (-inf, 0)."""
    assert (outputs[0] == -INF).all()
    if case.op.__name__ == "mixture_elbo_terms":
        assert (outputs[1] == 0).all()
    else:
        assert (outputs[-1] == -INF).all()


@pytest.mark.parametrize("value", [INF, -INF])
@each_size
@each_dtype
@each_mixture
def test_infinite_points(
    case: OpCase, dtype: torch.dtype, size: dict[str, int], value: float
) -> None:
    inputs = case.draw(size, dtype)
    rows = torch.arange(size["n"]) % 3 == 1
    for name in case.point_arguments():
        if name != "logvar_q":
            inputs[name][rows, 1] = value
    outputs = case(**inputs)
    assert_unreachable(case, tuple(tensor[rows] for tensor in outputs))
    check_case(case, inputs, f"with points at {value}, {size}")

    upstream = upstream_of(outputs)
    got = gradients(case, inputs, upstream)
    per_point = {name for name, argument in case.arguments.items() if argument.dims[0] == "n"}
    for name in per_point:
        assert (got[name][rows] == 0).all(), name
    others = {k: v[~rows] if k in per_point else v for k, v in inputs.items()}
    want = gradients(case, others, [tensor[~rows] for tensor in upstream])
    got = {k: v[~rows] if k in per_point else v for k, v in got.items()}
    values = [tensor[~rows].abs().max() for tensor in outputs]
    finite = max(1.0, *(v.item() for v in values if torch.isfinite(v)), 1.0)
    assert_gradients(got, want, 2 * case.rtol[dtype] * finite, case.name)


@pytest.mark.parametrize("value", [INF, -INF])
@each_size
@each_dtype
@each_mixture
def test_infinite_means(
    case: OpCase, dtype: torch.dtype, size: dict[str, int], value: float
) -> None:
    """The component has no density at any point, and gets a gradient of zero."""
    inputs = case.draw(size, dtype)
    rows = torch.arange(size["k"]) % 4 == 1
    inputs["means"][rows, 1] = value
    inputs["means"][1, 0] = -value
    check_case(case, inputs, f"with means at {value}, {size}")
    got = gradients(case, inputs)
    for name in ("means", *([case.spread] if len(inputs[case.spread]) == size["k"] else [])):
        assert (got[name][rows] == 0).all(), name
    if "logits_q" not in inputs:  # where q(z) is given, it may be positive there
        assert_same_without(case, inputs, ~rows)


@each_dtype
@each_mixture
def test_infinite_means_of_components_that_hold_nan(case: OpCase, dtype: torch.dtype) -> None:
    for name in ("log_weights", "means", case.spread):
        inputs = case.draw(SIZES[0], dtype)
        inputs["means"][-1, 1] = INF
        at = (-1, 0) if name == "means" else (-1, -1, 0) if name == "scale_trils" else -1
        inputs[name][at] = NAN
        first = case(**inputs)[0]
        assert first.isnan().reshape(len(first), -1).any(-1).all(), name


@each_dtype
@each_mixture
def test_density_below_the_smallest_number(case: OpCase, dtype: torch.dtype) -> None:
    """Finite points so far out that the log-density overflows behave as infinite ones."""
    inputs = case.draw(SIZES[0], dtype)
    for name in case.point_arguments():
        if name != "logvar_q":
            inputs[name][2] = {torch.float32: 1e30, torch.float64: 1e200}[dtype]
    assert_unreachable(case, tuple(tensor[2:3] for tensor in case(**inputs)))
    for name, gradient in gradients(case, inputs).items():
        assert gradient.isfinite().all(), name
        if case.arguments[name].dims[0] == "n":
            assert (gradient[2] == 0).all(), name


@each_size
@each_dtype
@each_mixture
def test_nan_points_touch_only_their_rows(
    case: OpCase, dtype: torch.dtype, size: dict[str, int]
) -> None:
    inputs = case.draw(size, dtype)
    inputs["log_weights"][1] = -INF
    point = point_argument(case)
    rows = torch.arange(size["n"]) % 4 == 2
    spoilt = {**inputs, point: inputs[point].clone()}
    spoilt[point][rows, 1] = NAN
    clean, got = case(**inputs), case(**spoilt)
    for index, (before, after) in enumerate(zip(clean, got, strict=True)):
        assert torch.equal(after[~rows], before[~rows]), index
        if "logits_q" not in inputs or index == 0:
            dead = before[rows] == -INF
            assert (after[rows].isnan() | dead).all(), index

    upstream = upstream_of(clean)
    before, after = gradients(case, inputs, upstream), gradients(case, spoilt, upstream)
    for name in case.point_arguments():
        assert torch.equal(after[name][~rows], before[name][~rows]), name
    # Logits are responsibilities of their own, through which NaN does not reach other coordinates.
    columns = slice(1, 2) if "logits_q" in inputs else slice(None)
    alive = inputs["log_weights"] != -INF
    assert after[point][rows][:, columns].isnan().all()
    assert after["means"][alive][:, columns].isnan().all()
    spread = after[case.spread]
    if case.spread == "scale_trils":
        rows_alive = alive if len(spread) == len(alive) else slice(None)
        lower = torch.ones_like(spread).tril().bool()[rows_alive]
        assert spread[rows_alive][lower].isnan().all()
    else:
        kept = columns if case.arguments["logvars"].dims == "k d" else slice(None)
        assert spread[alive][:, kept].isnan().all()
    for name in _of_components(case):
        assert (after[name][~alive] == 0).all(), name


@each_dtype
@each_mixture
def test_nan_and_infinity_in_one_row(case: OpCase, dtype: torch.dtype) -> None:
    inputs = case.draw(SIZES[0], dtype)
    point = point_argument(case)
    inputs[point][2, :2] = torch.tensor([NAN, INF])
    assert case(**inputs)[0][2].isnan().all()
    assert gradients(case, inputs)[point][2, 0].isnan()


@each_dtype
@each_mixture
def test_nan_points_where_no_component_counts(case: OpCase, dtype: torch.dtype) -> None:
    """NaN, as of any NaN, or what the other rows give; never a number."""
    inputs = case.draw(SIZES[0], dtype)
    inputs["log_weights"].fill_(-INF)
    inputs[point_argument(case)][2, 0] = NAN
    outputs = case(**inputs)
    assert_unreachable(case, tuple(tensor[:2] for tensor in outputs))
    for tensor in outputs:
        assert (tensor[2].isnan() | (tensor[2] == tensor[0])).all()


@each_dtype
@each_mixture
def test_nan_parameters_reach_every_row(case: OpCase, dtype: torch.dtype) -> None:
    """A component that counts and holds NaN is not ignored."""
    for name in ("log_weights", "means", case.spread):
        inputs = case.draw(SIZES[0], dtype)
        inputs[name][-1] = NAN
        want = case.expected(**{key: tensor.double() for key, tensor in inputs.items()})
        for have, truth in zip(case(**inputs), want, strict=True):
            assert (have.isnan() | ~truth.isnan()).all(), name
