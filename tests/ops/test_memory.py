# SPDX-License-Identifier: MIT
"""Peak memory: no (N, K, D) tensor in any op, and no (N, K) tensor that is not a result."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.ops.cases import MIXTURE_CASES, OpCase

SIZE = {"n": 32768, "k": 256, "d": 16}
SMALLER = {**SIZE, "n": 2048}  # for the reference, which does write the (N, K, D) tensor
FLOAT = 4

# One process for all. Linux tells its high-water mark in /proc and resets it on request, so that
# what came before does not hide what a call takes; macOS has only getrusage, which never falls.
_MEASURE = """
import gc, json, os, resource, sys
import torch
from tests.ops.cases import MIXTURE_CASES
from tests.ops.checks import gradients

def reset():
    gc.collect()
    if os.path.exists("/proc/self/clear_refs"):
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")

def peak():
    if os.path.exists("/proc/self/status"):
        line = next(l for l in open("/proc/self/status") if l.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

def growth(function, inputs):
    reset()
    before = peak()
    gradients(function, inputs)
    return peak() - before

size, smaller = json.loads(sys.argv[1])
torch.set_num_threads(2)
found = {}
for case in MIXTURE_CASES:
    small = case.draw(smaller, torch.float32)
    gradients(case, small)
    found[case.name] = growth(case, case.draw(size, torch.float32))
    found[case.name + " reference"] = growth(case.expected, small)
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def growth() -> dict[str, int]:
    """Bytes that forward and backward of every case add to the process's peak."""
    command = [sys.executable, "-c", _MEASURE, json.dumps([SIZE, SMALLER])]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("case", MIXTURE_CASES, ids=lambda case: case.name)
def test_peak_of_forward_and_backward(case: OpCase, growth: dict[str, int]) -> None:
    matrix = FLOAT * SIZE["n"] * SIZE["k"]  # 32 MiB; an (N, K, D) tensor would be 512 MiB
    points = FLOAT * SIZE["n"] * SIZE["d"]
    allowed = 4 * len(case.point_arguments()) * points + matrix // 4
    if case.outputs[0] == "n k":
        allowed += 4 * matrix  # the result, and its upstream in float64 and in float32
    if "logits_q" in case.arguments:
        allowed += matrix  # their gradient
    assert growth[case.name] < allowed


@pytest.mark.parametrize("case", MIXTURE_CASES, ids=lambda case: case.name)
def test_the_measure_sees_the_tensor_of_the_reference(case: OpCase, growth: dict[str, int]) -> None:
    """Otherwise the test above would pass whatever the ops did."""
    assert growth[f"{case.name} reference"] > FLOAT * SMALLER["n"] * SMALLER["k"] * SMALLER["d"]
