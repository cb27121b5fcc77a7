# SPDX-License-Identifier: MIT
"""Thousands of calls leave no memory behind."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
CALLS = 10_000
ALLOWED = 4 * 2**20  # 400 bytes a call: less than the scratch memory of any mixture op

# A process of its own, whose memory nothing else moves. A fifth of the calls go before, so that
# every case, size and thread has been met; `leak` keeps a copy of each gradient.
_MEASURE = """
import json, random, sys
import torch
from tests.ops.cases import CASES
from tests.ops.checks import gradients
from tests.memory import resident

calls, leak = json.loads(sys.argv[1])
dice, kept = random.Random(0), []

def call():
    case, dtype = dice.choice(CASES), dice.choice((torch.float32, torch.float64))
    size = {"n": dice.choice((1, 5, 64, 65)), "k": dice.choice((1, 9, 40)),
            "d": dice.choice((1, 8, 19))}
    if dice.randrange(100) == 0:  # some on two threads, which are slow to wake
        torch.set_num_threads(2)
        size["n"] = 500
    batch = {name: dice.choice(((), (2,))) for name in case.arguments}
    found = gradients(case, case.draw(size, dtype, batch=batch, seed=dice.randrange(100)))
    torch.set_num_threads(1)
    if leak:
        kept.extend(tensor.clone() for tensor in found.values())

for _ in range(calls // 5):
    call()
before = resident()
for _ in range(calls):
    call()
print(resident() - before)
"""


def growth(calls: int, *, leak: bool) -> int:
    command = [sys.executable, "-c", _MEASURE, json.dumps([calls, leak])]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


def test_memory_stays_where_it_is() -> None:
    assert growth(CALLS, leak=False) < ALLOWED


def test_the_measure_sees_a_leak() -> None:
    """A tenth of the calls, each of which keeps its gradients."""
    assert growth(CALLS // 10, leak=True) > ALLOWED
