# SPDX-License-Identifier: MIT
"""What a claim about a run is, and what claims are about."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from benchmarks.rates import COPY, FMA, SGEMM, WRITE, Rate, work
from benchmarks.results import FORWARD, CaseResult, NotMeasured, Results
from benchmarks.variants import DENSITY, GRAPHS, ONE_THREAD, PYVAE

# Names that take turns without being peers.
OWN = (PYVAE, ONE_THREAD, GRAPHS, DENSITY, WRITE.name, SGEMM.name, FMA.name, COPY.name)
_MIB = 2.0**20


class Measure(NamedTuple):
    """What a claim is about.

    ``of`` takes the direction and the cases, one or several; it raises :class:`NotMeasured`.
    ``unit`` is how the figure is written: "x" a ratio, "%" a share, "MiB" memory, "s" seconds,
    "" as it is.
    """

    what: str
    unit: str
    at_least: bool
    of: Callable[..., float]


@dataclass(frozen=True)
class Claim:
    """One line of the table: a measure of an op, at a size or over several, and its bound."""

    op: str
    sizes: tuple[str, ...]
    direction: str
    measure: Measure
    needed: float

    @property
    def size(self) -> str:
        """As the table shows it."""
        *_, last = self.sizes
        return last if len(self.sizes) < 3 else "all sizes of growth"

    def concerns(self, results: Results) -> bool:
        """Whether the run holds one of the claim's cases."""
        return any(results.find(self.op, size) is not None for size in self.sizes)

    def judge(self, results: Results) -> tuple[float | None, str]:
        """Give the measured figure with "met" or "not met", or None with a reason."""
        cases = [results.find(self.op, size) for size in self.sizes]
        try:
            for case in cases:
                if case is None or case.skipped is not None:
                    raise NotMeasured("not measured" if case is None else case.skipped)
            value = self.measure.of(self.direction, *cases)
        except NotMeasured as reason:
            return None, str(reason)
        met = value >= self.needed if self.measure.at_least else value <= self.needed
        return value, "met" if met else "not met"


def peers(case: CaseResult, direction: str) -> dict[str, float]:
    """Seconds of every peer that was measured."""
    found = case.figures.get(direction, {})
    return {n: f.median for n, f in found.items() if n not in OWN and f.skipped is None}


def beside(*names: str, what: str = "") -> Measure:
    """Measure the speed beside the fastest of these peers, of all where none is named."""

    def faster(direction: str, case: CaseResult) -> float:
        others = [case.time(direction, name) for name in names]
        others = others or list(peers(case, direction).values())
        if not others:
            raise NotMeasured("no peer measured")
        return min(others) / case.time(direction, PYVAE)

    text = what or f"speed beside {' and '.join(names) or 'the fastest peer'}"
    return Measure(text, "x", True, faster)


def share(rate: Rate, what: str) -> Measure:
    """Measure the share of a rate of the machine's."""
    return Measure(what, "%", True, lambda direction, case: rate.share(case, direction))


def _unevenness(direction: str, *cases: CaseResult) -> float:
    costs = [case.time(direction, PYVAE) / math.prod(case.size.values()) for case in cases]
    return max(costs) / min(costs)


def _known(value: float | None) -> float:
    if value is None:
        raise NotMeasured("not measured")
    return value


def _peak(direction: str, case: CaseResult) -> float:
    return _known(case.figure(direction, PYVAE).peak_bytes) / _MIB


def _beside_parts(direction: str, case: CaseResult) -> float:
    parts = case.time(direction, DENSITY) + case.time(direction, WRITE.name)
    return case.time(direction, PYVAE) / parts


def _beside_forward(direction: str, case: CaseResult) -> float:
    return case.time(direction, PYVAE) / case.time(FORWARD, PYVAE)


def _beside_normal(direction: str, normal: CaseResult, clusters: CaseResult) -> float:
    return clusters.time(direction, PYVAE) / normal.time(direction, PYVAE)


OF_DENSITY = Measure(
    "time beside that of the density", "x", False,
    lambda direction, case: case.time(direction, PYVAE) / case.time(direction, DENSITY),
)  # fmt: skip
AMONG_CLUSTERS = Measure("time beside that on points of N(0, I)", "x", False, _beside_normal)
OF_FORWARD = Measure("time beside its own forward pass", "x", False, _beside_forward)
OF_PARTS = Measure("time beside the density and writing (N, K) once", "x", False, _beside_parts)
TWO_THREADS = Measure(
    "two threads beside one", "x", True,
    lambda direction, case: case.time(direction, ONE_THREAD) / case.time(direction, PYVAE),
)  # fmt: skip
EVENNESS = Measure("time per N K D, largest beside smallest", "x", False, _unevenness)
PEAK = Measure("peak memory beyond the inputs", "MiB", False, _peak)
SCRATCH = Measure(
    "peak memory beyond inputs, results and gradients", "MiB", False,
    lambda direction, case: _peak(direction, case) - work(case).moved / _MIB,
)  # fmt: skip
SHORTFALL = Measure(
    "log-likelihood below that of float64, relative", "", False,
    lambda direction, case: _known(case.figure(direction, PYVAE).error),
)  # fmt: skip
SECONDS = Measure("time", "s", False, lambda direction, case: case.time(direction, PYVAE))
