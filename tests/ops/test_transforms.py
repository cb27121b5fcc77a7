# SPDX-License-Identifier: MIT
"""torch.func: vmap in every position, grad, and their compositions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.autograd import forward_ad

from tests.ops.case import as_tuple
from tests.ops.cases import CASES, SMALL, OpCase, each_case, each_dtype
from tests.ops.checks import (
    assert_gradients,
    assert_values,
    doubled,
    gradient_rtol,
    gradients,
    upstream_of,
)

# torch's forward mode loads its decompositions through torch.jit.
pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")

MIXTURE = next(case for case in CASES if case.name == "mixture_log_prob")
SIZE = {"n": 4, "k": 5, "d": 3}
Inputs = Mapping[str, Tensor]


def _weighted(function: Callable, inputs: Inputs) -> Tensor:
    """A scalar with a different weight for every element of every result."""
    total = torch.zeros(())
    for output in as_tuple(function(**inputs)):
        weights = torch.cos(torch.arange(output.numel(), dtype=output.dtype) + 1.0)
        total = total + (output * weights.reshape(output.shape)).sum()
    return total


def _slices(inputs: Inputs, in_dims: Mapping[str, int | None], index: int) -> dict[str, Tensor]:
    return {
        name: tensor if in_dims[name] is None else tensor.select(in_dims[name], index)
        for name, tensor in inputs.items()
    }


def _mapped_in_every_way(
    case: OpCase, dtype: torch.dtype, size: int
) -> Iterator[tuple[dict[str, Tensor], dict[str, int | None]]]:
    """Inputs and ``in_dims``: each argument alone, all in front, all last, and mixed."""
    names = list(case.arguments)
    ways = [dict.fromkeys(names) | {name: 0} for name in names]
    ways += [dict.fromkeys(names, 0), dict.fromkeys(names, -1)]
    ways += [
        {name: (0, None, 1)[(i + shift) % 3] for i, name in enumerate(names)} for shift in (0, 2)
    ]
    for in_dims in ways:
        batch = {name: (size,) for name, dim in in_dims.items() if dim is not None}
        inputs = case.draw(SIZE, dtype, batch=batch)
        for name, dim in in_dims.items():
            if dim:
                inputs[name] = inputs[name].movedim(0, dim)
        yield inputs, in_dims


@each_dtype
@each_case
def test_vmap(case: OpCase, dtype: torch.dtype) -> None:
    for inputs, in_dims in _mapped_in_every_way(case, dtype, 3):
        got = torch.vmap(lambda i: case(**i), in_dims=(in_dims,))(inputs)
        rows = [case.expected(**doubled(_slices(inputs, in_dims, i))) for i in range(3)]
        want = [torch.stack(column) for column in zip(*rows, strict=True)]
        assert_values(got, want, case.rtol[dtype], f"of {case.name} {dtype} under vmap {in_dims}")


@each_dtype
@each_case
def test_vmap_out_dims_and_chunks(case: OpCase, dtype: torch.dtype) -> None:
    inputs = case.draw(SIZE, dtype, batch=dict.fromkeys(case.arguments, (5,)))
    want = torch.vmap(lambda i: case(**i))(inputs)
    got = torch.vmap(lambda i: case(**i), out_dims=-1, chunk_size=2)(inputs)
    for have, truth in zip(got, want, strict=True):
        torch.testing.assert_close(have.movedim(-1, 0), truth)


@each_dtype
@each_case
def test_nested_vmap(case: OpCase, dtype: torch.dtype) -> None:
    """The outer level maps every other argument, the inner one the rest and the first."""
    names = list(case.arguments)
    outer = {name: 0 if i % 2 == 0 else None for i, name in enumerate(names)}
    inner = {name: 0 if i % 2 or i == 0 else None for i, name in enumerate(names)}
    batch = {
        name: (2,) * (outer[name] is not None) + (3,) * (inner[name] is not None) for name in names
    }
    inputs = case.draw(SIZE, dtype, batch=batch)
    got = torch.vmap(torch.vmap(lambda i: case(**i), in_dims=(inner,)), in_dims=(outer,))(inputs)
    for i in range(2):
        for j in range(3):
            row = _slices(_slices(inputs, outer, i), inner, j)
            want = case.expected(**doubled(row))
            assert_values([t[i, j] for t in got], want, case.rtol[dtype], f"of {case.name} {dtype}")


@each_dtype
@each_case
def test_vmap_of_empty_rows(case: OpCase, dtype: torch.dtype) -> None:
    inputs = case.draw({**SIZE, "n": 0}, dtype, batch=dict.fromkeys(case.arguments, (3,)))
    for output in torch.vmap(lambda i: case(**i))(inputs):
        assert output.shape[:2] == (3, 0)


@each_dtype
@each_case
def test_grad(case: OpCase, dtype: torch.dtype) -> None:
    inputs = case.draw(SIZE, dtype)
    got = torch.func.grad(partial(_weighted, case))(inputs)
    want = torch.func.grad(partial(_weighted, case.expected))(doubled(inputs))
    rtol = gradient_rtol(case.rtol[dtype], case.expected(**doubled(inputs)))
    assert_gradients(got, want, rtol, f"func.grad of {case.name} {dtype}")


@each_dtype
@each_case
def test_vjp(case: OpCase, dtype: torch.dtype) -> None:
    inputs = case.draw(SIZE, dtype)
    outputs, pull_back = torch.func.vjp(lambda i: case(**i), inputs)
    upstream = upstream_of(outputs)
    rtol = gradient_rtol(case.rtol[dtype], outputs)
    (got,) = pull_back(upstream)
    want = gradients(case.expected, doubled(inputs), [t.double() for t in upstream])
    assert_gradients(got, want, rtol, f"func.vjp of {case.name} {dtype}")


@each_dtype
@each_case
def test_vmap_of_grad(case: OpCase, dtype: torch.dtype) -> None:
    """Per-example gradients, every argument batched and each one alone."""
    for inputs, in_dims in _mapped_in_every_way(case, dtype, 3):
        got = torch.vmap(torch.func.grad(partial(_weighted, case)), in_dims=(in_dims,))(inputs)
        for i in range(3):
            row = doubled(_slices(inputs, in_dims, i))
            want = torch.func.grad(partial(_weighted, case.expected))(row)
            rtol = gradient_rtol(case.rtol[dtype], case.expected(**row))
            context = f"vmap(grad) of {case.name} {dtype} {in_dims}"
            assert_gradients({k: v[i] for k, v in got.items()}, want, rtol, context)


@each_dtype
@each_case
def test_grad_of_vmap(case: OpCase, dtype: torch.dtype) -> None:
    inputs = case.draw(SIZE, dtype, batch=dict.fromkeys(case.arguments, (3,)))

    def total(function: Callable, inputs: Inputs) -> Tensor:
        return torch.vmap(partial(_weighted, function))(inputs).sum()

    got = torch.func.grad(partial(total, case))(inputs)
    want = torch.func.grad(partial(total, case.expected))(doubled(inputs))
    rtol = gradient_rtol(case.rtol[dtype], case.expected(**doubled(inputs)))
    assert_gradients(got, want, rtol, f"grad(vmap) of {case.name} {dtype}")


@pytest.mark.parametrize("transform", [torch.func.jacrev, torch.func.jacfwd])
@each_dtype
@each_case
def test_jacobian(case: OpCase, dtype: torch.dtype, transform: Callable) -> None:
    inputs = case.draw(SMALL, dtype)
    got = transform(lambda i: case(**i))(inputs)
    want = torch.func.jacrev(lambda i: case.expected(**i))(doubled(inputs))
    rtol = gradient_rtol(case.second_rtol[dtype], case.expected(**doubled(inputs)))
    for index, (have, truth) in enumerate(zip(got, want, strict=True)):
        assert_gradients(have, truth, rtol, f"jacobian of result {index} of {case.name} {dtype}")


@each_dtype
@each_case
def test_hessian(case: OpCase, dtype: torch.dtype) -> None:
    """Forward over reverse, as torch.func.hessian does, and reverse over reverse."""
    inputs = case.draw(SMALL, dtype)
    rtol = gradient_rtol(case.second_rtol[dtype], case.expected(**doubled(inputs)))
    want = torch.func.jacrev(torch.func.jacrev(partial(_weighted, case.expected)))(doubled(inputs))
    reverse_twice = torch.func.jacrev(torch.func.jacrev(partial(_weighted, case)))
    for hessian in (reverse_twice, torch.func.hessian(partial(_weighted, case))):
        got = hessian(inputs)
        for name in inputs:
            context = f"hessian row {name} of {case.name} {dtype}"
            assert_gradients(got[name], want[name], rtol, context)


def _by_duals(
    function: Callable, inputs: tuple[Inputs], tangents: tuple[Inputs]
) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """Do what ``torch.func.jvp`` does by dual tensors alone."""
    with forward_ad.dual_level():
        duals = {n: forward_ad.make_dual(x, tangents[0][n]) for n, x in inputs[0].items()}
        found = [forward_ad.unpack_dual(output) for output in as_tuple(function(duals))]
    return tuple(f.primal for f in found), tuple(f.tangent for f in found)


@each_dtype
@each_case
@pytest.mark.parametrize("jvp", [torch.func.jvp, _by_duals])
def test_jvp(case: OpCase, dtype: torch.dtype, jvp: Callable) -> None:
    inputs = case.draw(SMALL, dtype)
    tangents = dict(zip(inputs, upstream_of(list(inputs.values()), seed=3), strict=True))
    values, got, *_ = jvp(lambda i: case(**i), (inputs,), (tangents,))
    for have, truth in zip(as_tuple(values), as_tuple(case(**inputs)), strict=True):
        torch.testing.assert_close(have, truth, rtol=0, atol=0, equal_nan=True)
    _, want = torch.func.jvp(lambda i: case.expected(**i), (doubled(inputs),), (doubled(tangents),))
    rtol = gradient_rtol(case.second_rtol[dtype], case.expected(**doubled(inputs)))
    for index, (have, truth) in enumerate(zip(got, want, strict=True)):
        assert have is not None
        assert_gradients({"jvp": have}, {"jvp": truth}, rtol, f"result {index} of {case.name}")


def test_dual_tensors_and_gradients() -> None:
    """Forward mode over the reverse: the tangent of a gradient is the Hessian's product."""
    inputs = MIXTURE.draw(SMALL, torch.float64)
    leaf, along = inputs["means"].requires_grad_(), torch.ones_like(inputs["means"])
    with forward_ad.dual_level():
        dual = {**inputs, "means": forward_ad.make_dual(leaf, along)}
        (found,) = torch.autograd.grad(_weighted(MIXTURE, dual), leaf)
        got = forward_ad.unpack_dual(found).tangent
        assert got is not None
    (first,) = torch.autograd.grad(_weighted(MIXTURE, inputs), leaf, create_graph=True)
    (want,) = torch.autograd.grad((first * along).sum(), leaf)
    torch.testing.assert_close(got, want)


