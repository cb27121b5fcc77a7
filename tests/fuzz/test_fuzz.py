# SPDX-License-Identifier: MIT
"""Some seconds of spoilt files in the suite; ``make fuzz`` has the rest."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_every_spoilt_file_is_read_or_refused_by_name() -> None:
    """In a process of its own, whose memory is limited."""
    seed = random.SystemRandom().randrange(10**9)
    command = [sys.executable, "-m", "tests.fuzz", "--seconds", "10", "--seed", str(seed)]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stdout[-500:] + done.stderr[-3000:]
    assert done.stdout.startswith(f"seed {seed}: ")
