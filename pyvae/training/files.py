# SPDX-License-Identifier: MIT
"""Writing files so that a kill at any moment leaves the old content or the new."""

from __future__ import annotations

import os
from pathlib import Path


def write_atomically(path: Path, content: bytes) -> None:
    """Replace ``path`` by ``content`` in one step that survives a kill and a power cut."""
    # One fixed name: what a killed run leaves is overwritten by the next, and never piles up.
    temporary = path.with_name(f".{path.name}.part")
    with temporary.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    if os.name == "posix":  # the new name itself is in the directory
        directory = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)


def make_output_folder(path: str | Path) -> Path:
    """Return the folder, made where it is missing.

    Raises
    ------
    ValueError
        If it cannot be made or written to.
    """
    folder = Path(path).expanduser()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(folder / ".writable", b"")
        (folder / ".writable").unlink(missing_ok=True)
    except OSError as error:
        raise ValueError(
            f"output folder {folder} cannot be written to ({error.strerror}); choose another"
        ) from error
    return folder
