# SPDX-License-Identifier: MIT
"""What a cell or a line that does not fit a table looks like, and the way out."""

from __future__ import annotations

import re
from collections.abc import Sequence

from pyvae.data.cells import has_decimal_comma, is_number, is_text
from pyvae.data.dialect import Dialect, Rows
from pyvae.data.reading import DELIMITERS

# Signs that languages put between thousands; the last are spaces that do not break.
_GROUPED = re.compile("[+-]?[0-9]{1,3}([ ,.'\u2019\u00a0\u202f][0-9]{3})+([.,][0-9]+)?")
_QUOTED = re.compile(r"'(.*)'")


def of_cell(cell: str, form: Dialect) -> str | None:
    """Say what a cell that is no number looks like; None where that is nothing known."""
    if "\n" in cell.strip():
        return 'a quote (") before it is not closed on its own line'
    cell = cell.strip()
    quoted = _QUOTED.fullmatch(cell)
    if quoted and _is_any_number(quoted[1]):
        return "it has single quotes around a number; take them out"
    if has_decimal_comma(cell) and form.decimal == "." and form.delimiter != ",":
        return "--decimal ',' reads decimal commas; commas between thousands are to be taken out"
    if _GROUPED.fullmatch(cell):
        return "it looks like a number with marks between thousands; take these marks out"
    if has_decimal_comma(cell):
        return (
            "it looks like a number with a decimal comma, where commas part the cells; write "
            "decimal points, or part the cells by semicolons"
        )
    for mark, name in DELIMITERS.items():
        parts = cell.split(mark.strip() or None)
        if mark != form.delimiter and len(parts) > 1 and all(map(_is_any_number, parts)):
            return f"cells look parted by {name}: --delimiter {name}"
    parts = re.split("[:/]", cell)
    if len(parts) > 1 and all(map(_is_any_number, parts)):
        return f"cells parted by {cell[len(parts[0])]!r} are not read; write commas or tabs there"
    return None


def of_first_line(below: Sequence[str], form: Dialect) -> str | None:
    """Say why text in a first line is not taken for a name: what stands below it is text too."""
    texts = [cell for cell in below if is_text(cell, form.decimal)]
    if not texts:
        return None
    looks = of_cell(texts[0], form)
    if looks:
        return f"below it stands {texts[0][:80]!r}, which is no number: {looks}"
    if texts == [below[0]] and len(below) > 1:
        return (
            f"below it stands {texts[0][:80]!r}, as of a second line of names or of units; take "
            "that line out"
        )
    return None


def of_width(cells: Sequence[str], rows: Rows) -> str:
    """Say why a line may have another number of cells than the first."""
    if any("\n" in cell.rstrip("\n") or cell.endswith("\n") for cell in cells):
        return '; a quote (") before it is not closed on its own line'
    widths = {len(row) for row in rows[1:]}
    if len(rows) > 2 and len(widths) == 1 and len(rows[0]) not in widths:
        ways = "; if line 1 is a title, take it out or let it begin with #"
        if 1 < len(rows[0]) == max(widths) - 1:
            ways += "; if column 1 names the rows, let line 1 name it too"
        return ways
    if len(cells) == len(rows[0]) + 1 and not cells[-1].strip():
        return "; it ends in a delimiter"
    return ""


def _is_any_number(text: str) -> bool:
    return is_number(text) or is_number(text, ",")
