# SPDX-License-Identifier: MIT
"""Exit codes, and which exceptions are the user's mistakes."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager

OK, FAILED, MISTAKE, INTERRUPTED = 0, 1, 2, 130


class UserError(Exception):
    """A mistake of the user's; its text is the one line to show."""


class RunFailed(Exception):
    """The run could not go on, and neither the command line nor this program is to blame."""


class Interrupted(Exception):
    """Ctrl-C, with a line that says how to go on."""


@contextmanager
def mistakes(package: str = "pyvae") -> Iterator[None]:
    """Turn the library's complaints about its input into :class:`UserError`.

    A ``ValueError`` or ``TypeError`` counts where pyvae raised it itself, or the ``package`` that
    the command line is of: their texts name what was expected and what came. The same from deep
    within another library is a defect of ours, and keeps its traceback. Errors of the file system
    are the user's wherever they arise.
    """
    try:
        yield
    except OSError as error:
        raise UserError(_file_error(error)) from error
    except ImportError as error:
        if error.name is not None and not error.name.startswith("pyvae"):
            raise
        if error.name == "pyvae._C":
            raise UserError(
                "the compiled part of pyvae is not there; install the package (pip install .) "
                "instead of running it from its sources"
            ) from error
        raise UserError(str(error)) from error  # a wrong PYVAE_CPU_ISA, say
    except (ValueError, TypeError) as error:
        if not _raised_by(error, ("pyvae.", f"{package}.")):
            raise
        raise UserError(str(error)) from error


def one_line(text: str) -> str:
    """Join the lines of a message."""
    return " ".join(text.split())


def complain(text: str, program: str = "pyvae", *, label: str = "error") -> None:
    """Write one line of a program's to stderr, in colour where that is a terminal."""
    from rich.console import Console
    from rich.text import Text

    line = Text.assemble((f"{program}: ", "bold"), (f"{label}: ", "bold red"), one_line(text))
    Console(stderr=True, soft_wrap=True).print(line)


def _file_error(error: OSError) -> str:
    if error.filename is None or error.strerror is None:
        return str(error)
    return f"{error.filename}: {error.strerror.lower()}"


def _raised_by(error: BaseException, packages: tuple[str, ...]) -> bool:
    frames = list(traceback.walk_tb(error.__traceback__))
    return bool(frames) and frames[-1][0].f_globals.get("__name__", "").startswith(packages)
