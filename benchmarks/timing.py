# SPDX-License-Identifier: MIT
"""Turn-taking: every variant runs for a moment, then the next, so that noise meets all alike."""

from __future__ import annotations

import gc
import math
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch

from benchmarks.results import Figure, rounded
from benchmarks.variants import Call

_TURN = 1e-2  # seconds: short calls are repeated within a turn, as a program would repeat them
_WARM_UP = 2e-3  # seconds of a turn that are not timed
_MOST_CALLS, _MOST_TURNS = 1000, 60
PATIENCE = 5.0  # seconds: a slower call is made once, and takes no turns
_SPIN = 0.03  # seconds for which another runtime's idle threads may go on spinning


@dataclass(frozen=True)
class Effort:
    """How long a variant takes turns: until it has spent the time, and has had so many."""

    seconds: float = 0.6
    turns: int = 7  # three suffice for calls of more than a second


STEADY = Effort(seconds=0.1, turns=5)  # of a GPU, which nobody else has a hand in
QUICK = Effort(seconds=0.05, turns=3)


@dataclass
class Player:
    """A variant at the table: its call, what its first calls told, and the seconds of each turn.

    ``wait`` returns when everything that was called for has been done.
    """

    name: str
    call: Call
    estimate: float
    runtime: str = "torch"
    threads: int | None = None
    wait: Callable[[], None] = lambda: None
    peak_bytes: int | None = None
    error: float | None = None
    seconds: list[float] = field(default_factory=list)

    @property
    def calls(self) -> int:
        """Calls in a turn."""
        return min(_MOST_CALLS, max(1, math.ceil(_TURN / max(self.estimate, 1e-9))))

    def done(self, effort: Effort) -> bool:
        """Whether this variant has had its turns."""
        turns, slow = len(self.seconds), self.estimate
        least = 1 if slow > PATIENCE else min(3, effort.turns) if slow > 1 else effort.turns
        spent = sum(self.seconds) * self.calls
        return turns >= _MOST_TURNS or (turns >= least and spent >= effort.seconds)

    def quartiles(self) -> tuple[float, float, float]:
        """Lower quartile, median and upper quartile, in seconds a call."""
        seconds = self.seconds * 2 if len(self.seconds) == 1 else self.seconds
        low, middle, high = statistics.quantiles(seconds, n=4, method="inclusive")
        return low, middle, high

    def figure(self) -> Figure:
        """What is recorded of it."""
        low, median, high = map(rounded, self.quartiles())
        error = None if self.error is None else rounded(self.error)
        return Figure(median, low, high, len(self.seconds), self.calls, self.peak_bytes, error)


def take_turns(players: Sequence[Player], effort: Effort) -> None:
    """Measure all players; each round starts with another, so that none always follows the same."""
    runtime = "torch"
    with _no_collection():
        for turn in range(_MOST_TURNS):
            waiting = [player for player in players if not player.done(effort)]
            if not waiting:
                return
            first = turn % len(waiting)
            for player in waiting[first:] + waiting[:first]:
                if player.runtime != runtime:
                    time.sleep(_SPIN)
                runtime = player.runtime
                player.seconds.append(_turn(player))


def _turn(player: Player) -> float:
    call, calls = player.call, player.calls
    with threads(player.threads):
        if player.estimate < 10 * _WARM_UP:
            # Brings back what the others drove from the caches, and wakes the threads.
            for _ in range(max(1, int(calls * _WARM_UP / _TURN))):
                call()
        player.wait()
        started = time.perf_counter()
        for _ in range(calls):
            call()
        player.wait()
        return (time.perf_counter() - started) / calls


@contextmanager
def threads(count: int | None) -> Iterator[None]:
    """Run with this many torch threads; None leaves them as they are."""
    before = torch.get_num_threads()
    torch.set_num_threads(count or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def _no_collection() -> Iterator[None]:
    """Keep the garbage collector from falling into a turn."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
