# SPDX-License-Identifier: MIT
"""What a run measures: the processor or a GPU, with its clock, its memory and its facts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from benchmarks import machine
from pyvae import ops
from tests import memory


class Device:
    """The processor.

    Attributes
    ----------
    name
        As torch calls it.
    memory_limit
        Bytes of the largest tensor that a variant may write.
    """

    name = "cpu"
    memory_limit = 2**31

    def facts(self) -> dict[str, Any]:
        """Name the device, its instructions and its system."""
        return machine.machine()

    def wait(self) -> None:
        """Return when everything that was asked for has been done."""

    def peak_growth(self, call: Callable[[], object]) -> int:
        """Bytes by which a call raises the peak of the memory in use; its results count."""
        return memory.peak_growth(call)

    def release(self) -> None:
        """Give back memory that is kept for later calls."""


class Gpu(Device):
    """torch's current CUDA device.

    Raises
    ------
    ValueError
        If there is none that torch and pyvae can use.
    """

    name = "cuda"
    memory_limit = 2**33

    def __init__(self) -> None:
        if not torch.cuda.is_available():
            raise ValueError(
                "--device cuda: torch finds no CUDA device; leave it out to measure the processor"
            )
        if ops.CUDA_MISSING:
            raise ValueError(f"--device cuda: pyvae has no CUDA kernels {ops.CUDA_MISSING}")

    def facts(self) -> dict[str, Any]:
        """Name the GPU, its architecture and the system."""
        major, minor = torch.cuda.get_device_capability()
        host = super().facts()
        return {
            **host,
            "device": self.name,
            "host": host["processor"],
            "processor": torch.cuda.get_device_name(),
            "instruction_set": f"sm_{major}{minor}",
        }

    def wait(self) -> None:
        """As of :class:`Device`."""
        torch.cuda.synchronize()

    def peak_growth(self, call: Callable[[], object]) -> int:
        """As of :class:`Device`, told by torch's allocator."""
        self.wait()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        call()
        self.wait()
        return torch.cuda.max_memory_allocated() - before

    def release(self) -> None:
        """As of :class:`Device`."""
        torch.cuda.empty_cache()


def device_of(name: str) -> Device:
    """Give the device of a name, "cpu" or "cuda"."""
    return Gpu() if name == Gpu.name else Device()
