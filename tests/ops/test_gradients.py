# SPDX-License-Identifier: MIT
"""First and second gradients, and how they behave inside autograd."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import pytest
import torch
from torch import Tensor

from tests.ops.cases import SMALL, TILED, OpCase, each_case, each_dtype
from tests.ops.checks import (
    assert_gradients,
    doubled,
    gradient_rtol,
    gradients,
    second_gradients,
    upstream_of,
)

MIDDLE = {"n": 9, "k": 17, "d": 8}


def _leaves(case: OpCase, dtype: torch.dtype) -> dict[str, Tensor]:
    inputs = case.draw(MIDDLE, dtype)
    return {name: tensor.requires_grad_() for name, tensor in inputs.items()}


def _positional(case: OpCase, names: tuple[str, ...], *values: Tensor) -> tuple[Tensor, ...]:
    return case(**dict(zip(names, values, strict=True)))


@each_case
def test_gradcheck(case: OpCase) -> None:
    inputs = {k: v.requires_grad_() for k, v in case.draw(SMALL, torch.float64).items()}
    function = partial(_positional, case, tuple(inputs))
    assert torch.autograd.gradcheck(function, tuple(inputs.values()))


@each_case
def test_gradgradcheck(case: OpCase) -> None:
    inputs = {k: v.requires_grad_() for k, v in case.draw(SMALL, torch.float64).items()}
    function = partial(_positional, case, tuple(inputs))
    assert torch.autograd.gradgradcheck(function, tuple(inputs.values()))


@each_dtype
@each_case
def test_second_gradients(case: OpCase, dtype: torch.dtype) -> None:
    """Compared with the reference's own: opcheck passes where a double backward is missing."""
    for size in (SMALL, MIDDLE, {"n": 5, "k": 3, "d": 1}):
        inputs = case.draw(size, dtype)
        got = second_gradients(case, inputs)
        want = second_gradients(case.expected, doubled(inputs))
        values = case.expected(**doubled(inputs))
        rtol = gradient_rtol(case.second_rtol[dtype], values)
        assert_gradients(got, want, rtol, f"second, of {case.name} {dtype} {size}")


@each_dtype
@each_case
def test_second_gradients_with_excluded_components(case: OpCase, dtype: torch.dtype) -> None:
    """The reference differentiates the backward: it must be free of NaN at weights of -inf."""
    inputs = case.draw(MIDDLE, dtype)
    if "log_weights" in inputs:
        inputs["log_weights"][::2] = -torch.inf
        inputs["means"][0] = torch.nan
    got = second_gradients(case, inputs)
    assert not any(tensor.isnan().any() for tensor in got.values())
    want = second_gradients(case.expected, doubled(inputs))
    rtol = gradient_rtol(case.second_rtol[dtype], case.expected(**doubled(inputs)))
    assert_gradients(got, want, rtol, f"second, of {case.name} {dtype}")


@each_dtype
@each_case
def test_gradient_of_one_argument_alone(case: OpCase, dtype: torch.dtype) -> None:
    """Kernels leave out what is not wanted, and what is wanted stays the same."""
    for size in (MIDDLE, TILED):
        inputs = case.draw(size, dtype)
        everything = gradients(case, inputs)
        rtol = gradient_rtol(case.rtol[dtype], case(**inputs))
        for name in inputs:
            for wanted in ([name], [other for other in inputs if other != name]):
                got = gradients(case, inputs, wanted=wanted)
                want = {key: everything[key] for key in wanted}
                assert_gradients(got, want, rtol, f"{wanted} alone, {case.name} {dtype} {size}")


@each_dtype
@each_case
def test_no_graph_without_need(case: OpCase, dtype: torch.dtype) -> None:
    inputs = case.draw(MIDDLE, dtype)
    assert not any(tensor.requires_grad for tensor in case(**inputs))
    with torch.no_grad():
        assert not any(tensor.requires_grad for tensor in case(**_leaves(case, dtype)))
    with torch.inference_mode():
        assert not any(tensor.requires_grad for tensor in case(**_leaves(case, dtype)))


@each_dtype
@each_case
def test_backward_accumulates_into_leaves(case: OpCase, dtype: torch.dtype) -> None:
    leaves = _leaves(case, dtype)
    want = gradients(case, leaves)
    for _ in range(2):
        outputs = case(**leaves)
        torch.autograd.backward(outputs, upstream_of(outputs))
    got = {name: tensor.grad for name, tensor in leaves.items() if tensor.grad is not None}
    assert set(got) == set(leaves)
    assert_gradients(got, {name: 2 * want[name] for name in leaves}, rtol=0.0)


@each_dtype
@each_case
def test_create_graph(case: OpCase, dtype: torch.dtype) -> None:
    """The same bits with and without a graph: the first backward is always the kernel's."""
    leaves = _leaves(case, dtype)
    outputs = case(**leaves)
    upstream = upstream_of(outputs)
    targets = list(leaves.values())
    plain = torch.autograd.grad(outputs, targets, upstream, retain_graph=True)
    graphed = torch.autograd.grad(outputs, targets, upstream, create_graph=True)
    for name, a, b in zip(leaves, plain, graphed, strict=True):
        assert torch.equal(a, b), name
        assert not a.requires_grad, name
        assert b.requires_grad, name


@each_dtype
@each_case
def test_third_gradients(case: OpCase, dtype: torch.dtype) -> None:
    inputs = case.draw(SMALL, dtype)
    got, want = _third(case, inputs), _third(case.expected, doubled(inputs))
    rtol = gradient_rtol(case.second_rtol[dtype], case.expected(**doubled(inputs)))
    assert_gradients(got, want, rtol, f"third, of {case.name} {dtype}")


def _third(function: Callable, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    leaves = {name: tensor.requires_grad_() for name, tensor in inputs.items()}
    tensors = function(**leaves)
    for seed in range(3):
        tensors = torch.autograd.grad(
            tensors,
            list(leaves.values()),
            upstream_of(tensors, seed),
            create_graph=True,
            allow_unused=True,
            materialize_grads=True,
        )
    return dict(zip(leaves, tensors, strict=True))


@each_dtype
@each_case
def test_changes_in_place_before_backward_are_caught(case: OpCase, dtype: torch.dtype) -> None:
    for name in case.arguments:
        leaves = _leaves(case, dtype)
        copies = {key: tensor.clone() for key, tensor in leaves.items()}
        outputs = case(**copies)
        copies[name].mul_(2.0)
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            torch.autograd.backward(outputs, upstream_of(outputs))


@each_dtype
@each_case
def test_changed_results_never_give_wrong_gradients(case: OpCase, dtype: torch.dtype) -> None:
    """A result written over before backward is caught, or does not matter to the gradients."""
    for index in range(len(case.outputs)):
        leaves = _leaves(case, dtype)
        want = gradients(case, leaves)
        outputs = case(**leaves)
        upstream = upstream_of(outputs)
        with torch.no_grad():
            outputs[index].mul_(2.0)
        try:
            torch.autograd.backward(outputs, upstream)
        except RuntimeError as error:
            assert "modified by an inplace operation" in str(error)  # noqa: PT017
        else:
            got = {k: v.grad for k, v in leaves.items() if v.grad is not None}
            assert_gradients(got, {k: want[k] for k in got}, rtol=0.0)
