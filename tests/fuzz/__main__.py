# SPDX-License-Identifier: MIT
"""Spoil files for so many seconds, in bounded memory, and stop at what is no refusal."""

from __future__ import annotations

import argparse
import collections
import random
import signal
import sys
import tempfile
import time
import traceback
import warnings
from pathlib import Path

import torch

from pyvae.errors import UserError
from tests.fuzz.targets import TARGETS, Target, copied, make

_MEMORY = 3 << 29  # bytes more than the process has at the start
_PATIENCE = 60  # seconds a file


def main() -> int:
    """Run, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**9))
    parser.add_argument("--case", type=int, help="only this one of the seed")
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    signal.signal(signal.SIGALRM, _too_slow)
    counts: collections.Counter[str] = collections.Counter()
    with tempfile.TemporaryDirectory() as temporary:
        good, folder = Path(temporary, "good"), Path(temporary, "spoilt")
        good.mkdir()
        make(good)
        _limit_memory()
        end, case = time.monotonic() + options.seconds, options.case or 0
        while time.monotonic() < end:
            draw = random.Random(f"{options.seed} {case}")
            target = draw.choice(TARGETS)
            copied(good, folder)
            target.spoil(draw, folder / target.name)
            try:
                counts[_outcome(target, folder / target.name)] += 1
            except Exception:
                traceback.print_exc()
                print(f"{target}: python -m tests.fuzz --seed {options.seed} --case {case}")
                return 1
            if options.case is not None:
                break
            case += 1
    print(f"seed {options.seed}: {counts['read']} files read, {counts['refused']} refused")
    return 0


def _outcome(target: Target, path: Path) -> str:
    """Read a file; whatever is raised is for users and names the file or the one beside it."""
    signal.alarm(_PATIENCE)
    try:
        target.read(path)
    except UserError as error:
        if str(path.parent) not in str(error):
            raise RuntimeError("the refusal names no file") from error
        return "refused"
    finally:
        signal.alarm(0)
    return "read"


def _limit_memory() -> None:
    """Let what a number in a file asks for fail here, and not on the machine of a user."""
    if sys.platform != "linux":
        return
    import resource

    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + _MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (limit, resource.getrlimit(resource.RLIMIT_AS)[1]))


def _too_slow(*_: object) -> None:
    raise TimeoutError(f"more than {_PATIENCE} s")


if __name__ == "__main__":
    sys.exit(main())
