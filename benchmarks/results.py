# SPDX-License-Identifier: MIT
"""What a run leaves: figures by case, direction and variant, with the machine they are of."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from pyvae.errors import WrongValue

SCHEMA = 1
FORWARD, BOTH = "forward", "forward + backward"
_FACTS, _SOFTWARE = {"processor", "instruction_set", "system"}, {"pyvae", "torch"}


class NotMeasured(Exception):
    """A figure that there is not; its text is the reason."""


CLUSTERS = "-clusters"


def label(size: Mapping[str, int], clusters: bool = False) -> str:
    """Write a size as in ``16384x512x64``, or ``16384x512x64-clusters``."""
    return "x".join(map(str, size.values())) + CLUSTERS * clusters


def rounded(value: float) -> float:
    """Leave the digits that mean something, four."""
    return float(f"{value:.4g}")


@dataclass(frozen=True)
class Figure:
    """One variant in one direction: seconds of a call, or the reason why there are none."""

    median: float = 0.0
    low: float = 0.0  # quartiles of the turns
    high: float = 0.0
    turns: int = 0
    calls: int = 0  # in each turn
    peak_bytes: int | None = None  # by which a call raised the peak; its results count
    error: float | None = None  # the largest, against float64
    skipped: str | None = None  # why it was not measured

    def __post_init__(self) -> None:
        times = (self.median, self.low, self.high)
        if self.skipped is None and not all(0 < time < math.inf for time in times):
            raise WrongValue("a time that is no positive number")


@dataclass
class CaseResult:
    """An op at a size: figures by direction and variant, or the reason why there are none."""

    op: str
    size: dict[str, int]
    figures: dict[str, dict[str, Figure]] = field(default_factory=dict)
    skipped: str | None = None
    others: float | None = None  # cores that other processes kept busy meanwhile, where known
    clusters: bool = False  # whether the points are drawn from the mixture, not from N(0, I)

    @property
    def label(self) -> str:
        """Size as in ``16384x512x64``, and what the points are drawn from."""
        return label(self.size, self.clusters)

    @property
    def key(self) -> tuple[str, str]:
        """Op and size, which name the case."""
        return self.op, self.label

    def found(self, direction: str, variant: str) -> Figure | None:
        """Give what was measured of a variant, None where nothing was."""
        figure = self.figures.get(direction, {}).get(variant)
        return None if figure is None or figure.skipped is not None else figure

    def figure(self, direction: str, variant: str) -> Figure:
        """Give what was measured of a variant; raises :class:`NotMeasured`."""
        figure = self.figures.get(direction, {}).get(variant)
        if figure is None:
            raise NotMeasured(f"{variant} not measured")
        if figure.skipped is not None:
            raise NotMeasured(f"{variant}: {figure.skipped}")
        return figure

    def time(self, direction: str, variant: str) -> float:
        """Median seconds of a variant; raises :class:`NotMeasured`."""
        return self.figure(direction, variant).median


@dataclass
class Results:
    """A whole run."""

    machine: dict[str, Any]
    software: dict[str, str]
    threads: int
    quick: bool
    cases: list[CaseResult] = field(default_factory=list)

    @property
    def device(self) -> str:
        """What was measured: "cpu" or "cuda"."""
        return self.machine.get("device", "cpu")

    @property
    def conditions(self) -> dict[str, dict[str, Any]]:
        """What must be the same for figures to be compared, or to stand in one file."""
        run = {"threads": self.threads, "quick": self.quick}
        return {"machine": self.machine, "software": self.software, "run": run}

    def find(self, op: str, label: str) -> CaseResult | None:
        """Find a case by op and size."""
        return next((case for case in self.cases if case.key == (op, label)), None)

    def merged(self, newer: Results, order: Iterable[tuple[str, str]]) -> Results:
        """Give these results with the newer run's cases in place of its own."""
        by_key = {case.key: case for case in [*self.cases, *newer.cases]}
        known = [key for key in order if key in by_key]
        rest = [key for key in by_key if key not in known]
        cases = [by_key[key] for key in known + rest]
        return Results(newer.machine, newer.software, newer.threads, newer.quick, cases)

    def save(self, path: Path) -> None:
        """Write the file at once, so that an interrupted run leaves the old one whole."""
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary, content = path.with_suffix(".tmp"), {"schema": SCHEMA, **vars(self)}
        text = json.dumps(content, default=_written, indent=1)
        temporary.write_text(text + "\n", encoding="utf-8")
        os.replace(temporary, path)


def load(path: str | Path) -> Results:
    """Read a file of results.

    Raises
    ------
    ValueError
        If the file is damaged, no file of results, or of another version of its schema.
    OSError
        If it cannot be read.
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise WrongValue(f"{path}: not JSON, or damaged: {error}") from None
    schema = content.get("schema") if isinstance(content, dict) else None
    if schema is None:
        raise WrongValue(f"{path}: no results of the benchmarks; expected an object with a schema")
    if schema != SCHEMA:
        raise WrongValue(
            f"{path}: results of schema {schema!r}, this version reads {SCHEMA}; measure again"
        )
    try:
        results = TypeAdapter(Results).validate_python(content)
    except ValidationError as error:
        first = error.errors()[0]
        what = f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
        raise WrongValue(f"{path}: damaged results ({what}); measure again") from None
    missing = _FACTS - results.machine.keys() | _SOFTWARE - results.software.keys()
    if missing:
        raise WrongValue(f"{path}: damaged results (no {min(missing)}); measure again")
    return results


def _written(value: Any) -> dict[str, Any]:
    """What the file says of a figure, or of a case."""
    if not isinstance(value, Figure):
        return vars(value)
    if value.skipped is not None:
        return {"skipped": value.skipped}
    return {name: found for name, found in vars(value).items() if found is not None}
