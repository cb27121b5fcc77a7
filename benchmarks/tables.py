# SPDX-License-Identifier: MIT
"""Results as rows of text, for the terminal and for the document alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from benchmarks.claims import OWN, Claim
from benchmarks.compare import Change
from benchmarks.fit_kinds import KINDS
from benchmarks.rates import COPY, FMA, SGEMM
from benchmarks.results import CLUSTERS, CaseResult, NotMeasured, Results
from benchmarks.variants import NO_GRADIENTS, PYVAE

_DIMENSIONS = {"n": "N", "k": "K", "d": "D", "i": "iterations", "r": "factors"}
_CROWDED = 0.15  # cores
MISSING = "–"
_Cell = Callable[[CaseResult, str, str], str]  # of a case, a direction and a variant


@dataclass
class Grid:
    """A table: its title, its columns and its rows; ``notes`` explain the gaps."""

    title: str
    columns: list[str]
    rows: list[list[str]]
    notes: list[str] = field(default_factory=list)


def conditions(results: Results) -> str:
    """What the figures are of, in a line."""
    facts, plural = results.machine, "s" * (results.threads != 1)
    return (
        f"{facts['processor']} ({facts['instruction_set']}), {results.threads} thread{plural}, "
        f"torch {results.software['torch']}, float32"
    )


def milliseconds(seconds: float) -> str:
    """Write a time with three digits."""
    value = 1e3 * seconds
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def times(results: Results, op: str) -> Grid:
    """Milliseconds of every variant, and how many times pyvae's each is."""
    found = [case for case in results.cases if case.op == op]
    letters = ", ".join(_DIMENSIONS.get(name, name) for case in found[:1] for name in case.size)
    grid = _of_cases(found, op, letters, _variants(found), _time_cell)
    if op in KINDS:
        grid.notes.append(f"start: {KINDS[op].start}")
    for case in found:
        if case.skipped is not None:
            grid.notes.append(f"{spaced(case.label)}: {case.skipped}")
        if case.others is not None and case.others > _CROWDED:
            grid.notes.append(
                f"{spaced(case.label)}: other processes kept {case.others:.2g} cores busy "
                "meanwhile; measure again"
            )
    grid.notes += _reasons(found)
    return grid


def accuracy_and_memory(results: Results, op: str) -> Grid:
    """Largest error and peak memory of every variant."""
    found = [case for case in results.cases if case.op == op]
    names = [name for name in _variants(found) if name not in OWN[1:]]
    return _of_cases(found, f"{op}: largest error, peak memory", "size", names, _quality_cell)


def _of_cases(
    found: Sequence[CaseResult], title: str, letters: str, names: Sequence[str], cell: _Cell
) -> Grid:
    """Make a table with a row a case and pass, a column a variant."""
    rows = [
        [spaced(case.label), direction, *(cell(case, direction, name) for name in names)]
        for case in found
        for direction in case.figures
    ]
    return Grid(title, [letters, "pass", *names], rows)


def limits(results: Results) -> Grid:
    """Forward passes as shares of what limits them, arithmetic or memory; of a GPU."""
    grid = Grid("Share of the nearer limit", ["op", "size", "limit", "share"], [])
    for case in results.cases:
        with suppress(NotMeasured):
            share, limit = max((FMA.share(case), "arithmetic"), (COPY.share(case), "memory"))
            grid.rows.append([case.op, spaced(case.label), limit, amount(share, "%")])
    if grid.rows:
        bandwidth, peak, product = (rate.median(results) for rate in (COPY, FMA, SGEMM))
        grid.notes.append(
            f"copies move {bandwidth / 1e9:,.0f} GB/s, multiply-adds are {peak / 1e12:.3g} "
            f"TFLOP/s, sgemm is {product / 1e12:.3g} TFLOP/s"
        )
    return grid


