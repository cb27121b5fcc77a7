# SPDX-License-Identifier: MIT
"""Half precision, and autocast: both compute in float32."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from tests.ops.cases import DTYPES, OpCase, each_case
from tests.ops.checks import assert_gradients, assert_values, gradients, upstream_of

SIZE = {"n": 9, "k": 17, "d": 8}
HALVES = (torch.float16, torch.bfloat16)
each_half = pytest.mark.parametrize("half", HALVES, ids=("float16", "bfloat16"))


def _float(inputs: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.float() for name, tensor in inputs.items()}


@each_half
@each_case
def test_half_is_float32_rounded_once(case: OpCase, half: torch.dtype) -> None:
    """Values and gradients have the bits of a float32 call on the same numbers, rounded."""
    inputs = case.draw(SIZE, half)
    got, want = case(**inputs), case(**_float(inputs))
    for have, truth in zip(got, want, strict=True):
        assert have.dtype == half
        assert torch.equal(have, truth.to(half))
    upstream = upstream_of(got)
    got_gradients = gradients(case, inputs, upstream)
    want_gradients = gradients(case, _float(inputs), [tensor.float() for tensor in upstream])
    for name, have in got_gradients.items():
        assert have.dtype == half, name
        assert torch.equal(have, want_gradients[name].to(half)), name


@each_half
@each_case
def test_half_keeps_minus_infinity(case: OpCase, half: torch.dtype) -> None:
    inputs = case.draw(SIZE, half)
    if "log_weights" in inputs:
        inputs["log_weights"].fill_(-torch.inf)
        assert (case(**inputs)[0] == -torch.inf).all()
    else:
        inputs["mean_q"][..., -1] = torch.inf
        assert (case(**inputs)[0] == torch.inf).all()


@each_half
@each_case
def test_autocast_computes_in_float32(case: OpCase, half: torch.dtype) -> None:
    """Whatever mixture of dtypes comes, float32 returns; gradients have their argument's dtype."""
    mixed = (torch.float32, half, torch.float64)
    for shift in range(3):
        inputs = {
            name: tensor.to(mixed[(index + shift) % 3])
            for index, (name, tensor) in enumerate(case.draw(SIZE, torch.float32).items())
        }
        with torch.autocast("cpu", dtype=half):
            got = case(**inputs)
            upstream = upstream_of(got)
            got_gradients = gradients(case, inputs, upstream)
        want = case(**_float(inputs))
        for have, truth in zip(got, want, strict=True):
            assert have.dtype == torch.float32
            assert torch.equal(have, truth)
        want_gradients = gradients(case, _float(inputs), upstream)
        for name, tensor in inputs.items():
            assert got_gradients[name].dtype == tensor.dtype, name
            assert torch.equal(got_gradients[name], want_gradients[name].to(tensor.dtype)), name


@each_half
@each_case
def test_backward_outside_autocast(case: OpCase, half: torch.dtype) -> None:
    """As training does: the forward in autocast, the backward after it."""
    inputs = case.draw(SIZE, torch.float32)
    leaves = {name: tensor.clone().requires_grad_() for name, tensor in inputs.items()}
    with torch.autocast("cpu", dtype=half):
        outputs = case(**leaves)
    upstream = upstream_of(outputs)
    torch.autograd.backward(outputs, upstream)
    want = gradients(case, inputs, upstream)
    assert_gradients({k: v.grad for k, v in leaves.items()}, want, rtol=0.0)


@each_half
@each_case
def test_output_of_an_autocast_layer(case: OpCase, half: torch.dtype) -> None:
    """A linear layer in autocast makes half-precision activations, the parameters stay float32."""
    inputs = case.draw(SIZE, torch.float32)
    name = next(iter(inputs))
    layer = torch.nn.Linear(inputs[name].shape[-1], inputs[name].shape[-1])
    with torch.autocast("cpu", dtype=half):
        activations = layer(inputs[name])
        outputs = case(**{**inputs, name: activations})
    assert activations.dtype == half
    torch.autograd.backward(outputs, upstream_of(outputs))
    want = case(**{**inputs, name: activations.detach().float()})
    assert_values(outputs, want, rtol=1e-7)
    assert layer.weight.grad is not None
    assert layer.weight.grad.isfinite().all()


@pytest.mark.parametrize("dtype", DTYPES, ids=("float32", "float64"))
@each_case
def test_autocast_switched_off_changes_nothing(case: OpCase, dtype: torch.dtype) -> None:
    inputs = case.draw(SIZE, dtype)
    with torch.autocast("cpu", enabled=False):
        got = case(**inputs)
    for have, truth in zip(got, case(**inputs), strict=True):
        assert have.dtype == dtype
        assert torch.equal(have, truth)


@pytest.mark.parametrize("dtype", DTYPES, ids=("float32", "float64"))
@each_case
def test_default_dtype_changes_nothing(case: OpCase, dtype: torch.dtype) -> None:
    inputs = case.draw(SIZE, dtype)
    want = case(**inputs)
    torch.set_default_dtype(torch.float64)
    for have, truth in zip(case(**inputs), want, strict=True):
        assert torch.equal(have, truth)
