# SPDX-License-Identifier: MIT
"""The most probable component: one that no other beats in float64, at every shape and layout."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from pyvae import ops
from pyvae.ops import reference
from tests import memory
from tests.ops import devices
from tests.ops.case import OpCase
from tests.ops.cases import SMALL, TILED, each_dtype, each_prediction
from tests.ops.checks import assert_values, doubled
from tests.ops.layouts import LAYOUTS

INF, NAN = float("inf"), float("nan")
every_device = pytest.mark.every_device


def check(case: OpCase, inputs: dict[str, Tensor], context: object = "") -> None:
    """Judge the density as ever, and the component by the posterior that float64 gives it."""
    dtype = inputs["x"].dtype
    component, log_prob = case(**inputs)
    posterior_of = getattr(reference, case.reference.__name__.replace("predict", "posterior"))
    log_posterior, exact = posterior_of(**doubled(inputs))
    assert_values([log_prob], [exact], case.rtol[dtype], context)
    assert component.dtype == torch.int64
    assert component.shape == exact.shape
    if not log_posterior.numel():
        assert not component.any()
        return
    taken = log_posterior.gather(-1, component.unsqueeze(-1)).squeeze(-1)
    missed = log_posterior.amax(-1) - taken
    allowed = 2 * case.rtol[dtype] * exact.abs().clamp_min(1.0)
    wrong = (exact > -INF) & ~(missed <= allowed)
    assert not wrong.any(), f"{context}: {missed[wrong][:4].tolist()} nats below the largest"


@every_device
@each_dtype
@each_prediction
def test_sizes(case: OpCase, dtype: torch.dtype) -> None:
    lopsided = ({"n": 3, "k": 2, "d": 300}, {"n": 2, "k": 1500, "d": 3}, {"n": 900, "k": 1, "d": 1})
    for seed, size in enumerate((*devices.some(case.sizes), TILED, *lopsided)):
        if devices.takes(case.name, size):
            check(case, case.draw(size, dtype, seed=seed), size)


@every_device
@each_dtype
@each_prediction
def test_empty_sizes(case: OpCase, dtype: torch.dtype) -> None:
    for empty in ("n", "k", "d", "nk", "kd", "nd", "nkd"):
        size = {dim: 0 if dim in empty else value for dim, value in SMALL.items()}
        check(case, case.draw(size, dtype), size)


@every_device
@each_dtype
@each_prediction
def test_leading_dimensions(case: OpCase, dtype: torch.dtype) -> None:
    for batch in ((4,), (2, 2), (0,)):
        for names in (case.arguments, *((name,) for name in case.arguments)):
            check(case, case.draw(SMALL, dtype, batch=dict.fromkeys(names, batch)), (names, batch))


@every_device
@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS.keys())
@each_prediction
def test_layouts(case: OpCase, layout: Callable[[Tensor], Tensor]) -> None:
    inputs = case.draw({"n": 9, "k": 17, "d": 7}, torch.float32)
    check(case, {name: layout(tensor) for name, tensor in inputs.items()})


@every_device
@each_dtype
@each_prediction
def test_of_equal_components_it_is_the_first(case: OpCase, dtype: torch.dtype) -> None:
    # Products of equal matrices have equal bits on a CPU only where these are aligned alike.
    d = 16 if devices.current() == devices.PRODUCTS else 5
    for k in (2, 17, 40, 300):
        inputs = case.draw({"n": 70, "k": k, "d": d}, dtype)
        for name in ("log_weights", "means", case.spread):
            one = inputs[name].narrow(0, 0, 1)
            inputs[name] = one.expand(inputs[name].shape).clone()
        assert not case(**inputs)[0].any()
        inputs["log_weights"][: k // 2] = -INF
        assert (case(**inputs)[0] == k // 2).all()


@every_device
@each_dtype
@each_prediction
def test_points_without_a_density(case: OpCase, dtype: torch.dtype) -> None:
    inputs = case.draw({"n": 9, "k": 20, "d": 3}, dtype)
    inputs["log_weights"][0] = -50.0  # the answer would not be 0 by chance
    before = case(**inputs)
    inputs["x"][2, 1], inputs["x"][5, 0] = NAN, INF
    component, log_prob = case(**inputs)
    assert component[[2, 5]].tolist() == [0, 0]
    assert torch.isnan(log_prob[2])
    assert log_prob[5] == -INF
    others = [n for n in range(9) if n not in (2, 5)]
    assert torch.equal(component[others], before[0][others])
    inputs["log_weights"][:] = -INF
    assert not case(**inputs)[0].any()


@every_device
@each_prediction
def test_a_component_of_weight_zero_is_never_taken(case: OpCase) -> None:
    inputs = case.draw({"n": 40, "k": 9, "d": 3}, torch.float32)
    inputs["log_weights"][[1, 4]] = -INF
    for value in (NAN, INF, 1e30, 0.0):
        inputs["means"][[1, 4]] = value
        assert not torch.isin(case(**inputs)[0], torch.tensor([1, 4])).any()


@every_device
@each_prediction
def test_it_is_the_largest_of_the_posterior(case: OpCase) -> None:
    """Of the op's own posterior, whose rounding may make two components equal."""
    for size in ({"n": 65, "k": 33, "d": 8}, {"n": 65, "k": 300, "d": 4}):
        inputs = case.draw(size, torch.float32)
        x = devices.moved(inputs["x"])
        posterior_of = getattr(ops, case.op.__name__.replace("predict", "posterior"))
        there = {name: devices.moved(tensor) for name, tensor in inputs.items()}
        log_posterior, log_prob = posterior_of(**there)
        found = case.op(**there)
        taken = log_posterior.gather(-1, found.component.unsqueeze(-1)).squeeze(-1)
        assert torch.equal(taken, log_posterior.amax(-1))
        assert torch.equal(found.log_prob, log_prob)
        assert found.component.device == x.device


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
@each_prediction
def test_halves(case: OpCase, dtype: torch.dtype) -> None:
    inputs = case.draw({"n": 9, "k": 5, "d": 3}, dtype)
    found = case.op(**inputs)
    wide = case.op(**{name: tensor.float() for name, tensor in inputs.items()})
    assert found.log_prob.dtype == dtype
    assert torch.equal(found.component, wide.component)
    assert torch.equal(found.log_prob, wide.log_prob.to(dtype))


