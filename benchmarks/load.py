# SPDX-License-Identifier: MIT
"""How much of the machine others took meanwhile: times measured beside them prove little."""

from __future__ import annotations

import os
import time
from pathlib import Path

_STAT = Path("/proc/stat")
_IDLE = (3, 4)  # the columns of /proc/stat that nobody worked in: idle, and waiting for a disk
_GUEST = 8  # from here on, what the columns before count already


class Load:
    """Watches from its making on; Linux only, elsewhere nothing is known."""

    def __init__(self) -> None:
        self._started = time.perf_counter()
        self._busy = _busy()
        self._own = _own()

    def cores(self) -> float | None:
        """Give the cores that others kept busy on average, those of the machine's host included."""
        busy = _busy()
        elapsed = time.perf_counter() - self._started
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
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system
