# SPDX-License-Identifier: MIT
"""How a command line of ours behaves: one line for a mistake, exit codes, Ctrl-C."""

import sys
import traceback
from collections.abc import Sequence
from typing import Any

import typer

from pyvae.cli import errors

_CLICK_ERROR: Any = next(
    # typer 0.26 brought its own click: the class is found where either of the two keeps it.
    base
    for base in typer.BadParameter.__mro__
    if base.__name__ == "ClickException"
)


def application(*, completion: bool = False) -> typer.Typer:
    """Start a command line without commands; ``completion`` is of what is installed by a name."""
    return typer.Typer(
        add_completion=completion,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )


def main(app: typer.Typer, program: str) -> None:
    """Run the command line of this process and exit with its code."""
    sys.exit(run(app, program))


def run(app: typer.Typer, program: str, args: Sequence[str] | None = None) -> int:
    """Run a command line and return its exit code.

    Mistakes become one line on stderr, defects a traceback and a line that asks to report it.

    Parameters
    ----------
    app
        From :func:`application`, with its commands.
    program
        What a user types to run it, such as ``pyvae``.
    args
        What follows on the command line; of this process where it is None.
    """
    command = typer.main.get_command(app)
    arguments = list(sys.argv[1:] if args is None else args)
    try:
        with errors.mistakes():
            result = command.main(args=arguments, prog_name=program, standalone_mode=False)
        return result if isinstance(result, int) else errors.OK
    except _CLICK_ERROR as error:
        path = getattr(getattr(error, "ctx", None), "command_path", program)
        text = errors.one_line(error.format_message()).rstrip(".")
        text = text.replace("Value error, ", "")  # how pydantic begins what typer says
        errors.complain(f"{text}; see `{path} --help`", program)
        return errors.MISTAKE
    except errors.UserError as error:
        errors.complain(str(error), program)
        return errors.MISTAKE
    except errors.RunFailed as error:
        errors.complain(str(error), program)
        return errors.FAILED
    except errors.Interrupted as error:
        errors.complain(str(error), program, label="interrupted")
        return errors.INTERRUPTED
    except (KeyboardInterrupt, typer.Abort):
        errors.complain("nothing was left half-written", program, label="interrupted")
        return errors.INTERRUPTED
    except Exception:
        traceback.print_exc()
        errors.complain(errors.REPORT, program, label="internal error")
        return errors.DEFECT
