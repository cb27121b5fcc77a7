# SPDX-License-Identifier: MIT
"""Two runs side by side: what became slower, or faster, beyond the noise."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

from benchmarks.results import Figure, Results
from benchmarks.variants import ONE_THREAD, PYVAE

# Two runs of one build differ by more than the turns within each: the machine's clock drifts.
_DRIFT = 0.05


@dataclass(frozen=True)
class Change:
    """One figure of pyvae's in both runs; ``verdict`` is "slower", "faster" or "same"."""

    op: str
    size: str
    direction: str
    variant: str
    before: float
    after: float
    noise: float
    verdict: str


def compare(old: Results, new: Results) -> list[Change]:
    """Give every figure of pyvae's that both runs hold, in the order of the new one.

    A change counts where it is larger than half the sum of both runs' spreads (between quartiles)
    and than 5 % of the old time.
    """
    changes = []
    for case in new.cases:
        before = old.find(*case.key)
        for direction, name in product(case.figures, (PYVAE, ONE_THREAD)):
            ours, theirs = case.found(direction, name), before and before.found(direction, name)
            if ours and theirs:
                changes.append(_change(*case.key, direction, name, theirs, ours))
    return changes


def differences(old: Results, new: Results) -> list[str]:
    """Say what of the conditions differs: times of another machine or release prove little."""
    lines = []
    for title, ours in new.conditions.items():
        theirs = old.conditions[title]
        for name in sorted({*ours, *theirs}):
            if ours.get(name) != theirs.get(name):
                lines.append(f"{title} {name}: {theirs.get(name)} before, {ours.get(name)} now")
    return lines


def _change(op: str, size: str, direction: str, variant: str, old: Figure, new: Figure) -> Change:
    spread = (old.high - old.low + new.high - new.low) / 2
    noise = max(spread, _DRIFT * old.median)
    gap = new.median - old.median
    verdict = "same" if abs(gap) <= noise else "slower" if gap > 0 else "faster"
    return Change(op, size, direction, variant, old.median, new.median, noise, verdict)
