# SPDX-License-Identifier: MIT
"""Results as pictures."""

from __future__ import annotations

import math
from itertools import product

from matplotlib.figure import Figure

from benchmarks import plots, rates
from benchmarks.claims import peers
from benchmarks.fit_kinds import KINDS
from benchmarks.marks import Mark, marks
from benchmarks.results import BOTH, FORWARD, CaseResult, Results, label
from benchmarks.suite import GROWING, GROWTH
from benchmarks.tables import conditions, sizes
from benchmarks.variants import ONE_THREAD, PYVAE

TITLES = {
    "mixtures": "Mixtures with diagonal covariances: the peers' times beside pyvae's",
    "full": "Full covariances and EM sums: the peers' times beside pyvae's",
    "fits": "Whole fits: the peers' times beside pyvae's",
    "divergences": "KL divergences: the peers' times beside pyvae's",
    "roofline": "Rates under the roofs of this machine",
    "growth": "Time per N · K · D of the density as the points grow",
}
_RATED = ("mixture_log_prob", "gaussian_kl")


def draw(results: Results) -> dict[str, Figure]:
    """Draw what the results allow, by the names of ``TITLES``."""
    known = marks(
        name for case in results.cases for found in case.figures.values() for name in found
    )
    families = ("mixtures", "full", "fits", "divergences")
    drawn = {family: _ratios(results, family, known) for family in families}
    drawn |= {"roofline": _roofline(results), "growth": _growth(results)}
    return {name: figure for name, figure in drawn.items() if figure is not None}


def _family(op: str) -> str:
    if op.startswith("gaussian_kl"):
        return "divergences"
    if op in KINDS:
        return "fits"
    return "full" if op.endswith("_tril") or "statistics" in op else "mixtures"


def _ratios(results: Results, family: str, known: dict[str, Mark]) -> Figure | None:
    panels: dict[str, dict[str, dict[str, float]]] = {FORWARD: {}, BOTH: {}}
    for case, (direction, rows) in product(results.cases, panels.items()):
        ours, others = case.found(direction, PYVAE), peers(case, direction)
        if _family(case.op) == family and ours and others:
            rows[_name(case)] = {name: time / ours.median for name, time in others.items()}
    panels = {direction: rows for direction, rows in panels.items() if rows}
    caption = (
        "Right of the line pyvae is faster. Colour: what runs it; marker: the form of the "
        f"computation. {conditions(results)}."
    )
    return plots.ratios(panels, known, TITLES[family], caption) if panels else None


def _roofline(results: Results) -> Figure | None:
    peak = (rates.SGEMM if results.device == "cpu" else rates.FMA).median(results)
    bandwidth = rates.COPY.median(results)
    points = {}
    for case in results.cases:
        ours = case.found(FORWARD, PYVAE)
        if case.op in _RATED and ours and not _is_growth(case) and not case.clusters:
            operations, moved = rates.work(case)
            points[case.op, sizes(case.size)] = operations / moved, operations / ours.median
    if not points or math.isnan(peak + bandwidth):
        return None
    caption = (
        f"Forward pass. {conditions(results)}. A mixture takes 4NKD operations; a divergence "
        f"{rates.KL_OPERATIONS} a coordinate, an exponential counted as one."
    )
    return plots.roofline(points, peak, bandwidth, TITLES["roofline"], caption)


def _growth(results: Results) -> Figure | None:
    cases = [case for case in results.cases if _is_growth(case) and case.skipped is None]
    if len(cases) < 2:
        return None
    threads = {ONE_THREAD: "1 thread", PYVAE: f"{results.threads} threads"}
    lines = {
        f"{threads[variant]}, {direction}": [
            found.median / math.prod(case.size.values()) if found else math.nan
            for case in cases
            for found in (case.found(direction, variant),)
        ]
        for direction, variant in product((BOTH, FORWARD), threads)
    }
    size = cases[0].size
    caption = f"K = {size['k']}, D = {size['d']}. {conditions(results)}."
    return plots.growth([case.size["n"] for case in cases], lines, TITLES["growth"], caption)


def _is_growth(case: CaseResult) -> bool:
    return case.op == GROWING and case.label in map(label, GROWTH)


def _name(case: CaseResult) -> str:
    return f"{case.op}  {sizes(case.size)}" + ", clusters" * case.clusters
