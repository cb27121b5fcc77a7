# SPDX-License-Identifier: MIT
"""The options of ``python -m benchmarks``; what it does is in ``command``."""

from collections.abc import Sequence
from enum import Enum
from typing import Annotated

import typer

from pyvae.cli import manners
from pyvae.cli.files import PictureFormat

PROGRAM = "python -m benchmarks"
app = manners.application()


class Device(str, Enum):
    """``--device``."""

    cpu = "cpu"
    cuda = "cuda"


def run(args: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    return manners.run(app, PROGRAM, args)


@app.command()
def benchmarks(
    only: Annotated[
        list[str] | None,
        typer.Option(
            metavar="OP[:SIZE]",
            help="Measure this op, or this size of it, such as mixture_log_prob:65536x64x16. "
            "Repeatable.",
        ),
    ] = None,
    device: Annotated[
        Device, typer.Option(help="What to measure: the processor, or a GPU.")
    ] = Device.cpu,
    quick: Annotated[
        bool,
        typer.Option("--quick", metavar="", help="Few short turns: a first look, and no record."),
    ] = False,
    threads: Annotated[
        int | None, typer.Option(min=1, help="Of every library; two if left out.")
    ] = None,
    output: Annotated[
        str | None,
        typer.Option(
            metavar="PLACE",
            help="A .json file, or a folder for NAME.json; benchmarks/results if left out. With "
            "--only, the file's other cases stay. A --quick or --only run without --output is "
            "printed, not written.",
        ),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(help="Of this machine; processor and instruction set if left out."),
    ] = None,
    source: Annotated[
        str | None,
        typer.Option("--from", metavar="FILE", help="Read these results; measure nothing."),
    ] = None,
    compare: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Tell what became slower or faster since these results."),
    ] = None,
    document: Annotated[
        str | None,
        typer.Option(
            metavar="FILE.md", help="Write the results as a document, with plots beside it."
        ),
    ] = None,
    picture_format: Annotated[
        PictureFormat, typer.Option(help="Of the document's plots; pdf and svg for print.")
    ] = PictureFormat.png,
) -> None:
    """Measure the ops beside their peers: time, memory, error.

    Every variant takes turns within one run: pyvae, eager PyTorch, torch.compile,
    torch.distributions, scikit-learn, and where they are installed JAX, KeOps, StepMix and
    studenttmixture.
    """
    from benchmarks import command

    command.main(
        command.Options(
            only or (),
            device.value,
            quick,
            threads,
            output,
            name,
            source,
            compare,
            document,
            picture_format.value,
        )
    )
