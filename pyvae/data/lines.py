# SPDX-License-Identifier: MIT
"""The lines of a text file, gzipped or not, one after the other and none of them endless."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterator
from pathlib import Path

from pyvae.errors import WrongValue

DAMAGED_GZIP = (gzip.BadGzipFile, EOFError, zlib.error)
_LONGEST = 1 << 24  # bytes of a line: a million columns and more
_BOM = b"\xef\xbb\xbf"


def read_lines(path: Path) -> Iterator[str]:
    """Give the lines of a UTF-8 file with their ends, unpacked where the name ends in ``.gz``.

    Raises
    ------
    ValueError
        If the file is damaged, is no UTF-8, or has a line of more than 16 MiB.
    """
    offset = 0
    opened = gzip.open if path.suffix.lower() == ".gz" else open
    try:
        with opened(path, "rb") as file:
            while line := file.readline(_LONGEST + 1):
                if len(line) > _LONGEST:
                    raise WrongValue(
                        f"{path}: the line from byte {offset} on has more than {_LONGEST} bytes; "
                        "expected a table of text with one example a line"
                    )
                yield from _decoded(path, line, offset)
                offset += len(line)
    except DAMAGED_GZIP as error:
        raise damaged_gzip(path, error) from error


def damaged_gzip(path: Path, error: Exception) -> WrongValue:
    """Say that a gzipped file is damaged."""
    return WrongValue(
        f"{path}: damaged gzip file of {path.stat().st_size} bytes ({error}); fetch it again"
    )


def _decoded(path: Path, line: bytes, offset: int) -> Iterator[str]:
    skipped = len(_BOM) if offset == 0 and line.startswith(_BOM) else 0
    try:
        text = line[skipped:].decode("utf-8")
    except UnicodeDecodeError as error:
        raise WrongValue(
            f"{path}: byte {offset + skipped + error.start} is no UTF-8 text; save the table as "
            "UTF-8"
        ) from error
    # Old files end their lines with a carriage return alone.
    return iter(io.StringIO(text, newline="")) if "\r" in text[:-2] else iter((text,))
