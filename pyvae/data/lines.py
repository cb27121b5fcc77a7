# SPDX-License-Identifier: MIT
"""The lines of a text file, gzipped or not, one after the other and none of them endless."""

from __future__ import annotations

import gzip
import io
import re
import zlib
from collections.abc import Iterator
from dataclasses import replace
from itertools import chain
from pathlib import Path

from pyvae.data.reading import DELIMITERS, Reading
from pyvae.errors import UserError, WrongValue

DAMAGED_GZIP = (gzip.BadGzipFile, EOFError, zlib.error)
_LONGEST = 1 << 24  # bytes of a line: a million columns and more
_BOM = b"\xef\xbb\xbf"
_SEPARATOR = re.compile(r'"?sep=(.)"?\s*', re.IGNORECASE)
_COMMENT = re.compile(r"#(?!n/?a\b)", re.IGNORECASE)  # "#N/A" is a missing value


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


def table_lines(path: Path, reading: Reading) -> tuple[Iterator[str], Reading]:
    """Give a table's lines without comments, and what its first line says of the delimiter.

    Spreadsheets state the delimiter so: ``sep=;``.
    """
    lines = read_lines(path)
    first = next(lines, "")
    stated = _SEPARATOR.fullmatch(first)
    if stated is None:
        return _without_comments(chain([first], lines)), reading
    if reading.delimiter is None:
        try:
            reading = replace(reading, delimiter=stated[1])
        except UserError as error:
            raise WrongValue(f"{path}: line 1 ({first.strip()}): {error}") from error
    return chain(["\n"], _without_comments(lines)), reading


def is_comment(line: str) -> bool:
    """Tell whether a line, or the first cell of one, starts a comment."""
    return _COMMENT.match(line) is not None


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


def _without_comments(lines: Iterator[str]) -> Iterator[str]:
    """Leave out what stands before the table, and the mark before its header.

    NumPy's ``savetxt`` writes its header so: the last line of the comment may name the columns.
    """
    comment, first = None, None
    for line in lines:
        if is_comment(line):
            comment = line.lstrip("# ")
        elif line.strip():
            first = line
            break
        yield "\n"  # keeps the count of lines
    if comment is not None and (first is None or _cells_match(comment, first)):
        yield comment
    if first is not None:
        yield first
    yield from lines


def _cells_match(one: str, other: str) -> bool:
    """Tell whether a delimiter parts two lines into equally many cells, and more than one."""
    marks = [mark.strip() or None for mark in DELIMITERS]
    return any(len(one.split(mark)) == len(other.split(mark)) > 1 for mark in marks)
