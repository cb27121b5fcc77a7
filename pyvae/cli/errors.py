# SPDX-License-Identifier: MIT
"""Exit codes, and which exceptions are the user's mistakes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pyvae.errors import UserError

OK, FAILED, MISTAKE, DEFECT, INTERRUPTED = 0, 1, 2, 70, 130
_OUT_OF_MEMORY = "out of memory; ask for less, or take a larger machine"
REPORT = (
    "this is a defect of the program and no mistake of yours; please report it, with the lines "
    "above and what you typed"
)


class RunFailed(Exception):
    """The run could not go on, and neither the command line nor this program is to blame."""


class Interrupted(Exception):
    """Ctrl-C, with a line that says how to go on."""


@contextmanager
def mistakes() -> Iterator[None]:
    """Turn complaints of the operating system and of the build into :class:`UserError`.

    What the library raises for users is one already, wherever it is raised
    (:mod:`pyvae.errors`). Everything else, whatever its type and whoever raised it, is a defect.
    """
    try:
        yield
    except UserError:
        raise
    except MemoryError as error:
        raise RunFailed(_OUT_OF_MEMORY) from error
    except RuntimeError as error:  # torch has no class of its own for the CPU's memory
        if not any(words in str(error) for words in ("can't allocate memory", "out of memory")):
            raise
        raise RunFailed(_OUT_OF_MEMORY) from error
    except OSError as error:
        if error.errno is None:  # the system gives every complaint of its own a number
            raise
        raise UserError(_file_error(error)) from error
    except ImportError as error:
        if error.name == "pyvae._C":
            raise UserError(
                "the compiled part of pyvae is not there; install the package (pip install .) "
                "instead of running it from its sources"
            ) from error
        if str(error).startswith("PYVAE_"):  # a wrong PYVAE_CPU_ISA, say
            raise UserError(str(error)) from error
        raise


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
