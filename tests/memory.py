# SPDX-License-Identifier: MIT
"""Peak memory of a call, and memory in use, for the tests of them and for the benchmarks."""

from __future__ import annotations

import ctypes
import gc
import resource
import sys
from collections.abc import Callable
from pathlib import Path

_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def peak_growth(call: Callable[[], object]) -> int:
    """Bytes by which a call raises the process's peak.

    Linux tells the high-water mark in /proc and resets it on request, so that what came before
    does not hide what the call takes; macOS has only getrusage, whose mark never falls.
    """
    gc.collect()
    _return_freed_memory()
    if _CLEAR.exists():
        _CLEAR.write_text("5")
    before = _peak()
    call()
    return _peak() - before


def _return_freed_memory() -> None:
    """Have glibc give back the pages it keeps, which would serve the call without being counted."""
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)


def resident() -> int:
    """Bytes of the process that are in memory now; where only the peak is told, that."""
    gc.collect()
    return _told_by_linux("VmRSS") if _STATUS.exists() else _peak()


def _told_by_linux(key: str) -> int:
    lines = _STATUS.read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(key))


def _peak() -> int:
    if _STATUS.exists():
        return _told_by_linux("VmHWM")
    usage = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return usage if sys.platform == "darwin" else 1024 * usage
