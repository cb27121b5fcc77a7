# SPDX-License-Identifier: MIT
"""The kernels without torch, under the compiler's sanitizers.

AddressSanitizer and UndefinedBehaviorSanitizer by default; ``make sanitize`` adds ThreadSanitizer.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pyvae import _C

ROOT = Path(__file__).parents[2]
SANITIZERS = os.environ.get("PYVAE_SANITIZERS", "address,undefined").split()
OPS = [line["name"] for line in _C.op_table()]
# The build tools stand beside the interpreter, which need not be on the path.
PATH = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
ENVIRONMENT = {
    **os.environ,
    "PATH": PATH,
    # Kernels take memory from their caller, and a search for leaks needs rights that few have.
    "ASAN_OPTIONS": "detect_leaks=0",
    "UBSAN_OPTIONS": "print_stacktrace=1",
}


def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=False)


def skip_without_tools(sanitizers: str, folder: Path) -> None:
    for tool in ("cmake", "ninja"):
        if not shutil.which(tool, path=PATH):
            pytest.skip(f"{tool} is not installed; type `pip install cmake ninja`")
    compiler = os.environ.get("CXX", "c++")
    source, program = folder / "probe.cpp", folder / "probe"
    source.write_text("int main() { return 0; }\n")
    built = run(compiler, f"-fsanitize={sanitizers}", source, "-o", program)
    if built.returncode:
        pytest.skip(f"{compiler} cannot link -fsanitize={sanitizers}: {built.stderr.strip()}")
    started = run(program)
    if started.returncode:
        pytest.skip(f"-fsanitize={sanitizers} does not start here: {started.stderr.strip()}")


@pytest.fixture(scope="module", params=SANITIZERS)
def sanitizers(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def driver(sanitizers: str) -> Path:
    """Build what changed since the last run; of several pytest workers, the first does."""
    folder = ROOT / ".cache" / "native" / sanitizers
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        skip_without_tools(sanitizers, folder)
        options = {
            "PYVAE_SANITIZE": sanitizers,
            "PYVAE_WERROR": os.environ.get("WERROR", "OFF"),
            "SKBUILD_PROJECT_VERSION": "0",
            "CMAKE_BUILD_TYPE": "Release",
        }
        definitions = [f"-D{name}={value}" for name, value in options.items()]
        for command in (
            ["cmake", "-G", "Ninja", "-S", ROOT, "-B", folder, *definitions],
            ["cmake", "--build", folder],
        ):
            done = run(*command)
            assert done.returncode == 0, done.stdout + done.stderr
    return folder / "stress"


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
