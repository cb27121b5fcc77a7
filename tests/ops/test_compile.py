# SPDX-License-Identifier: MIT
"""torch.compile: full graphs, dynamic shapes, no recompilation, and the same bits as eager."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor

from tests.ops.cases import CASES, OpCase, each_case, each_dtype
from tests.ops.checks import assert_gradients, assert_values, check_case, doubled, gradients

# torch.compile and export warn about their own internals.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")

SIZES = (
    {"n": 6, "k": 5, "d": 3},
    {"n": 17, "k": 9, "d": 4},
    {"n": 40, "k": 33, "d": 11},
)
BASIC = (
    "gaussian_kl",
    "gaussian_kl_pairwise",
    "gaussian_kl_tril",
    "mixture_log_prob",
    "mixture_posterior",
    "mixture_elbo_terms[exact]",
)


@pytest.fixture(autouse=True)
def _fresh_compiler() -> Iterator[None]:
    torch.compiler.reset()
    yield
    torch.compiler.reset()


def _surrounded(case: OpCase, inputs: dict[str, Tensor]) -> tuple[Tensor, ...]:
    """The op amid others, as in a model's loss, so that the compiler has something to fuse."""
    scaled = {name: tensor * 1.0 + 0.0 for name, tensor in inputs.items()}
    return tuple(2.0 * result for result in case(**scaled))


def _check(case: OpCase, function: Callable, inputs: dict[str, Tensor]) -> None:
    got = function(inputs)
    want = tuple(2.0 * tensor for tensor in case.expected(**doubled(inputs)))
    rtol = 2 * case.rtol[got[0].dtype]
    assert_values(got, want, rtol, f"of compiled {case.name}")
    upstream = [torch.ones_like(tensor) for tensor in got]
    have = gradients(lambda **i: function(i), inputs, upstream)
    truth = gradients(lambda **i: _surrounded(case, i), inputs, upstream)
    assert_gradients(have, truth, rtol, f"compiled {case.name}")


@each_dtype
@each_case
def test_full_graph_with_dynamic_shapes(case: OpCase, dtype: torch.dtype) -> None:
    """One graph for all sizes; a second compilation is an error."""
    compiled = torch.compile(
        lambda inputs: _surrounded(case, inputs), fullgraph=True, dynamic=True, backend="aot_eager"
    )
    _check(case, compiled, case.draw(SIZES[0], dtype))
    with torch._dynamo.config.patch(error_on_recompile=True):
        for size in SIZES[1:]:
            _check(case, compiled, case.draw(size, dtype))


# One form of every op, since each takes a C++ compiler seconds.
INDUCTOR = [(case, torch.float32) for case in CASES if case.name in BASIC]
INDUCTOR.append((INDUCTOR[1][0], torch.float64))


@pytest.mark.parametrize(
    ("case", "dtype"), INDUCTOR, ids=lambda value: getattr(value, "name", None)
)
def test_inductor(case: OpCase, dtype: torch.dtype) -> None:
    """The default back end, which generates C++ around the op."""
    compiled = torch.compile(lambda inputs: _surrounded(case, inputs), fullgraph=True, dynamic=True)
    for size in SIZES[:2]:
        _check(case, compiled, case.draw(size, dtype))


@each_case
def test_static_shapes_and_batches(case: OpCase) -> None:
    compiled = torch.compile(
        lambda inputs: _surrounded(case, inputs), fullgraph=True, dynamic=False, backend="aot_eager"
    )
    dtype = torch.float64
    _check(case, compiled, case.draw(SIZES[0], dtype))
    batch = {name: ((2, 1), (3,), ())[i % 3] for i, name in enumerate(case.arguments)}
    _check(case, compiled, case.draw(SIZES[0], dtype, batch=batch))


@each_case
def test_autocast_inside(case: OpCase) -> None:
    @torch.compile(fullgraph=True, backend="aot_eager")
    def function(inputs: dict[str, Tensor]) -> tuple[Tensor, ...]:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return case(**inputs)

    inputs = case.draw(SIZES[0], torch.bfloat16)
    want = case(**{name: tensor.float() for name, tensor in inputs.items()})
    for have, truth in zip(function(inputs), want, strict=True):
        assert have.dtype == torch.float32
        torch.testing.assert_close(have, truth)


@each_case
def test_export(case: OpCase) -> None:
    """torch.export sees the ops as they are, and the program runs."""

    class Model(torch.nn.Module):
        def forward(self, inputs: dict[str, Tensor]) -> tuple[Tensor, ...]:
            return case(**inputs)

    inputs = case.draw(SIZES[0], torch.float64)
    program = torch.export.export(Model(), (inputs,))
    for have, truth in zip(program.module()(inputs), case(**inputs), strict=True):
        assert torch.equal(have, truth)


@each_dtype
def test_eager_after_compile(dtype: torch.dtype) -> None:
    """Compiling leaves nothing behind that changes eager calls."""
    case = CASES[2]
    torch.compile(lambda inputs: case(**inputs), backend="aot_eager")(case.draw(SIZES[0], dtype))
    check_case(case, case.draw(SIZES[1], dtype))
