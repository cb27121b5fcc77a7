# SPDX-License-Identifier: MIT
"""A bar on a terminal with figures below it, whole at any width."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence

from rich.console import Console, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, TextColumn
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
