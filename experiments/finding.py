# SPDX-License-Identifier: MIT
"""What an experiment found, and how it reads in the document."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from matplotlib.figure import Figure


class Finding(NamedTuple):
    """A figure, and a table of what was measured: its columns and its rows."""

    figure: Figure
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


def section(name: str, text: str, finding: Finding, picture: str, source: str) -> str:
    """Give an experiment as a section of Markdown.

    ``text`` is its file's docstring, ``picture`` and ``source`` are links.
    """
    title, _, body = text.strip().partition("\n\n")
    title = title.removesuffix(".")
    lines = [f"## {title}", "", body, "", f"![{title}]({picture})", ""]
    lines.append(f"| {' | '.join(finding.columns)} |")
    lines.append("|---" * len(finding.columns) + "|")
    lines += [f"| {' | '.join(row)} |" for row in finding.rows]
    lines += ["", f"`python -m experiments --only {name}`, [its source]({source})."]
    return "\n".join(lines) + "\n"
