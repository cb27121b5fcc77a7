# SPDX-License-Identifier: MIT
"""What is printed: tables on a terminal, aligned plain lines elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

_PLAIN_WIDTH = 200


def output(*, quiet: bool = False, stderr: bool = False) -> Console:
    """Give the console of stdout or stderr; where that is no terminal it writes no escape codes."""
    from rich.console import Console

    console = Console(quiet=quiet, stderr=stderr, highlight=False, markup=False)
    if not console.is_terminal:
        console.width = _PLAIN_WIDTH
    return console


def table(console: Console, title: str, *columns: str, numbers: tuple[str, ...] = ()) -> Table:
    """Start a table whose first column names the row and whose ``numbers`` align right.

    Nothing is cut off in a narrow terminal: long texts go on in the next line. Where the output is
    no terminal there are no rules between the cells.
    """
    from rich import box
    from rich.table import Table

    result = Table(
        title=title,
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD if console.is_terminal else None,
        show_header=any(columns),
        pad_edge=False,
        padding=(0, 2, 0, 0),
    )
    for name in columns:
        aligned = "right" if name in numbers else "left"
        result.add_column(name, justify=aligned, overflow="fold")
    return result


def show(console: Console, grid: Table) -> None:
    """Print a table; where the output is no terminal, as wide as it likes and nothing padded."""
    if console.is_terminal:
        console.print(grid)
        return
    with console.capture() as capture:
        console.print(grid)
    lines = (line.rstrip() for line in capture.get().splitlines())
    say(console, "\n".join(lines))


def say(console: Console, text: str) -> None:
    """Print a line as it is, left to the terminal to wrap."""
    console.print(text, soft_wrap=True)


@contextmanager
def steps(console: Console, *, hidden: bool = False) -> Iterator[Callable[[str], None]]:
    """Show what takes time, in words: with its time on a terminal, a plain line elsewhere.

    What it yields is told of each step as it begins.
    """
    if hidden or not console.is_terminal:
        yield lambda text: None if hidden else say(console, text)
        return
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
    from rich.table import Column

    words = TextColumn("{task.description}", markup=False, table_column=Column(overflow="fold"))
    columns = (SpinnerColumn(finished_text=" "), words, TimeElapsedColumn())
    with Progress(*columns, console=console) as shown:

        def begin(text: str) -> None:
            end()
            shown.add_task(text, total=1)

        def end() -> None:
            for task in shown.task_ids:
                shown.update(task, completed=1)

        yield begin
        end()
