# SPDX-License-Identifier: MIT
"""Runs cases: every variant in turn, with its memory and its error."""

from __future__ import annotations

import gc
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from textwrap import shorten
from typing import Any

import torch
from threadpoolctl import threadpool_limits

from benchmarks.cases import Case
from benchmarks.device import CPU, Device, Load, software
from benchmarks.results import BOTH, CaseResult, Figure, Results, rounded
from benchmarks.timing import PATIENCE, QUICK, Effort, Player, take_turns, threads
from benchmarks.variants import ONE_THREAD, PYVAE, Call, Inputs, Unavailable, Variant

Tell = Callable[[int, int, "Case | None"], None]
_REASON = 160  # letters


@dataclass(frozen=True)
class Settings:
    """How a run measures."""

    threads: int = 2  # of every library
    quick: bool = False  # few short turns, for a first look
    device: Device = CPU

    @property
    def effort(self) -> Effort:
        """How long variants take turns."""
        return QUICK if self.quick else self.device.effort


def run(
    chosen: Sequence[Case],
    settings: Settings,
    tell: Tell = lambda number, total, case: None,
    keep: Callable[[Results], None] = lambda results: None,
) -> Results:
    """Measure cases.

    Parameters
    ----------
    chosen
        From :func:`benchmarks.suite.select`.
    settings
        Threads, and how much is done.
    tell
        Called before each case with its number, their total and the case; at the end with None.
    keep
        Called after each case with what was measured so far.
    """
    results, before = empty(settings), None
    with threadpool_limits(settings.threads), threads(settings.threads):
        for number, case in enumerate(chosen, 1):
            tell(number, len(chosen), case)
            if (case.op, case.size) != before:
                # What the compiler knows of other sizes would make it give up on this one; the
                # points of one size, of whatever draw, share what was compiled.
                torch._dynamo.reset()
            before = case.op, case.size
            results.cases.append(measure(case, settings))
            keep(results)
    tell(len(chosen), len(chosen), None)
    return results


def empty(settings: Settings) -> Results:
    """Give results that hold no case yet."""
    return Results(settings.device.facts(), software(), settings.threads, settings.quick)


def measure(case: Case, settings: Settings) -> CaseResult:
    """Measure one case in all its directions."""
    result = CaseResult(case.op, dict(case.size), clusters=case.clusters)
    gc.collect()
    gc.freeze()  # the collector runs before each call's peak is taken: it is spared what is there
    try:
        inputs = case.draw(settings.device.name)
        for direction in case.directions:
            found, others = _direction(case, inputs, direction == BOTH, settings)
            result.figures[direction] = found
            if others is not None:
                result.others = max(rounded(others), result.others or 0.0)
    finally:
        gc.unfreeze()
    return result


def _direction(
    case: Case, inputs: Inputs, backward: bool, settings: Settings
) -> tuple[dict[str, Figure], float | None]:
    """Give the figures of all variants, and the cores that others took meanwhile."""
    exact = case.truth(inputs, backward)
    tried: dict[str, Player | str] = {}
    for variant in case.variants:
        if backward and variant.rate:
            continue
        refusal = variant.refusal(case.size, backward, settings.device.memory_limit)
        error_of = partial(case.error, want=exact, backward=backward)
        tried[variant.name] = refusal or _try(variant, inputs, backward, settings.device, error_of)
    load = Load()
    players = [found for found in tried.values() if isinstance(found, Player)]
    take_turns(players, settings.effort)
    figures = {
        name: found.figure() if isinstance(found, Player) else Figure(skipped=found)
        for name, found in tried.items()
    }
    return figures, load.cores()


def _try(
    variant: Variant,
    inputs: Inputs,
    backward: bool,
    device: Device,
    error_of: Callable[[Sequence[Any]], float],
) -> Player | str:
    """Make a variant's first calls; a peer that fails gives its reason, our own op raises."""
    try:
        with threads(variant.threads), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            call = variant.prepare(inputs, backward)
            estimate, peak, results = _first_calls(call, variant.compiles, device)
    except Exception as error:
        if variant.name in (PYVAE, ONE_THREAD):
            raise
        return _reason(error)
    comparable = variant.comparable and (variant.same_gradients or not backward)
    error = error_of(results) if comparable else None
    seen = None if variant.runtime in device.unseen else peak
    return Player(
        variant.name, call, estimate, variant.runtime, variant.threads, device.wait, seen, error,
        [estimate] if estimate > PATIENCE else [],
    )  # fmt: skip


def _first_calls(call: Call, compiles: bool, device: Device) -> tuple[float, int, tuple[Any, ...]]:
    """Seconds, peak memory and results of a call when everything is warm."""
    device.release()
    if compiles:
        call()
    found = _watched(call, device)
    return found if found[0] > PATIENCE else _watched(call, device)


def _watched(call: Call, device: Device) -> tuple[float, int, tuple[Any, ...]]:
    seconds, results = 0.0, ()

    def timed() -> None:
        nonlocal seconds, results
        started = time.perf_counter()
        results = call()
        device.wait()
        seconds = time.perf_counter() - started

    peak = device.peak_growth(timed)
    return seconds, peak, results


def _reason(error: Exception) -> str:
    if isinstance(error, Unavailable):
        return str(error)
    lines = [type(error).__name__, *str(error).strip().splitlines()[:1]]
    return shorten(": ".join(lines), _REASON, placeholder="…")
