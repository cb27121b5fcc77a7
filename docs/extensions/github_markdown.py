# SPDX-License-Identifier: MIT
"""Markdown as GitHub shows it, made into what MyST reads, so that each page has one source."""

from __future__ import annotations

import re
from typing import Any

_FORMULA = re.compile(r"\$`([^`]+)`\$")
# Pages of the site whose text stands at the top of the repository.
_PAGES = re.compile(r"\]\((?:\.\./)+(CONTRIBUTING|CHANGELOG)\.md")


def translate(text: str) -> str:
    r"""Return a page with GitHub's formulas as MyST's role, and links to pages of the site.

    >>> translate(r"by $`x^2`$, as [told](../CONTRIBUTING.md#style)")
    'by {math}`x^2`, as [told](/project/contributing.md#style)'
    """
    text = _FORMULA.sub(r"{math}`\1`", text)
    return _PAGES.sub(lambda found: f"](/project/{found[1].lower()}.md", text)


def setup(app: Any) -> dict[str, bool]:
    """Translate every Markdown page when it is read."""

    def on_source_read(app: Any, name: str, source: list[str]) -> None:
        source[0] = translate(source[0])

    app.connect("source-read", on_source_read)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