@each_prediction
def test_it_passes_no_gradient(case: OpCase) -> None:
    inputs = case.draw(SMALL, torch.float64)
    found = case.op(**{name: tensor.requires_grad_() for name, tensor in inputs.items()})
    assert not found.component.requires_grad
    assert not found.log_prob.requires_grad


@each_prediction
def test_transforms_and_compiled_code(case: OpCase) -> None:
    inputs = list(case.draw({"n": 6, "k": 4, "d": 3}, torch.float32, batch={"x": (5,)}).values())
    want = case.op(*inputs)
    mapped = torch.func.vmap(case.op, in_dims=(0, None, None, None))(*inputs)
    compiled = torch.compile(case.op, fullgraph=True)(*inputs)
    with torch.autocast("cpu", torch.bfloat16):
        cast = case.op(*inputs)
    for got in (mapped, compiled, cast):
        assert torch.equal(got.component, want.component)
        torch.testing.assert_close(got.log_prob, want.log_prob)

    def scaled(x: Tensor) -> Tensor:
        return (x * case.op(x, *inputs[1:]).log_prob.unsqueeze(-1)).sum()

    assert torch.isfinite(torch.func.grad(scaled)(inputs[0])).all()


def test_nothing_of_points_by_components_is_written() -> None:
    n, k = 20_000, 500
    x, means = torch.randn(n, 4), torch.randn(k, 4)
    arguments = (x, torch.zeros(k), means, torch.zeros(k, 1))
    ops.mixture_predict(*arguments)
    assert memory.peak_growth(lambda: ops.mixture_predict(*arguments)) < n * k * 4 // 4
