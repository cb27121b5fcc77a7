# SPDX-License-Identifier: MIT
"""The options of ``python -m experiments``; what it does is in ``command``."""

from collections.abc import Sequence
from typing import Annotated

import typer

from pyvae.cli import manners
from pyvae.cli.files import PictureFormat

PROGRAM = "python -m experiments"
OUTPUT = "output/theory"  # which git ignores: the document in docs/ is written on request only
app = manners.application()


def run(args: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    return manners.run(app, PROGRAM, args)


@app.command()
def experiments(
    only: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Run this experiment, and print its table instead of writing the document. "
            "Repeatable.",
        ),
    ] = None,
    listed: Annotated[
        bool, typer.Option("--list", metavar="", help="List the experiments; run none.")
    ] = False,
    output: Annotated[
        str,
        typer.Option(
            metavar="DIR", help="Folder for experiments.md and the pictures in experiments/."
        ),
    ] = OUTPUT,
    picture_format: Annotated[
        PictureFormat, typer.Option(help="Of the pictures; pdf and svg for print.")
    ] = PictureFormat.png,
) -> None:
    """Run the experiments behind docs/theory.md: a document with their figures and tables.

    All of them take some minutes, two at a time. `make theory` writes the document in docs/.
    """
    from experiments import command

    if listed:
        command.show_list()
    else:
        command.main(only or (), output, picture_format.value)
