# SPDX-License-Identifier: MIT
"""How a run shows itself: a bar on a terminal, plain lines elsewhere, or not at all."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.progress import TimeRemainingColumn

from pyvae.progress import FiguresBar

_PLAIN_LINES = 20
_SHOWN = {"bound": "bound", "reconstruction": "rec", "log_prob_w": "w|z", "neg_kl_z": "-KL z"}


class ProgressReport:
    """A context manager that is told every epoch's row."""

    def __init__(self, mode: str, total: int, done: int, console: Console | None = None) -> None:
        console = console or Console()
        if mode == "auto":
            mode = "bar" if console.is_terminal else "plain"
        self._mode, self._total, self._console = mode, total, console
        self._bar = FiguresBar(console, TimeRemainingColumn(), disable=mode != "bar")
        self._task = self._bar.add_task("epoch", total=total, completed=done)

    def __enter__(self) -> ProgressReport:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def say(self, message: str) -> None:
        """Show one line, in every mode but the silent one."""
        if self._mode != "silent":
            self._bar.console.print(message, highlight=False, markup=False)

    def epoch(self, row: dict[str, Any]) -> None:
        """Show the row of a finished epoch."""
        figures = describe(row)
        self._bar.show(figures)
        self._bar.update(self._task, completed=row["epoch"], description=row["phase"])
        every = max(1, self._total // _PLAIN_LINES)
        wanted = row["epoch"] % every == 0 or row["epoch"] in (1, self._total)
        if self._mode == "plain" and wanted:
            # One line an epoch, whatever width a log file claims to have.
            line = f"epoch {row['epoch']}/{self._total} {row['phase']}: {'  '.join(figures)}"
            self._console.print(line, highlight=False, markup=False, soft_wrap=True)


def describe(row: dict[str, Any]) -> list[str]:
    """Return the bound, its parts and what tells of collapse, each with its name."""
    parts = [f"{short} {row[name]:.2f}" for name, short in (*_SHOWN.items(), ("entropy_w", "H w"))]
    if row.get("val_bound") is not None:
        parts.append(f"val {row['val_bound']:.2f}")
    if row.get("effective_components") is not None:
        parts.append(f"components {row['effective_components']:.1f}")
    return [*parts, f"active {row['active_units']}"]
