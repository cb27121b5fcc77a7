# SPDX-License-Identifier: MIT
"""A bar on a terminal with figures below it, whole at any width."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from types import TracebackType

from rich.console import Console, RenderableType
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.text import Text

_TOGETHER = "\N{NO-BREAK SPACE}"


class FiguresBar(Progress):
    """A bar as wide as the terminal, and below it figures on as many lines as they need.

    Parameters
    ----------
    console
        Where it is drawn.
    time
        The column that tells of time.
    disable
        Whether nothing is drawn.
    """

    def __init__(self, console: Console, time: ProgressColumn, *, disable: bool) -> None:
        self._figures: Sequence[str] = ()
        columns = (TextColumn("{task.description}"), BarColumn(None), MofNCompleteColumn(), time)
        super().__init__(*columns, console=console, disable=disable, expand=True)

    def show(self, figures: Sequence[str]) -> None:
        """Set the figures; each is a name and a number, and stays on one line."""
        self._figures = figures

    def get_renderables(self) -> Iterable[RenderableType]:
        """Return the bar and the lines below it."""
        yield from super().get_renderables()
        if self._figures:
            yield Text("\n".join(lines(self._figures, self.console.width)))


class FitProgress:
    """An estimator's: a bar where there is a terminal, a line every ``interval`` steps elsewhere.

    Parameters
    ----------
    verbose
        0 shows nothing, 2 lines beside the bar.
    interval, total
        Steps between lines, and in all.
    name
        Of the fit.
    step
        What a step is called.
    """

    def __init__(
        self, verbose: int | bool, interval: int, total: int, name: str, step: str
    ) -> None:
        self._verbose, self._interval = int(verbose), interval
        self._name, self._step = name, step
        self._console = Console(stderr=True, highlight=False)
        shown = self._verbose > 0 and self._console.is_terminal
        self._bar = FiguresBar(self._console, TimeElapsedColumn(), disable=not shown)
        self._task = self._bar.add_task(name, total=total)

    def __enter__(self) -> FitProgress:
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def told(self, number: int, figures: Sequence[str]) -> None:
        """Show a step: its number, from one on, and its figures."""
        self._bar.show(figures)
        self._bar.update(self._task, completed=number)
        listed = self._verbose > 0 and number % self._interval == 0
        if listed and (self._verbose > 1 or not self._console.is_terminal):
            self._console.print(f"{self._name}, {self._step} {number}: {', '.join(figures)}")


def lines(figures: Sequence[str], width: int) -> list[str]:
    """Put figures on lines of a width, none of them broken where it fits on one.

    Examples
    --------
    >>> lines(["bound -1.00", "H w 2.50", "active 4"], 22)
    ['bound -1.00  H w 2.50', 'active 4']
    """
    text = "  ".join(figure.replace(" ", _TOGETHER) for figure in figures)
    wrapped = textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False)
    return [line.replace(_TOGETHER, " ") for line in wrapped]
