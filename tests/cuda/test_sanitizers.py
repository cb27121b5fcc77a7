# SPDX-License-Identifier: MIT
"""The CUDA kernels on the emulated device, without torch, under the compiler's sanitizers.

AddressSanitizer and UndefinedBehaviorSanitizer over the tables of the ops, the threads of a block
taken forward and in reverse; ThreadSanitizer over a few sizes of each.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from pyvae import _C
from tests.building import build, run
from tests.cuda.emulated import FOLDER

pytestmark = pytest.mark.slow
SANITIZERS = ("address,undefined", "thread")
OPS = [line["name"] for line in _C.op_table()]
WRONG = "wrong numbers"

# What each planted bug must be reported as: by the emulation or, under its name, by a sanitizer.
BUGS = {
    "no barrier before reading ahead": {None: f"forward: {WRONG}", "thread": "data race"},
    "no barrier before reading behind": {None: f"reverse: {WRONG}", "thread": "data race"},
    "no barrier before rewriting": {None: WRONG, "thread": "data race"},
    "no barrier of the warp before reading": {None: WRONG, "thread": "data race"},
    "no barrier of the warp before rewriting": {None: WRONG, "thread": "data race"},
    "shared memory not filled": {None: WRONG},
    "exit before a barrier": {None: "has left the kernel before the barrier at"},
    "different barriers": {None: "wait at different barriers"},
    "uneven loops": {None: "wait at different barriers"},
    "shuffle with a lane that left": {None: "with lane 16, which has left the kernel"},
    "shuffle that does not name its caller": {None: "with a mask that does not name it"},
    "shuffle from a lane not named": {None: "reads lane 1 at"},
    "too little shared memory": {None: "bytes of shared memory and was launched with"},
    "overrun of global memory": {"address": "heap-buffer-overflow"},
    "overrun of shared memory": {"address": "heap-buffer-overflow", "thread": "data race"},
    "misaligned": {"undefined": "misaligned address"},
    "race with right numbers": {"thread": "data race"},
    "copies that nobody waits for": {None: WRONG},
    "product with a lane that left": {None: "with lane 16, which has left the kernel"},
    "product of other rows": {None: WRONG},
}


@pytest.fixture(scope="module", params=SANITIZERS)
def sanitizers(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def folder(sanitizers: str) -> Path:
    return build(FOLDER, f"cuda/{sanitizers}", PYVAE_SANITIZE=sanitizers)


@pytest.mark.parametrize("op", OPS)
def test_op(folder: Path, op: str) -> None:
    """The values are those of the CPU, in either order of the threads, by every kernel."""
    done = run(folder / "stress", op)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{op}: " in done.stdout


def test_the_driver_holds_every_op(folder: Path) -> None:
    assert run(folder / "stress", "--list").stdout.split() == OPS


@pytest.mark.parametrize("bug", BUGS)
def test_a_planted_bug_is_found(folder: Path, sanitizers: str, bug: str) -> None:
    watching = [None, *sanitizers.split(",")]
    reports = [text for name, text in BUGS[bug].items() if name in watching]
    done = run(folder / "planted", bug)
    if not reports:  # another sanitizer's business
        return
    assert done.returncode != 0
    assert any(report in done.stdout + done.stderr for report in reports)
    if "thread" in BUGS[bug] and sanitizers == "thread":
        assert "data race" in done.stderr


def test_no_bug_is_found_where_none_is(folder: Path) -> None:
    done = run(folder / "planted", "nothing")
    assert done.returncode == 0, done.stdout + done.stderr
