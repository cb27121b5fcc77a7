# SPDX-License-Identifier: MIT
"""A fit's progress on the terminal."""

from __future__ import annotations

from types import TracebackType

from rich.console import Console
from rich.progress import TimeElapsedColumn

from pyvae.progress import FiguresBar


class Progress:
    """A bar where there is a terminal, a line every ``interval`` iterations elsewhere."""

    def __init__(self, verbose: int | bool, interval: int, total: int, start: int) -> None:
        self._verbose, self._interval, self._name = int(verbose), interval, f"start {start + 1}"
        self._console = Console(stderr=True, highlight=False)
        shown = self._verbose > 0 and self._console.is_terminal
        self._bar = FiguresBar(self._console, TimeElapsedColumn(), disable=not shown)
        self._task = self._bar.add_task(self._name, total=total)

    def __enter__(self) -> Progress:
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def told(self, iteration: int, bound: float, change: float) -> None:
        """Show an iteration: its bound in nats a point, and the change from the last."""
        self._bar.show([f"{bound:.6g} nats a point", f"change {change:.3g}"])
        self._bar.update(self._task, completed=iteration)
        listed = self._verbose > 0 and iteration % self._interval == 0
        if listed and (self._verbose > 1 or not self._console.is_terminal):
            self._console.print(
                f"{self._name}, iteration {iteration}: {bound:.6g} nats a point, "
                f"change {change:.3g}"
            )
