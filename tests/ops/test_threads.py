# SPDX-License-Identifier: MIT
"""Threads: torch's number is respected, results are right with any, and repeat bit for bit."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import pytest
import torch
from torch import Tensor

from tests.ops.cases import OpCase, each_case, each_dtype
from tests.ops.checks import check_case, gradients

LARGE = {"n": 1500, "k": 70, "d": 13}  # enough for several tasks of points and of components


def _everything(case: OpCase, inputs: dict[str, Tensor]) -> list[Tensor]:
    return [*case(**inputs), *gradients(case, inputs).values()]


@pytest.mark.parametrize("threads", [1, 2])
@each_dtype
@each_case
def test_same_bits_twice(case: OpCase, dtype: torch.dtype, threads: int) -> None:
    torch.set_num_threads(threads)
    inputs = case.draw(LARGE, dtype)
    first = _everything(case, inputs)
    for _ in range(2):
        for have, before in zip(_everything(case, inputs), first, strict=True):
            assert torch.equal(have, before)


@pytest.mark.parametrize("threads", [2, 3])
@each_dtype
@each_case
def test_values_and_gradients(case: OpCase, dtype: torch.dtype, threads: int) -> None:
    torch.set_num_threads(threads)
    check_case(case, case.draw(LARGE, dtype), f"{LARGE} with {threads} threads")


@each_dtype
@each_case
def test_many_small_problems(case: OpCase, dtype: torch.dtype) -> None:
    """A batch of problems is split over threads too."""
    torch.set_num_threads(2)
    batch = dict.fromkeys(case.arguments, (40,))
    inputs = case.draw({"n": 5, "k": 7, "d": 3}, dtype, batch=batch)
    check_case(case, inputs, "in a batch of 40")
    first = _everything(case, inputs)
    for have, before in zip(_everything(case, inputs), first, strict=True):
        assert torch.equal(have, before)


@each_dtype
@each_case
def test_calls_from_several_threads_at_once(case: OpCase, dtype: torch.dtype) -> None:
    inputs = case.draw({"n": 60, "k": 20, "d": 9}, dtype)
    want = _everything(case, inputs)
    wrong: list[int] = []

    def work(index: int) -> None:
        for _ in range(5):
            got = _everything(case, inputs)
            if not all(torch.equal(a, b) for a, b in zip(got, want, strict=True)):
                wrong.append(index)

    workers = [threading.Thread(target=work, args=(index,)) for index in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not wrong


# Processor seconds a wall second: a kernel with threads of its own would use two with torch at one.
_LOAD = """
import sys, time, torch
from pyvae import ops
torch.set_num_threads(1)
x, means = torch.randn(20000, 16), torch.randn(128, 16).requires_grad_()
weights, logvars = torch.zeros(128), torch.zeros(128, 16)
ops.mixture_log_prob(x, weights, means, logvars).sum().backward()
wall, processor = time.perf_counter(), time.process_time()
while time.perf_counter() - wall < 0.5:
    ops.mixture_log_prob(x, weights, means, logvars).sum().backward()
print((time.process_time() - processor) / (time.perf_counter() - wall))
"""


def test_one_thread_means_one() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _LOAD], env=os.environ, capture_output=True, text=True, check=True
    )
    assert float(done.stdout) < 1.2
