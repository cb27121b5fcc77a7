# SPDX-License-Identifier: MIT
"""What a run measures: the processor or a GPU, with its clock, its memory and its facts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from benchmarks import machine
from pyvae import ops
from tests.memory import peak_growth


@dataclass(frozen=True)
class Device:
    """The processor, or a GPU.

    Attributes
    ----------
    name
        As torch calls it.
    memory_limit
        Bytes of the largest tensor that a variant may write.
    memory
        Whose peak is taken, as the document says it.
    facts
        Names the device, its instructions and its system.
    wait
        Returns when everything that was asked for has been done.
    peak_growth
        Bytes by which a call raises the peak of the memory in use; its results count.
    release
        Gives back memory that is kept for later calls.
    """

    name: str
    memory_limit: int
    memory: str
    facts: Callable[[], dict[str, Any]]
    wait: Callable[[], None]
    peak_growth: Callable[[Callable[[], object]], int]
    release: Callable[[], None]


def _gpu_facts() -> dict[str, Any]:
    major, minor = torch.cuda.get_device_capability()
    host = machine.machine()
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


CPU = Device(
    "cpu", 2**31, "the process", machine.machine, lambda: None, peak_growth, lambda: None
)  # fmt: skip
GPU = Device(
    "cuda", 2**33, "torch's allocator", _gpu_facts, torch.cuda.synchronize, _gpu_peak_growth,
    torch.cuda.empty_cache,
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
        raise ValueError(
            "--device cuda: torch finds no CUDA device; leave it out to measure the processor"
        )
    if name == GPU.name and ops.CUDA_MISSING:
        raise ValueError(f"--device cuda: pyvae has no CUDA kernels {ops.CUDA_MISSING}")
    return DEVICES[name]
