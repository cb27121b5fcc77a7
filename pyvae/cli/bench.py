# SPDX-License-Identifier: MIT
"""``pyvae bench``."""

from __future__ import annotations

import os
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pyvae.cli.errors import Interrupted, UserError
from pyvae.cli.terminal import output, say, show, table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from pyvae.bench.cases import Case
    from pyvae.bench.compare import Change
    from pyvae.bench.results import Results
    from pyvae.bench.tables import Grid

FOLDER = "benchmarks/results"
_TEXT = ("op", "size", "pass", "claim", "variant", "change", "limit", "")  # columns that align left


@dataclass(frozen=True)
class Options:
    """What the command line says."""

    only: Sequence[str]
    quick: bool
    threads: int | None
    output: str | None
    name: str | None
    source: str | None
    compare: str | None
    document: str | None
    device: str = "cpu"


def bench(options: Options) -> None:
    """Measure, or read what was measured; print, compare, write the document."""
    _refuse_contradictions(options)
    from pyvae.bench import results

    console = output()
    before = None if options.compare is None else results.load(options.compare)
    source = options.source
    found = _measure(console, options) if source is None else results.load(source)
    if before is None:
        _print(console, found, options.only)
    else:
        _print_changes(console, before, found)
    if options.document is not None:
        from pyvae.bench.document import write

        for path in write(found, Path(options.document).expanduser()):
            say(console, f"wrote {path}")


def _refuse_contradictions(options: Options) -> None:
    if options.source is not None:
        for name, default in (
            ("quick", False), ("threads", None), ("output", None), ("name", None),
            ("device", "cpu"),
        ):  # fmt: skip
            if getattr(options, name) != default:
                raise UserError(f"--from: nothing is measured, so --{name} has no use beside it")
    if options.name is not None and not re.fullmatch(r"[\w.-]+", options.name):
        raise UserError(f"--name: {options.name} must be letters, digits, '-', '_' and '.'")
    if options.document is not None and Path(options.document).suffix != ".md":
        raise UserError(f"--document: {options.document} must end in .md")


def _measure(console: Console, options: Options) -> Results:
    from pyvae.bench import machine, runner
    from pyvae.bench.device import device_of

    chosen = runner.select(options.only, options.device)
    threads = options.threads or min(2, os.cpu_count() or 1)
    settings = runner.Settings(threads, options.quick, device_of(options.device))
    empty = runner.empty(settings)
    target = _target(options, machine.file_name(empty.machine))
    kept = _kept(target, empty, options)
    order = [(case.op, case.label) for case in runner.select((), options.device)]

    def keep(found: Results) -> None:
        if target is not None:
            kept.merged(found, order).save(target)

    started = time.perf_counter()
    try:
        found = runner.run(chosen, settings, _progress(console), keep)
    except KeyboardInterrupt:
        saved = f"{target} holds what was measured" if target else "nothing was written"
        raise Interrupted(saved) from None
    say(console, f"{_conditions(found)}; measured in {time.perf_counter() - started:.0f} s")
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
    from pyvae.bench.results import load

    if target is None or not options.only or not target.exists():
        return empty
    found = load(target)
    if not found.same_conditions(empty):
        raise UserError(
            f"{target} was measured under other conditions (machine, versions, threads or "
            "--quick), which must not mix in one file; name another with --output"
        )
    return found


def _progress(console: Console):
    """Give a function that tells the case at work on stderr, over the last one on a terminal."""
    from rich.console import Console as RichConsole

    screen = RichConsole(stderr=True, highlight=False, markup=False, soft_wrap=True)
    overwrite = screen.is_terminal

    def tell(number: int, total: int, case: Case | None) -> None:
        text = "" if case is None else f"{number}/{total} {case.op} {case.label}"
        if overwrite:
            screen.print(f"\r\x1b[K{text}" if text else "\r\x1b[K", end="")
        elif text:
            screen.print(text)

    return tell


def _conditions(found: Results) -> str:
    facts, plural = found.machine, "s" * (found.threads != 1)
    quick = ", quick" * found.quick
    return (
        f"{facts['processor']}, {facts['instruction_set']}, {found.threads} thread{plural}, "
        f"torch {found.software['torch']}, float32{quick}"
    )


def _print(console: Console, found: Results, only: Sequence[str]) -> None:
    from pyvae.bench import tables
    from pyvae.bench.targets import claims

    names = {name.partition(":")[0] for name in only}
    ops = list(dict.fromkeys(case.op for case in found.cases))
    for op in [op for op in ops if not names or op in names]:
        say(console, "")
        _show(console, tables.times(found, op))
        say(console, "")
        _show(console, tables.accuracy_and_memory(found, op))
    shares = tables.limits(found)
    if shares.rows:
        say(console, "")
        _show(console, shares)
    judged = [claim for claim in claims(found.device) if claim.concerns(found)]
    if judged:
        say(console, "")
        _show(console, tables.targets(found, judged))


def _show(console: Console, grid: Grid) -> None:
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
    from pyvae.bench.compare import compare, differences
    from pyvae.bench.tables import changes

    for line in differences(before, found):
        say(console, f"not the same {line}")
    listed: list[Change] = compare(before, found)
    if not listed:
        raise UserError("--compare: the two runs have no case in common")
    _show(console, changes(listed))
    counts = {name: sum(c.verdict == name for c in listed) for name in ("slower", "faster")}
    say(console, f"{counts['slower']} slower, {counts['faster']} faster, of {len(listed)}")
