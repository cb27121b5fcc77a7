# SPDX-License-Identifier: MIT
"""The CUDA kernels compile for the GPUs they are meant for, and what ptxas tells of them."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
import torch

from tests.building import ROOT, build

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not shutil.which("nvcc") and not Path("/usr/local/cuda/bin/nvcc").exists(),
        reason="nvcc is not installed",
    ),
]
ARCHITECTURES = ("sm_80", "sm_90")


class Resources(NamedTuple):
    """What one kernel takes on one architecture."""

    kernel: str
    architecture: str
    stack: int
    stores: int
    loads: int
    registers: int


@pytest.fixture(scope="module")
def folder() -> Path:
    """Build the library, every warning an error, as the first of the workers; minutes at first."""
    pybind11 = pytest.importorskip("pybind11", reason="pybind11 is not installed")
    return build(
        ROOT,
        "cuda/nvcc",
        "pyvae_cuda",
        PYVAE_CUDA="ON",
        PYVAE_WERROR="ON",
        PYVAE_TORCH_DIR=torch.__path__[0],
        CMAKE_CUDA_ARCHITECTURES="80-real;90",
        pybind11_DIR=pybind11.get_cmake_dir(),
        Python_EXECUTABLE=sys.executable,
    )


@pytest.fixture(scope="module")
def library(folder: Path) -> Path:
    return folder / "libpyvae_cuda.so"


@pytest.fixture(scope="module")
def report(folder: Path) -> list[Resources]:
    return list(resources((folder / "cuda-resources.txt").read_text()))


def output_of(*command: str | Path, given: str = "") -> str:
    done = subprocess.run(command, check=True, capture_output=True, text=True, input=given)
    return done.stdout


def resources(text: str) -> Iterator[Resources]:
    """Read ptxas: the line of a kernel, then of its stack and spills, then of its registers."""
    entry = re.compile(
        r"Compiling entry function '(\w+)' for '(\w+)'\n"
        r"(?:ptxas info +: \(C.*\n)*"  # remarks
        r"ptxas info +: Function properties for \1\n"
        r" +(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads\n"
        r"ptxas info +: Used (\d+) registers"
    )
    found = entry.findall(text)
    assert len(found) == text.count("Compiling entry function"), "ptxas tells it otherwise now"
    names = output_of("c++filt", given="\n".join(row[0] for row in found)).splitlines()
    for name, row in zip(names, found, strict=True):
        yield Resources(name, row[1], *map(int, row[2:]))


def test_there_is_code_for_every_architecture(report: list[Resources]) -> None:
    kernels = [
        {line.kernel for line in report if line.architecture == architecture}
        for architecture in ARCHITECTURES
    ]
    assert {line.architecture for line in report} == set(ARCHITECTURES)
    assert kernels[0] == kernels[1]
    assert len(kernels[0]) > 1


def test_no_kernel_spills(report: list[Resources]) -> None:
    assert [line for line in report if line.stores or line.loads] == []


def test_no_kernel_keeps_numbers_on_the_stack(report: list[Resources]) -> None:
    """An array that is indexed by a variable lies there, in memory, and not in registers."""
    assert [line for line in report if line.stack] == []


def test_the_report_is_read(folder: Path) -> None:
    """Otherwise nothing would show that a spill would be found."""
    text = (folder / "cuda-resources.txt").read_text()
    spilling = text.replace("0 bytes spill stores", "8 bytes spill stores", 1)
    assert len([line for line in resources(spilling) if line.stores]) == 1


def test_the_library_is_loaded_by_any_torch(library: Path) -> None:
    """Not linked against what only a torch with CUDA has, nor against a CUDA runtime of its own."""
    dynamic = output_of("readelf", "-d", library)
    assert not re.search("RPATH|RUNPATH", dynamic)
    needed = re.findall(r"NEEDED.*\[(.+)\]", dynamic)
    assert [n for n in needed if re.search("torch|c10|cuda|nv", n)] == ["libtorch_cpu.so"]
    # In a process of its own, where the ops are not to be had from it afterwards.
    code = f"import torch; torch.ops.load_library({str(library)!r})"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_no_unstable_symbols_of_torch(library: Path) -> None:
    lines = output_of("nm", "-C", "-D", "--undefined-only", library).splitlines()
    symbols = [line.split(maxsplit=1)[-1] for line in lines]
    assert any(symbol.startswith("aoti_torch_") for symbol in symbols)
    assert [s for s in symbols if re.search(r"\b(at|c10|caffe2|torch)::|cuda|^cu[A-Z]", s)] == [
        "aoti_torch_device_type_cuda"
    ]


def test_the_cuda_runtime_stays_inside(library: Path) -> None:
    """torch's own may be another, and must not be mistaken for it."""
    exported = output_of("nm", "-D", "--defined-only", library)
    assert not re.search(r" \w _*cu(da)?[A-Z]", exported)
