# SPDX-License-Identifier: MIT
"""Results as pictures."""

from __future__ import annotations

import math
import statistics
from typing import TYPE_CHECKING

from pyvae import plots
from pyvae.bench import rates
from pyvae.bench import variants as v
from pyvae.bench.cases import BOTH, FORWARD
from pyvae.bench.claims import peers
from pyvae.bench.results import CaseResult, Results
from pyvae.bench.sizes import GROWTH, label

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TITLES = {
    "mixtures": "Mixtures with diagonal covariances: the peers' times beside pyvae's",
    "full": "Full covariances, EM sums and fits: the peers' times beside pyvae's",
    "divergences": "KL divergences: the peers' times beside pyvae's",
    "roofline": "Rates under the roofs of this machine",
    "growth": "Time per N · K · D of the density as the points grow",
}
_FAMILIES = {
    "mixtures": ("mixture_log_prob", "mixture_posterior", "mixture_elbo_terms"),
    "full": (
        "mixture_log_prob_tril",
        "mixture_statistics",
        "mixture_statistics_tril",
        "fit_diag",
        "fit_full",
    ),
    "divergences": ("gaussian_kl", "gaussian_kl_tril", "gaussian_kl_pairwise"),
}
_RATED = ("mixture_log_prob", "gaussian_kl")


def draw(results: Results) -> dict[str, Figure]:
    """Draw what the results allow, by the names of ``TITLES``."""
    drawn = {name: _ratios(results, name) for name in _FAMILIES}
    drawn["roofline"] = _roofline(results)
    drawn["growth"] = _growth(results)
    return {name: figure for name, figure in drawn.items() if figure is not None}


def _ratios(results: Results, family: str) -> Figure | None:
    panels: dict[str, dict[str, dict[str, float]]] = {FORWARD: {}, BOTH: {}}
    for case in results.cases:
        if case.op not in _FAMILIES[family]:
            continue
        for direction, rows in panels.items():
            ours, others = case.time(direction, v.PYVAE), peers(case, direction)
            if ours is not None and others:
                rows[_name(case)] = {name: seconds / ours for name, seconds in others.items()}
    panels = {direction: rows for direction, rows in panels.items() if rows}
    if not panels:
        return None
    return plots.ratios(panels, TITLES[family], _conditions(results))


def _roofline(results: Results) -> Figure | None:
    peak = rates.sgemm_rate if results.device == "cpu" else rates.fma_rate
    peaks = [rate for case in results.cases if (rate := peak(case)) is not None]
    copies = [rate for case in results.cases if (rate := rates.copy_rate(case)) is not None]
    points = {}
    for case in results.cases:
        seconds = case.time(FORWARD, v.PYVAE)
        if case.op in _RATED and seconds is not None and not _is_growth(case):
            operations, moved = rates.work(case)
            points[_name(case)] = operations / moved, operations / seconds
    if not (peaks and copies and points):
        return None
    caption = (
        f"Forward pass. {_conditions(results)} A mixture takes 4NKD operations; a divergence "
        f"{rates.KL_OPERATIONS} a coordinate, an exponential counted as one."
    )
    return plots.roofline(points, statistics.median(peaks), statistics.median(copies), caption)


def _growth(results: Results) -> Figure | None:
    found = [case for case in results.cases if _is_growth(case) and case.skipped is None]
    if len(found) < 2:
        return None
    lines = {
        f"{threads}, {direction}": [
            rates.seconds_per_term(case, direction, variant) or math.nan for case in found
        ]
        for direction in (BOTH, FORWARD)
        for variant, threads in (
            (v.ONE_THREAD, "1 thread"),
            (v.PYVAE, f"{results.threads} threads"),
        )
    }
    size = found[0].size
    caption = f"K = {size['k']}, D = {size['d']}. {_conditions(results)}"
    counts = [case.size["n"] for case in found]
    return plots.growth(counts, lines, TITLES["growth"], caption)


def _is_growth(case: CaseResult) -> bool:
    return case.op == "mixture_log_prob" and case.key[1] in {label(size) for size in GROWTH}


def _name(case: CaseResult) -> str:
    return f"{case.op}  {', '.join(map(str, case.size.values()))}"


def _conditions(results: Results) -> str:
    facts = results.machine
    return (
        f"{facts['processor']} ({facts['instruction_set']}), {results.threads} threads, "
        f"torch {results.software['torch']}, float32."
    )