def targets(results: Results, chosen: Sequence[Claim]) -> Grid:
    """Claims with what is needed, what was measured, and whether it is met."""
    grid = Grid("Targets", ["op", "size", "pass", "claim", "needed", "measured", ""], [])
    for claim in chosen:
        value, verdict = claim.judge(results)
        what, unit, at_least, _ = claim.measure
        needed = ("≥ " if at_least else "≤ ") + amount(claim.needed, unit)
        measured = MISSING if value is None else amount(value, unit)
        where = [claim.op, spaced(claim.size), claim.direction]
        grid.rows.append([*where, what, needed, measured, verdict])
    return grid


def changes(listed: Sequence[Change]) -> Grid:
    """Two runs side by side, a line a figure."""
    columns = ["op", "size", "pass", "variant", "before, ms", "now, ms", "noise", "change", ""]
    grid = Grid("Changes", columns, [])
    for c in listed:
        where = [c.op, spaced(c.size), c.direction, c.variant]
        gap = f"{100 * (c.after / c.before - 1):+.0f} %"
        noise = f"±{100 * c.noise / c.before:.0f} %"
        verdict = "" if c.verdict == "same" else c.verdict
        grid.rows.append(
            [*where, milliseconds(c.before), milliseconds(c.after), noise, gap, verdict]
        )
    return grid


def amount(value: float, unit: str) -> str:
    """Write a figure of a claim."""
    if unit == "%":
        return f"{100 * value:.0f} %"
    if not unit:
        return f"{value:.1g}"
    return f"{value:.3g}x" if unit == "x" else f"{value:.3g} {unit}"


def spaced(size: str) -> str:
    """Write the label of a size as in ``16384, 512, 64``, or ``16384, 512, 64, clusters``."""
    size, clusters, _ = size.partition(CLUSTERS)
    spaced = size.replace("x", ", ") if size[0].isdigit() else size
    return spaced + clusters.replace("-", ", ")


def sizes(size: Mapping[str, int]) -> str:
    """Write every dimension with its name, as in ``N = 16384, K = 512, D = 64``."""
    return ", ".join(f"{_DIMENSIONS.get(name, name)} = {count}" for name, count in size.items())


def _variants(found: Sequence[CaseResult]) -> list[str]:
    names: dict[str, None] = {PYVAE: None}
    for case in found:
        for figures in case.figures.values():
            names.update(dict.fromkeys(figures))
    rates = [name for name in names if name in OWN and name != PYVAE]
    return [name for name in names if name not in rates] + rates


def _time_cell(case: CaseResult, direction: str, name: str) -> str:
    figure, ours = case.found(direction, name), case.found(direction, PYVAE)
    if figure is None:
        return MISSING
    spread = f" ±{100 * (figure.high - figure.low) / 2 / figure.median:.0f}%"
    ratio = "" if ours is None or name in OWN else f" ({figure.median / ours.median:.3g}x)"
    return milliseconds(figure.median) + (spread if name == PYVAE else ratio)


def _quality_cell(case: CaseResult, direction: str, name: str) -> str:
    figure = case.found(direction, name)
    if figure is None:
        return MISSING
    error = MISSING if figure.error is None else f"{figure.error:.0e}"
    peak = MISSING if figure.peak_bytes is None else _mebibytes(figure.peak_bytes)
    return f"{error}, {peak}"


def _mebibytes(count: int) -> str:
    value = count / 2**20
    return f"{value:,.0f} MiB" if value >= 10 else f"{value:.1f} MiB"


def _reasons(found: Sequence[CaseResult]) -> list[str]:
    """Say why there are gaps, a line a variant and reason."""
    where: dict[tuple[str, str], list[str]] = {}
    for case in found:
        gaps: dict[tuple[str, str], list[str]] = {}
        for direction, figures in case.figures.items():
            for name, figure in figures.items():
                if figure.skipped is not None:
                    gaps.setdefault((name, figure.skipped), []).append(direction)
        for gap, directions in gaps.items():
            only = "" if len(directions) == len(case.figures) else f" {directions[0]}"
            where.setdefault(gap, []).append(spaced(case.label) + only)
    return [
        f"{name} {reason}" if reason == NO_GRADIENTS else f"{name}, {reason}: {'; '.join(at)}"
        for (name, reason), at in where.items()
    ]
