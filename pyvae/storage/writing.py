# SPDX-License-Identifier: MIT
"""Writing files so that a kill at any moment leaves the old content or the new."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

# Windows has neither links that matter here nor the flag.
NO_LINKS = getattr(os, "O_NOFOLLOW", 0)
_BINARY = getattr(os, "O_BINARY", 0)
# The second kind is of earlier versions, which gave every file one fixed temporary name.
_LEFTOVER = re.compile(r"\.(?P<name>.+?)(\.[0-9a-f]{16})?\.part")


def write_atomically(path: Path, content: bytes) -> None:
    """Replace ``path`` by ``content`` in one step, as :func:`write_by` does."""
    write_by(path, lambda file: file.write(content))


def write_by(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Replace ``path`` by what ``write`` puts into the file that it is handed.

    In one step that survives a kill and a power cut. A symbolic link there is replaced itself, and
    what it points to left alone. The temporary file is beside it under a name that nobody knows
    before, and that must not exist; it goes where ``write`` fails.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}.part")
    try:
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | NO_LINKS | _BINARY
        try:
            with os.fdopen(os.open(temporary, flags, 0o666), "w+b") as file:
                write(file)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        finally:
            with contextlib.suppress(OSError):
                temporary.unlink()
        _sync_folder(path.parent)
    except OSError as error:
        # Of another file: what is written may be read from one.
        another = error.filename not in (None, str(temporary), str(path), str(path.parent))
        if error.errno is None or another:
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error


def remove_leftovers(folder: Path, names: re.Pattern[str]) -> None:
    """Delete what killed processes left half-written of the files of these names.

    Only whoever holds the folder's lock may: a temporary file of a process that lives looks alike.
    """
    for path in folder.iterdir():
        found = _LEFTOVER.fullmatch(path.name)
        if found is not None and names.fullmatch(found["name"]):
            with contextlib.suppress(OSError):
                path.unlink()


def _sync_folder(folder: Path) -> None:
    """Bring a new name to the disk, which is in the folder."""
    if os.name == "posix":
        opened = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(opened)
        finally:
            os.close(opened)
