# SPDX-License-Identifier: MIT
"""What a claim about a run is, and the kinds of claims that the tables of targets are made of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pyvae.bench import variants as v
from pyvae.bench.cases import FORWARD
from pyvae.bench.rates import seconds_per_term
from pyvae.bench.results import CaseResult, Results

# Names that take turns without being peers.
OWN = (v.PYVAE, v.ONE_THREAD, v.GRAPHS, v.DENSITY, v.WRITE, v.SGEMM, v.FMA, v.COPY)

Measure = Callable[[CaseResult], float]


class NotMeasured(Exception):
    """A claim that this run cannot judge; its text is the reason."""


@dataclass(frozen=True)
class Claim:
    """One line of the table.

    Attributes
    ----------
    op, size, direction
        The case; the direction as the table shows it.
    what
        What is compared.
    needed, at_least
        The bound, from below or from above.
    unit
        How the figure is written: "x" a ratio, "%" a share, "MiB" memory, "" a plain number.
    measure
        Takes the case's figures; raises :class:`NotMeasured`.
    """

    op: str
    size: str
    direction: str
    what: str
    needed: float
    at_least: bool
    unit: str
    measure: Measure

    def concerns(self, results: Results) -> bool:
        """Whether the run holds the claim's case."""
        return results.find(self.op, self.size) is not None

    def judge(self, results: Results) -> tuple[float | None, str]:
        """Give the measured figure with "met" or "not met", or None with a reason."""
        case = results.find(self.op, self.size)
        if case is None:
            return None, "not measured"
        if case.skipped is not None:
            return None, case.skipped
        try:
            value = self.measure(case)
        except NotMeasured as reason:
            return None, str(reason)
        met = value >= self.needed if self.at_least else value <= self.needed
        return value, "met" if met else "not met"


def time(case: CaseResult, direction: str, variant: str) -> float:
    """Give the seconds of a variant; raises :class:`NotMeasured`."""
    figure = case.figures.get(direction, {}).get(variant)
    if figure is None:
        raise NotMeasured(f"{variant} not measured")
    if figure.skipped is not None:
        raise NotMeasured(f"{variant}: {figure.skipped}")
    return figure.median


def peers(case: CaseResult, direction: str) -> dict[str, float]:
    """Seconds of every peer that was measured."""
    found = case.figures.get(direction, {})
    return {n: f.median for n, f in found.items() if n not in OWN and f.skipped is None}


def faster(op: str, size: str, direction: str, needed: float, *names: str, what: str = "") -> Claim:
    """Claim so many times the speed of the fastest of these peers, of all where none is named."""

    def measure(case: CaseResult) -> float:
        ours = time(case, direction, v.PYVAE)
        others = [time(case, direction, name) for name in names]
        others = others or list(peers(case, direction).values())
        if not others:
            raise NotMeasured("no peer measured")
        return min(others) / ours

    text = what or f"speed beside {' and '.join(names) or 'the fastest peer'}"
    return Claim(op, size, direction, text, needed, True, "x", measure)


@dataclass(frozen=True)
class GrowthClaim(Claim):
    """A claim over several sizes of one op: the dearest time per N K D beside the cheapest."""

    labels: tuple[str, ...] = ()

    def concerns(self, results: Results) -> bool:
        """Whether the run holds one of the sizes."""
        return any(results.find(self.op, name) is not None for name in self.labels)

    def judge(self, results: Results) -> tuple[float | None, str]:
        """As :meth:`Claim.judge`."""
        costs = []
        for name in self.labels:
            case = results.find(self.op, name)
            cost = None if case is None else seconds_per_term(case, FORWARD, v.PYVAE)
            if cost is None:
                return None, f"{name} not measured"
            costs.append(cost)
        value = max(costs) / min(costs)
        return value, "met" if value <= self.needed else "not met"


def share(
    measure: Callable[[CaseResult, str, str], float | None], direction: str = FORWARD
) -> Measure:
    """Take a share of the machine's own rates as the figure of a claim."""

    def found(case: CaseResult) -> float:
        share = measure(case, direction, v.PYVAE)
        if share is None:
            raise NotMeasured("the machine's own rate was not measured")
        return share

    return found
