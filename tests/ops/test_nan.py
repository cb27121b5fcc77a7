# SPDX-License-Identifier: MIT
"""A NaN of any payload and sign, in any argument, is NaN in what it belongs to, and only there.

What that is the reference says, whose NaN are those of the formulas and of the numerical contract.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from torch import Tensor

from pyvae import _C, ops
from tests.cuda import emulated
from tests.ops import devices, nans
from tests.ops.case import OpCase
from tests.ops.cases import CASES, TABLE, each_dtype
from tests.ops.checks import doubled, gradients, upstream_of
from tests.ops.draws import Size

every_device = pytest.mark.every_device
each_op = pytest.mark.parametrize("case", TABLE, ids=lambda case: case.name)
each_differentiable = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
PRIMITIVES = (
    "exp",
    "expm1",
    "exp_minus_tangent",
    "exp_of_gap",
    "exp_without_subnormals",
    "log",
    "gaussian_scale_kl_of_q",
    "gaussian_scale_kl_of_p",
)
SMALL: Size = {"n": 6, "k": 5, "d": 3}
SIZES = (SMALL, {"n": 21, "k": 35, "d": 9}, {"n": 70, "k": 40, "d": 19})
Place = tuple[str, tuple[int, ...]]


@contextmanager
def running(instruction_set: str) -> Iterator[None]:
    before = ops.build_info()["instruction_set"]
    _C.set_instruction_set(instruction_set)
    try:
        yield
    finally:
        _C.set_instruction_set(before)


@pytest.mark.parametrize("name", PRIMITIVES)
@each_dtype
@pytest.mark.parametrize("where", [*ops.build_info()["instruction_sets_supported"], "emulated"])
def test_primitives(name: str, dtype: torch.dtype, where: str) -> None:
    x = nans.array(dtype).numpy()
    if where == "emulated":
        assert np.isnan(emulated.evaluate(name, x)).all()
        return
    with running(where):
        assert np.isnan(_C.evaluate(name, x)).all()


@each_dtype
def test_the_emulation_computes_the_nan_of_a_gpu(dtype: torch.dtype) -> None:
    """Whatever comes in: a formula that looks at bits meets there what it would meet on a GPU."""
    x = nans.array(dtype)
    kind = {torch.float32: torch.int32, torch.float64: torch.int64}[dtype]
    found = torch.from_numpy(emulated.evaluate("exp", x.numpy())).view(kind)
    assert set(found.tolist()) == {nans.of_a_gpu(dtype)}


def places(case: OpCase, size: Size) -> Iterator[Place]:
    """One element of every argument; of a factor one on its diagonal, one below and one above."""
    for name, argument in case.arguments.items():
        dims = argument.dims.split()
        at = tuple(0 if dim == "1" else size[dim] // 2 for dim in dims)
        if dims[-2:] == ["d", "d"]:
            yield from ((name, (*at[:-2], *element)) for element in ((1, 1), (2, 1), (1, 2)))
        else:
            yield name, at


def draw(case: OpCase, size: Size, dtype: torch.dtype, dead: str) -> dict[str, Tensor]:
    """Ordinary inputs; of the components none, one, or the one that the NaN is in counts not."""
    inputs = case.draw(size, dtype)
    if "log_weights" in inputs:
        for k in {"none": (), "another": (0,), "its own": (0, size["k"] // 2)}[dead]:
            inputs["log_weights"][k] = -torch.inf
    return inputs


each_dead = pytest.mark.parametrize("dead", ["none", "another", "its own"])


def pattern_of(tensors: tuple[Tensor, ...]) -> list[Tensor]:
    return [tensor.isnan() for tensor in tensors]


def assert_pattern(got: tuple[Tensor, ...], want: list[Tensor], context: object) -> None:
    for index, (have, truth) in enumerate(zip(got, want, strict=True)):
        missing, extra = ~have.isnan() & truth, have.isnan() & ~truth
        assert not missing.any(), f"{context}: a number at {missing.nonzero()[0]} of {index}"
        assert not extra.any(), f"{context}: NaN at {extra.nonzero()[0]} of {index}"


@every_device
@each_dead
@each_dtype
@each_op
def test_values(case: OpCase, dtype: torch.dtype, dead: str) -> None:
    for size in devices.some(SIZES):
        inputs = draw(case, size, dtype, dead)
        for name, at in places(case, size):
            spoilt = {**inputs, name: nans.put(inputs[name], at, nans.of_a_gpu(dtype))}
            want = pattern_of(case.expected(**doubled(spoilt)))
            assert_pattern(case(**spoilt), want, f"{size}, NaN in {name}{list(at)}")


@every_device
@each_dead
@each_dtype
@each_differentiable
def test_gradients(case: OpCase, dtype: torch.dtype, dead: str) -> None:
    for size in devices.some(SIZES):
        inputs = draw(case, size, dtype, dead)
        upstream = upstream_of(case(**inputs))
        for name, at in places(case, size):
            spoilt = {**inputs, name: nans.put(inputs[name], at, nans.of_a_gpu(dtype))}
            got = gradients(case, spoilt, upstream)
            want = gradients(case.expected, doubled(spoilt), [t.double() for t in upstream])
            context = f"{size}, NaN in {name}{list(at)}, gradients of {list(got)}"
            assert_pattern(tuple(got.values()), pattern_of(tuple(want.values())), context)


@every_device
@each_dtype
@each_differentiable
def test_upstream_gradients(case: OpCase, dtype: torch.dtype) -> None:
    for size in devices.some(SIZES):
        inputs = draw(case, size, dtype, "another")
        upstream = list(upstream_of(case(**inputs)))
        for index, tensor in enumerate(upstream):
            at = tuple(extent // 2 for extent in tensor.shape)
            spoilt = [*upstream]
            spoilt[index] = nans.put(tensor, at, nans.of_a_gpu(dtype))
            got = gradients(case, inputs, spoilt)
            want = gradients(case.expected, doubled(inputs), [t.double() for t in spoilt])
            context = f"{size}, NaN upstream of {index}, gradients of {list(got)}"
            assert_pattern(tuple(got.values()), pattern_of(tuple(want.values())), context)


@every_device
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@each_op
def test_every_payload(case: OpCase, dtype: torch.dtype) -> None:
    """Of values and of gradients; of which one is taken, the others have just been seen."""
    inputs = case.draw(SMALL, dtype)
    upstream = upstream_of(case(**inputs))
    chosen = nans.payloads(dtype).items()
    for name, at in places(case, SMALL):
        spoilt = {**inputs, name: nans.put(inputs[name], at, nans.of_a_gpu(dtype))}
        want = pattern_of(case.expected(**doubled(spoilt)))
        by = None
        if case in CASES:
            by = gradients(case.expected, doubled(spoilt), [t.double() for t in upstream])
        for payload, bits in chosen:
            spoilt[name] = nans.put(inputs[name], at, bits)
            context = f"{payload} in {name}{list(at)}"
            assert_pattern(case(**spoilt), want, context)
            if by is not None:
                got = gradients(case, spoilt, upstream)
                assert_pattern(tuple(got.values()), pattern_of(tuple(by.values())), context)


@pytest.mark.parametrize("instruction_set", ops.build_info()["instruction_sets_supported"])
@each_dtype
@each_op
def test_instruction_sets(case: OpCase, dtype: torch.dtype, instruction_set: str) -> None:
    with running(instruction_set):
        for dead in ("none", "its own"):
            test_values(case, dtype, dead)
            if case in CASES:
                test_gradients(case, dtype, dead)
        test_every_payload(case, dtype)
