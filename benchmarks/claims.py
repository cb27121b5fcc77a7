# SPDX-License-Identifier: MIT
"""What a claim about a run is, and what claims are about."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from benchmarks import variants as v
from benchmarks.rates import COPY, FMA, SGEMM, WRITE, Rate, seconds_per_term, work
from benchmarks.results import FORWARD, CaseResult, Figure, Results

# Names that take turns without being peers.
OWN = (
    v.PYVAE, v.ONE_THREAD, v.GRAPHS, v.DENSITY, WRITE.name, SGEMM.name, FMA.name, COPY.name
)  # fmt: skip
_MIB = 2.0**20


class NotMeasured(Exception):
    """A claim that this run cannot judge; its text is the reason."""


class Measure(NamedTuple):
    """What a claim is about.

    ``of`` takes the direction and the cases, one or several; it raises :class:`NotMeasured`.
    ``unit`` is how the figure is written: "x" a ratio, "%" a share, "MiB" memory, "" as it is.
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
        return self.sizes[0] if len(self.sizes) == 1 else "all sizes of growth"

    def concerns(self, results: Results) -> bool:
        """Whether the run holds one of the claim's cases."""
        return any(results.find(self.op, size) is not None for size in self.sizes)

    def judge(self, results: Results) -> tuple[float | None, str]:
        """Give the measured figure with "met" or "not met", or None with a reason."""
        cases = []
        for size in self.sizes:
            case = results.find(self.op, size)
            if case is None or case.skipped is not None:
                return None, "not measured" if case is None else str(case.skipped)
            cases.append(case)
        try:
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
        ours = _time(case, direction, v.PYVAE)
        others = [_time(case, direction, name) for name in names]
        others = others or list(peers(case, direction).values())
        if not others:
            raise NotMeasured("no peer measured")
        return min(others) / ours

    text = what or f"speed beside {' and '.join(names) or 'the fastest peer'}"
    return Measure(text, "x", True, faster)


def share(rate: Rate, what: str) -> Measure:
    """Measure the share of a rate of the machine's."""

    def found(direction: str, case: CaseResult) -> float:
        value = rate.share(case, direction)
        if value is None:
            raise NotMeasured("the machine's own rate was not measured")
        return value

    return Measure(what, "%", True, found)


def _figure(case: CaseResult, direction: str, variant: str = v.PYVAE) -> Figure:
    figure = case.figures.get(direction, {}).get(variant)
    if figure is None:
        raise NotMeasured(f"{variant} not measured")
    if figure.skipped is not None:
        raise NotMeasured(f"{variant}: {figure.skipped}")
    return figure


def _time(case: CaseResult, direction: str, variant: str = v.PYVAE) -> float:
    return _figure(case, direction, variant).median


def _known(value: float | None) -> float:
    if value is None:
        raise NotMeasured("not measured")
    return value


def _unevenness(direction: str, *cases: CaseResult) -> float:
    costs = [_known(seconds_per_term(case, direction, v.PYVAE)) for case in cases]
    return max(costs) / min(costs)


def _peak(direction: str, case: CaseResult) -> float:
    return _known(_figure(case, direction).peak_bytes) / _MIB


def _parts_of_a_posterior(direction: str, case: CaseResult) -> float:
    parts = _time(case, direction, v.DENSITY) + _time(case, direction, WRITE.name)
    return _time(case, direction) / parts


OF_FORWARD = Measure(
    "time beside its own forward pass", "x", False,
    lambda direction, case: _time(case, direction) / _time(case, FORWARD),
)  # fmt: skip
BACKWARD_ALONE = Measure(
    "the backward pass beside the forward pass", "x", False,
    lambda direction, case: _time(case, direction) / _time(case, FORWARD) - 1,
)  # fmt: skip
TWO_THREADS = Measure(
    "two threads beside one", "x", True,
    lambda direction, case: _time(case, direction, v.ONE_THREAD) / _time(case, direction),
)  # fmt: skip
EVENNESS = Measure("time per N K D, largest beside smallest", "x", False, _unevenness)
PEAK = Measure("peak memory beyond the inputs", "MiB", False, _peak)
SCRATCH = Measure(
    "peak memory beyond inputs, results and gradients", "MiB", False,
    lambda direction, case: _peak(direction, case) - work(case).moved / _MIB,
)  # fmt: skip
OF_PARTS = Measure(
    "time beside the density and writing (N, K) once", "x", False, _parts_of_a_posterior
)
SHORTFALL = Measure(
    "log-likelihood below that of float64, relative", "", False,
    lambda direction, case: _known(_figure(case, direction).error),
)  # fmt: skip
# The E step of Flash-GMM at the largest size, as published: TF32, on an A100.
FLASH_GMM = Measure(
    "speed beside Flash-GMM's published 152 ms (TF32, A100)", "x", True,
    lambda direction, case: 0.152 / _time(case, direction),
)  # fmt: skip
