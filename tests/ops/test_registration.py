# SPDX-License-Identifier: MIT
"""The registered ops: schemas, fake kernels, opcheck, and that the table reaches all of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from pyvae import ops
from tests.ops.cases import SMALL, TABLE, Argument, OpCase, each_case, each_dtype
from tests.ops.checks import upstream_of
from tests.ops.draws import core_shape

# Dynamo's tracing inside opcheck warns about its own internals.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

# opcheck without its slow part, which traces through AOT autograd with dynamic shapes.
QUICK = ("test_schema", "test_autograd_registration", "test_faketensor")

LINES = ops.op_table()
ARGUMENTS: dict[str, Argument] = {
    name: argument for case in reversed(TABLE) for name, argument in case.arguments.items()
}
each_line = pytest.mark.parametrize("line", LINES, ids=lambda line: line["name"])
each_differentiable = pytest.mark.parametrize(
    "line", [line for line in LINES if line["differentiable"]], ids=lambda line: line["name"]
)


class _Recorder(TorchDispatchMode):
    """Names of the pyvae ops that run."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func.namespace == "pyvae":
            self.names.add(func._opname)
        return func(*args, **(kwargs or {}))


def _arguments(
    line: dict[str, Any],
    dtype: torch.dtype,
    *,
    batch: tuple[int, ...] = (),
    isotropic: bool = False,
) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    tensors = []
    for name in line["arguments"]:
        dims = "k 1" if isotropic and name == "logvars" else ARGUMENTS[name].dims
        shape = batch + core_shape(dims, SMALL)
        tensors.append(ARGUMENTS[name].draw(shape, generator).to(dtype))
    return tensors


def _variants(line: dict[str, Any], dtype: torch.dtype) -> Iterator[list[Tensor]]:
    yield _arguments(line, dtype)
    yield _arguments(line, dtype, batch=(2,))
    if "logvars" in line["arguments"]:
        yield _arguments(line, dtype, isotropic=True)


def _results(line: dict[str, Any], tensors: Sequence[Tensor]) -> tuple[Tensor, ...]:
    results = getattr(torch.ops.pyvae, line["name"])(*tensors)
    return (results,) if isinstance(results, Tensor) else tuple(results)


def _backward_inputs(line: dict[str, Any], tensors: Sequence[Tensor]) -> list[Tensor]:
    results = _results(line, tensors)
    upstream = upstream_of(results[: len(results) - line["auxiliary"]])
    return [*upstream, *tensors, *(results if line["backward_uses_results"] else ())]


def test_the_case_table_reaches_every_registered_op() -> None:
    with _Recorder() as recorder:
        for case, size in product(TABLE, (SMALL, {**SMALL, "k": 128})):
            inputs = {k: v.requires_grad_() for k, v in case.draw(size, torch.float32).items()}
            outputs = case(**inputs)
            if case.differentiable:
                torch.autograd.backward(outputs, upstream_of(outputs))
    backward = {f"{line['name']}_backward" for line in LINES if line["differentiable"]}
    assert recorder.names == {line["name"] for line in LINES} | backward


@each_dtype
@each_line
def test_opcheck_forward(line: dict[str, Any], dtype: torch.dtype) -> None:
    op = getattr(torch.ops.pyvae, line["name"]).default
    for tensors in _variants(line, dtype):
        torch.library.opcheck(op, tuple(tensors), test_utils=QUICK)
        if line["differentiable"]:
            leaves = tuple(tensor.requires_grad_() for tensor in tensors)
            torch.library.opcheck(op, leaves, test_utils=QUICK)


@each_dtype
@each_differentiable
def test_opcheck_backward(line: dict[str, Any], dtype: torch.dtype) -> None:
    op = getattr(torch.ops.pyvae, f"{line['name']}_backward").default
    everything = (1 << len(line["arguments"])) - 1
    for tensors in _variants(line, dtype):
        inputs = _backward_inputs(line, tensors)
        for needs in (everything, 1, everything & ~1):
            torch.library.opcheck(op, (*inputs, needs), test_utils=QUICK)


@each_differentiable
def test_opcheck_of_tracing_with_dynamic_shapes(line: dict[str, Any]) -> None:
    """The slow part of opcheck, forward and backward, with gradients of both."""
    forward = getattr(torch.ops.pyvae, line["name"]).default
    tensors = _arguments(line, torch.float32)
    leaves = [tensor.clone().requires_grad_() for tensor in tensors]
    torch.library.opcheck(forward, tuple(leaves))
    backward = getattr(torch.ops.pyvae, f"{line['name']}_backward").default
    leaves = [tensor.detach().requires_grad_() for tensor in _backward_inputs(line, tensors)]
    torch.library.opcheck(backward, (*leaves, (1 << len(tensors)) - 1))


@each_dtype
@each_differentiable
def test_backward_computes_only_what_is_wanted(line: dict[str, Any], dtype: torch.dtype) -> None:
    op = getattr(torch.ops.pyvae, f"{line['name']}_backward")
    inputs = _backward_inputs(line, _arguments(line, dtype))
    count = len(line["arguments"])
    everything = op(*inputs, (1 << count) - 1)
    for index in range(count):
        alone = op(*inputs, 1 << index)
        torch.testing.assert_close(alone[index], everything[index])
        assert all(alone[other].numel() == 0 for other in range(count) if other != index)


@each_dtype
@each_line
def test_meta_tensors(line: dict[str, Any], dtype: torch.dtype) -> None:
    """Shapes without data, as models are built and exported on."""
    for batch in ((), (2, 3), (0,)):
        tensors = _arguments(line, dtype, batch=batch)
        want = _results(line, tensors)
        got = _results(line, [tensor.to("meta") for tensor in tensors])
        for have, truth in zip(got, want, strict=True):
            assert (have.shape, have.dtype, have.device.type) == (truth.shape, truth.dtype, "meta")


@each_dtype
@each_case
def test_public_ops_on_meta(case: OpCase, dtype: torch.dtype) -> None:
    inputs = case.draw(SMALL, dtype, batch=dict.fromkeys(case.arguments, (2, 3)))
    on_meta = {name: tensor.to("meta") for name, tensor in inputs.items()}
    for have, truth in zip(case(**on_meta), case(**inputs), strict=True):
        assert (have.shape, have.dtype, have.device.type) == (truth.shape, truth.dtype, "meta")


@each_line
def test_a_gpu_has_an_answer(line: dict[str, Any]) -> None:
    """Its kernels, or why there are none."""
    backward = [f"{line['name']}_backward"] if line["differentiable"] else []
    for name in (line["name"], *backward):
        assert torch._C._dispatch_has_kernel_for_dispatch_key(f"pyvae::{name}", "CUDA"), name


@each_line
def test_table_lines_are_complete(line: dict[str, Any]) -> None:
    inputs, outputs = line["signature"].split("->")
    assert inputs.count("(") == len(line["arguments"])
    assert outputs.count("(") == len(line["results"])
    schema = getattr(torch.ops.pyvae, line["name"]).default._schema
    assert [argument.name for argument in schema.arguments] == line["arguments"]


def test_results_have_names() -> None:
    case = next(case for case in TABLE if case.name == "mixture_posterior")
    result = case.op(**case.draw(SMALL, torch.float32))
    assert isinstance(result, ops.MixturePosterior)
    assert result._fields == ("log_posterior", "log_prob")
    case = next(case for case in TABLE if case.name == "mixture_elbo_terms[exact]")
    terms = case.op(**case.draw(SMALL, torch.float32))
    assert isinstance(terms, ops.MixtureElboTerms)
    assert terms._fields == ("expected_log_prob", "kl_z")
