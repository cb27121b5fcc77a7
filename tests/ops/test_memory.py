# SPDX-License-Identifier: MIT
"""Peak memory: no (N, K, D) tensor in any op, and no (N, K) tensor that is not a result."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.ops.cases import TILED_CASES, OpCase

SIZE = {"n": 32768, "k": 256, "d": 16}
SMALLER = {**SIZE, "n": 2048}  # for the reference, which does write the (N, K, D) tensor
FLOAT = 4
ROOT = Path(__file__).parents[2]

# A process of their own, whose peak nothing else raises.
_MEASURE = """
import json, sys, torch
from tests.ops.cases import TILED_CASES
from tests.ops.checks import gradients
from tests.memory import peak_growth

size, smaller = json.loads(sys.argv[1])
torch.set_num_threads(2)
found = {}
for case in TILED_CASES:
    large, small = case.draw(size, torch.float32), case.draw(smaller, torch.float32)
    gradients(case, small)
    found[case.name] = peak_growth(lambda: gradients(case, large))
    found[case.name + " reference"] = peak_growth(lambda: gradients(case.expected, small))
    shared = {name: tensor for name, tensor in large.items() if name in case.point_arguments()}
    batched = {name: tensor[:, :8] if name == "logits_q" else tensor[:8]
               for name, tensor in large.items() if name not in shared}
    batched = {name: tensor.expand(16, *tensor.shape).clone() for name, tensor in batched.items()}
    found[case.name + " batch"] = peak_growth(lambda: case(**shared, **batched))
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def growth() -> dict[str, int]:
    """Bytes that forward and backward of every case add to the process's peak."""
    command = [sys.executable, "-c", _MEASURE, json.dumps([SIZE, SMALLER])]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("case", TILED_CASES, ids=lambda case: case.name)
def test_peak_of_forward_and_backward(case: OpCase, growth: dict[str, int]) -> None:
    matrix = FLOAT * SIZE["n"] * SIZE["k"]  # 32 MiB; an (N, K, D) tensor would be 512 MiB
    points = FLOAT * SIZE["n"] * SIZE["d"]
    allowed = 4 * len(case.point_arguments()) * points + matrix // 4
    if case.outputs[0] == "n k":
        allowed += 4 * matrix  # the result, and its upstream in float64 and in float32
    if "logits_q" in case.arguments:
        allowed += matrix  # their gradient
    assert growth[case.name] < allowed


@pytest.mark.parametrize("case", TILED_CASES, ids=lambda case: case.name)
def test_the_measure_sees_the_tensor_of_the_reference(case: OpCase, growth: dict[str, int]) -> None:
    """Otherwise the test above would pass whatever the ops did."""
    assert growth[f"{case.name} reference"] > FLOAT * SMALLER["n"] * SMALLER["k"] * SMALLER["d"]


@pytest.mark.parametrize("case", TILED_CASES, ids=lambda case: case.name)
def test_broadcast_points_are_not_copied(case: OpCase, growth: dict[str, int]) -> None:
    """Sixteen small mixtures at the same points: room for the results, not for sixteen copies."""
    rows = FLOAT * 16 * SIZE["n"]
    results = rows * (9 if case.outputs[0] == "n k" else 3)
    assert growth[f"{case.name} batch"] < results + rows * SIZE["d"] // 4