def test_a_tensor_of_a_transform_that_has_ended() -> None:
    """It is what the transform was of, and has its gradient."""
    inputs = MIXTURE.draw(SMALL, torch.float64)
    leaf, kept = inputs["means"].clone().requires_grad_(), []

    def keeps(means: Tensor) -> Tensor:
        kept.append(means)
        return means.square().sum()

    torch.func.grad(keeps)(leaf)
    got, want = (
        torch.autograd.grad(_weighted(MIXTURE, {**inputs, "means": means}), leaf)[0]
        for means in (*kept, leaf)
    )
    torch.testing.assert_close(got, want, rtol=0, atol=0)


@each_dtype
@each_case
def test_functional_call_of_a_module(case: OpCase, dtype: torch.dtype) -> None:
    """Arguments held as parameters of a module, per-example gradients to them."""
    inputs = case.draw(SMALL, dtype)

    class Model(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.held = torch.nn.ParameterDict(
                {name: torch.nn.Parameter(tensor) for name, tensor in inputs.items()}
            )

        def forward(self, scale: Tensor) -> Tensor:
            return _weighted(case, {name: self.held[name] * scale for name in inputs})

    model = Model()
    parameters = dict(model.named_parameters())
    per_example = torch.func.vmap(
        torch.func.grad(lambda p, s: torch.func.functional_call(model, p, (s,))), in_dims=(None, 0)
    )(parameters, torch.tensor([0.5, 1.0], dtype=dtype))
    want = torch.func.grad(partial(_weighted, case.expected))(doubled(inputs))
    rtol = gradient_rtol(case.rtol[dtype], case.expected(**doubled(inputs)))
    got = {name.removeprefix("held."): tensor[1] for name, tensor in per_example.items()}
    assert_gradients(got, want, rtol, f"functional_call of {case.name} {dtype}")
