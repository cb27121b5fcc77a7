# SPDX-License-Identifier: MIT
"""The kernels without torch, under the compiler's sanitizers.

AddressSanitizer and UndefinedBehaviorSanitizer by default; ``make sanitize`` adds ThreadSanitizer.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pyvae import _C
from tests.building import ROOT, build, run

pytestmark = pytest.mark.slow
SANITIZERS = os.environ.get("PYVAE_SANITIZERS", "address,undefined").split()
OPS = [line["name"] for line in _C.op_table()]


@pytest.fixture(scope="module", params=SANITIZERS)
def sanitizers(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def driver(sanitizers: str) -> Path:
    return build(ROOT, f"native/{sanitizers}", PYVAE_SANITIZE=sanitizers) / "stress"


@pytest.mark.parametrize("op", OPS)
def test_op(driver: Path, op: str) -> None:
    """Every size, layout, thread count and hard value, on every instruction set."""
    done = run(driver, op)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{op}: " in done.stdout


def test_the_driver_holds_every_op(driver: Path) -> None:
    assert run(driver, "--list").stdout.split() == OPS


# What each planted bug must be reported as; where the key is None, by the driver's own checks.
BUGS = {
    "overrun": {"address": "heap-buffer-overflow", None: "memory beside y was overwritten"},
    "overflow": {"undefined": "signed integer overflow"},
    "race": {"thread": "data race"},
    "unwritten": {None: "y was not written in full"},
    "disagreement": {None: "result 0 at 0"},
}


@pytest.mark.parametrize("bug", BUGS)
def test_a_planted_bug_is_found(driver: Path, sanitizers: str, bug: str) -> None:
    """Otherwise nothing would show that the sanitizers are on and the checks are made."""
    reports = [text for name, text in BUGS[bug].items() if name and name in sanitizers]
    reports = reports or [text for name, text in BUGS[bug].items() if name is None]
    done = run(driver, "--plant", bug)
    if not reports:  # another sanitizer's business
        return
    assert done.returncode != 0
    assert reports[0] in done.stdout + done.stderr


def test_no_bug_is_found_where_none_is(driver: Path) -> None:
    done = run(driver, "--plant", "nothing")
    assert done.returncode == 0, done.stdout + done.stderr
