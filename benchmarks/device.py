# SPDX-License-Identifier: MIT
"""What a run measures, the processor or a GPU: its facts, its clock, its memory, its other load.

No host name and no path.
"""

from __future__ import annotations

import os
import platform
import re
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from benchmarks.timing import STEADY, Effort
from pyvae import ops
from pyvae.errors import WrongValue
from tests.memory import peak_growth

_PACKAGES = (
    "pyvae", "torch", "numpy", "scikit-learn", "jax", "pykeops", "stepmix", "studenttmixture"
)  # fmt: skip
_STAT = Path("/proc/stat")
_IDLE = (3, 4)  # the columns of /proc/stat that nobody worked in: idle, and waiting for a disk
_GUEST = 8  # from here on, what the columns before count already


@dataclass(frozen=True)
class Device:
    """The processor, or a GPU."""

    name: str  # as torch calls it
    memory_limit: int  # bytes of the largest tensor that a variant may write
    memory: str  # whose peak is taken, as the document says it
    facts: Callable[[], dict[str, Any]]  # names it, its instructions and the system
    wait: Callable[[], None]  # until everything that was asked for has been done
    peak_growth: Callable[[Callable[[], object]], int]  # bytes; a call's results count
    release: Callable[[], None]  # gives back memory that is kept for later calls
    effort: Effort = field(default_factory=Effort)  # for steady medians
    unseen: tuple[str, ...] = ()  # runtimes whose memory is not in that peak


def machine() -> dict[str, Any]:
    """Describe the processor and the instruction set in use."""
    return {
        "processor": _processor(),
        "instruction_set": ops.build_info()["instruction_set"],
        "system": f"{platform.system()} {platform.machine()}",
    }


def software() -> dict[str, str]:
    """Give the versions of everything that takes turns."""
    found = {"python": platform.python_version(), "compiler": ops.build_info()["compiler"]}
    for package in _PACKAGES:
        name = "KeOps" if package == "pykeops" else package
        try:
            found[name] = version(package)
        except PackageNotFoundError:
            found[name] = "not installed"
    found["torch"] = torch.__version__
    return found


def file_name(facts: dict[str, Any]) -> str:
    """Name a machine for its file of results: processor and instruction set."""
    text = f"{facts['processor']} {facts['instruction_set']}".lower()
    return re.sub(r"[^a-z0-9]+", "-", re.sub(r"\((r|tm)\)", "", text)).strip("-")


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        found = re.search(r"^model name\s*:\s*(.+)$", info.read_text(), re.MULTILINE)
        if found:
            return found[1].strip()
    if platform.system() == "Darwin":
        command = ["sysctl", "-n", "machdep.cpu.brand_string"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode == 0:
            return done.stdout.strip()
    return platform.processor() or platform.machine()


def _gpu_facts() -> dict[str, Any]:
    major, minor = torch.cuda.get_device_capability()
    host = machine()
    return {
        **host,
        "device": "cuda",
        "host": host["processor"],
        "processor": torch.cuda.get_device_name(),
        "instruction_set": f"sm_{major}{minor}",
    }


def _gpu_peak_growth(call: Callable[[], object]) -> int:
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    call()
    torch.cuda.synchronize()
    return torch.cuda.max_memory_allocated() - before


CPU = Device("cpu", 2**31, "the process", machine, lambda: None, peak_growth, lambda: None)
GPU = Device(
    "cuda", 2**33, "torch's allocator", _gpu_facts, torch.cuda.synchronize, _gpu_peak_growth,
    torch.cuda.empty_cache, STEADY, ("jax",),
)  # fmt: skip
DEVICES = {device.name: device for device in (CPU, GPU)}


def device_of(name: str) -> Device:
    """Give the device of a name, "cpu" or "cuda".

    Raises
    ------
    ValueError
        If it is a GPU, and there is none that torch and pyvae can use.
    """
    if name == GPU.name and not torch.cuda.is_available():
        raise WrongValue(
            "--device cuda: torch finds no CUDA device; leave it out to measure the processor"
        )
    if name == GPU.name and ops.CUDA_MISSING:
        raise WrongValue(f"--device cuda: pyvae has no CUDA kernels {ops.CUDA_MISSING}")
    return DEVICES[name]


class Load:
    """How much of the machine others took: times measured beside them prove little.

    It watches from its making on; Linux only, elsewhere nothing is known.
    """

    def __init__(self) -> None:
        self._started, self._busy, self._own = time.perf_counter(), _busy(), _own()

    def cores(self) -> float | None:
        """Give the cores that others kept busy on average, those of the machine's host included."""
        busy, elapsed = _busy(), time.perf_counter() - self._started
        if busy is None or self._busy is None or elapsed <= 0:
            return None
        return max(0.0, (busy - self._busy - _own() + self._own) / elapsed)


def _busy() -> float | None:
    """Seconds of all cores that were not idle, since the machine started."""
    if not _STAT.exists():
        return None
    ticks = [int(field) for field in _STAT.read_text().splitlines()[0].split()[1:]][:_GUEST]
    worked = sum(count for column, count in enumerate(ticks) if column not in _IDLE)
    return worked / os.sysconf("SC_CLK_TCK")


def _own() -> float:
    """Seconds of this process and of its children, compilers among them, that have ended."""
    return sum(os.times()[:4])
