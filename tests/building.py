# SPDX-License-Identifier: MIT
"""Programs and libraries that the tests compile for themselves."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CACHE = ROOT / ".cache"
# The build tools stand beside the interpreter, which need not be on the path.
PATH = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
ENVIRONMENT = {
    **os.environ,
    "PATH": PATH,
    # Kernels take memory from their caller, and a search for leaks needs rights that few have.
    "ASAN_OPTIONS": "detect_leaks=0",
    "UBSAN_OPTIONS": "print_stacktrace=1",
}


def run(*command: str | Path, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {**ENVIRONMENT, **variables}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def build(source: Path, name: str, *targets: str, **options: str) -> Path:
    """Build what changed since the last run, in the folder returned.

    Of several pytest workers the first does it. Skips the test where the tools are missing, or the
    sources: the tests of a wheel run away from them.
    """
    if not (ROOT / "csrc").is_dir():
        pytest.skip("the kernels' sources are not beside the tests")
    folder = CACHE / name
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        _skip_without_tools(options.get("PYVAE_SANITIZE", ""), folder)
        options = {
            "PYVAE_WERROR": os.environ.get("WERROR", "OFF"),
            "SKBUILD_PROJECT_VERSION": "0",
            "CMAKE_BUILD_TYPE": "Release",
            **options,
        }
        definitions = [f"-D{option}={value}" for option, value in options.items()]
        chosen = [f"--target={target}" for target in targets]
        for command in (
            ["cmake", "-G", "Ninja", "-S", source, "-B", folder, *definitions],
            ["cmake", "--build", folder, *chosen],
        ):
            done = run(*command)
            assert done.returncode == 0, done.stdout + done.stderr
    return folder


def _skip_without_tools(sanitizers: str, folder: Path) -> None:
    for tool in ("cmake", "ninja"):
        if not shutil.which(tool, path=PATH):
            pytest.skip(f"{tool} is not installed; type `pip install cmake ninja`")
    compiler = os.environ.get("CXX", "c++")
    source, program = folder / "probe.cpp", folder / "probe"
    source.write_text("int main() { return 0; }\n")
    flags = [f"-fsanitize={sanitizers}"] if sanitizers else []
    built = run(compiler, *flags, source, "-o", program)
    if built.returncode:
        pytest.skip(f"{compiler} cannot link {' '.join(flags)}: {built.stderr.strip()}")
    started = run(program)
    if started.returncode:
        pytest.skip(f"{' '.join(flags)} does not start here: {started.stderr.strip()}")
