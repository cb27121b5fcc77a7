# SPDX-License-Identifier: MIT
"""The matrix products that take over from the CUDA kernels: in chunks, and from which size on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor

from pyvae.ops import _cuda, modes, products
from tests.ops import devices, test_statistics
from tests.ops.cases import CASES, STATISTICS_CASES, OpCase, each_dtype
from tests.ops.checks import check_case

CUDA = torch._C.DispatchKeySet(torch._C.DispatchKey.CUDA)
SIZES = ({"n": 37, "k": 11, "d": 5}, {"n": 3, "k": 40, "d": 2}, {"n": 200, "k": 2, "d": 9})


def taken_over(cases: tuple[OpCase, ...]) -> pytest.MarkDecorator:
    chosen = [case for case in cases if devices.has(devices.PRODUCTS, case.name)]
    return pytest.mark.parametrize("case", chosen, ids=lambda case: case.name)


@pytest.fixture(params=[1, 60, 700])
def _chunks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(products, "_CHUNK", request.param)
    with devices.running_on(devices.PRODUCTS):
        yield


@pytest.mark.usefixtures("_chunks")
@each_dtype
@taken_over(CASES)
def test_chunks(case: OpCase, dtype: torch.dtype) -> None:
    for size in SIZES:
        for batch in ((), (2,)):
            inputs = case.draw(size, dtype, batch=dict.fromkeys(case.arguments, batch))
            check_case(case, inputs, size)


@pytest.mark.usefixtures("_chunks")
@each_dtype
@taken_over(STATISTICS_CASES)
def test_chunks_of_sums(case: OpCase, dtype: torch.dtype) -> None:
    for size in SIZES:
        inputs = case.draw(size, dtype, batch=dict.fromkeys(case.arguments, (2,)))
        test_statistics.check(case, inputs, size)


@contextmanager
def tf32_is(precision: str) -> Iterator[None]:
    """Let products of float32 on a GPU be of that precision."""
    matmul = torch.backends.cuda.matmul
    before, matmul.fp32_precision = matmul.fp32_precision, precision
    try:
        yield
    finally:
        matmul.fp32_precision = before


@pytest.mark.filterwarnings("ignore:Warning only once for all operators")  # of `fused` below
def test_large_factors_are_handed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """The dispatcher is told that the tensors are on a GPU."""
    monkeypatch.setattr(_cuda, "MISSING", None)
    kernel = torch.ops.pyvae.gaussian_kl_tril.default
    seen: list[tuple[str, Any]] = []

    def noted(name: str) -> Any:
        def run(*inputs: Tensor) -> Tensor:
            seen.append((name, torch.backends.cuda.matmul.fp32_precision))
            return inputs[0].sum(-1)

        return run

    fused, handed = (torch.library.Library("pyvae", "IMPL") for _ in range(2))
    try:
        fused.impl(kernel, noted("fused"), "CUDA")
        _cuda.hand_over(kernel, noted("large"), 2, 9, handed)
        with tf32_is("tf32"):
            for d in (1, 9, 10):
                kernel.redispatch(CUDA, *(torch.zeros(3, d), torch.zeros(3, d, d)) * 2)
    finally:
        handed._destroy()
        fused._destroy()
    assert seen == [("fused", "tf32"), ("fused", "tf32"), ("large", "ieee")]


@pytest.mark.parametrize("precision", ["none", "ieee", "tf32"])
def test_full_precision(precision: str) -> None:
    """Neither autocast nor TF32, until the last of those who ask for it has left."""
    matmul = torch.backends.cuda.matmul
    with tf32_is(precision), torch.autocast("cpu"):
        with modes.full_precision("cpu"):
            with modes.full_precision("cpu"):
                assert not modes.is_casting(torch.ones(1))
            assert matmul.fp32_precision != "tf32"
        assert modes.is_casting(torch.ones(1))
        assert matmul.fp32_precision == precision
