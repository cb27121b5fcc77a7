# SPDX-License-Identifier: MIT
"""What the command line does: measure or read, then print, compare, write the document."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console

from benchmarks import runner, tables
from benchmarks.cases import Case
from benchmarks.compare import compare, differences
from benchmarks.device import device_of, file_name
from benchmarks.document import write
from benchmarks.results import Results, load
from benchmarks.suite import cases, select
from benchmarks.tables import Grid
from benchmarks.targets import claims
from pyvae.cli.errors import Interrupted, UserError
from pyvae.cli.terminal import output, say, show, table

FOLDER = "benchmarks/results"
_TEXT = ("op", "size", "pass", "claim", "variant", "change", "limit", "")  # columns that align left


@dataclass(frozen=True)
class Options:
    """What the command line says."""

    only: Sequence[str] = ()
    device: str = "cpu"
    quick: bool = False
    threads: int | None = None
    output: str | None = None
    name: str | None = None
    source: str | None = None
    compare: str | None = None
    document: str | None = None
    picture_format: str = "png"


def main(options: Options) -> None:
    """Measure, or read what was measured; print, compare, write the document."""
    _refuse_contradictions(options)
    console = output()
    before = None if options.compare is None else load(options.compare)
    found = _measure(console, options) if options.source is None else load(options.source)
    if before is None:
        _print(console, found, options.only)
    else:
        _print_changes(console, before, found)
    if options.document is not None:
        for path in write(found, Path(options.document).expanduser(), options.picture_format):
            say(console, f"wrote {path}")


def _refuse_contradictions(options: Options) -> None:
    for name in ("quick", "threads", "output", "name", "device"):
        if options.source is not None and getattr(options, name) != getattr(Options, name):
            raise UserError(f"--from: nothing is measured, so --{name} has no use beside it")
    if options.name is not None and not re.fullmatch(r"[\w.-]+", options.name):
        raise UserError(f"--name: {options.name} must be letters, digits, '-', '_' and '.'")
    if options.document is None and options.picture_format != Options.picture_format:
        raise UserError("--picture-format has no use without --document")
    if options.document is not None and Path(options.document).suffix != ".md":
        raise UserError(f"--document: {options.document} must end in .md")


def _measure(console: Console, options: Options) -> Results:
    chosen = select(options.only, options.device)
    threads = options.threads or min(2, os.cpu_count() or 1)
    settings = runner.Settings(threads, options.quick, device_of(options.device))
    empty = runner.empty(settings)
    target = _target(options, file_name(empty.machine))
    kept = _kept(target, empty, options)
    order = [(case.op, case.label) for case in cases(options.device)]

    def keep(found: Results) -> None:
        if target is not None:
            kept.merged(found, order).save(target)

    started = time.perf_counter()
    try:
        found = runner.run(chosen, settings, _progress(), keep)
    except KeyboardInterrupt:
        saved = f"{target} holds what was measured" if target else "nothing was written"
        raise Interrupted(saved) from None
    quick = ", quick" * found.quick
    seconds = time.perf_counter() - started
    say(console, f"{tables.conditions(found)}{quick}; measured in {seconds:.0f} s")
    if target is not None:
        say(console, f"wrote {target}")
    return found


def _target(options: Options, machine: str) -> Path | None:
    """Where the results go; a quick or a partial run is written only where a place is named."""
    if options.output is None and (options.quick or options.only):
        return None
    target = Path(options.output or FOLDER).expanduser()
    if target.suffix == ".json":
        return target
    if target.suffix or target.is_file():
        raise UserError(f"--output: {target} must be a folder, or a file that ends in .json")
    return target / f"{options.name or machine}.json"


def _kept(target: Path | None, empty: Results, options: Options) -> Results:
    """Give the results that stay in the file beside those of the chosen cases."""
    if target is None or not options.only or not target.exists():
        return empty
    found = load(target)
    if found.conditions != empty.conditions:
        raise UserError(
            f"{target} was measured under other conditions (machine, versions, threads or "
            "--quick), which must not mix in one file; name another with --output"
        )
    return found


def _progress() -> runner.Tell:
    """Give a function that tells the case at work on stderr, over the last one on a terminal."""
    screen = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)

    def tell(number: int, total: int, case: Case | None) -> None:
        text = "" if case is None else f"{number}/{total} {case.op} {case.label}"
        if screen.is_terminal:
            screen.print(f"\r\x1b[K{text}", end="")
        elif text:
            screen.print(text)

    return tell


def _print(console: Console, found: Results, only: Sequence[str]) -> None:
    if only:
        select(only, found.device)  # refuses what the suite has not
        asked = [c for c in found.cases if c.op in only or ":".join(c.key) in only]
        found = replace(found, cases=asked)
    for op in dict.fromkeys(case.op for case in found.cases):
        _show(console, tables.times(found, op))
        _show(console, tables.accuracy_and_memory(found, op))
    shares = tables.limits(found)
    if shares.rows:
        _show(console, shares)
    judged = [claim for claim in claims(found.device) if claim.concerns(found)]
    if judged:
        _show(console, tables.targets(found, judged))


def _show(console: Console, grid: Grid) -> None:
    say(console, "")
    if grid.rows:
        numbers = tuple(name for name in grid.columns if name not in _TEXT)
        shown = table(console, grid.title, *grid.columns, numbers=numbers)
        for row in grid.rows:
            shown.add_row(*row)
        show(console, shown)
    else:
        say(console, grid.title)
    for note in grid.notes:
        say(console, f"  {note}")


def _print_changes(console: Console, before: Results, found: Results) -> None:
    for line in differences(before, found):
        say(console, f"not the same {line}")
    listed = compare(before, found)
    if not listed:
        raise UserError("--compare: the two runs have no case in common")
    _show(console, tables.changes(listed))
    counts = {name: sum(c.verdict == name for c in listed) for name in ("slower", "faster")}
    say(console, f"{counts['slower']} slower, {counts['faster']} faster, of {len(listed)}")
