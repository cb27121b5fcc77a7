# SPDX-License-Identifier: MIT
"""What builds the site, as far as it needs no Sphinx; `make docs` checks the pages themselves."""

from __future__ import annotations

import doctest
import re
import runpy
from pathlib import Path
from types import ModuleType

import docstrings
import github_markdown
import pytest

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


@pytest.mark.parametrize("module", [docstrings, github_markdown], ids=lambda m: m.__name__)
def test_the_extensions_do_what_their_examples_say(module: ModuleType) -> None:
    found = doctest.testmod(module)
    assert found.attempted > 0
    assert not found.failed


def test_every_page_is_in_a_table_of_contents() -> None:
    listed = set()
    for page in DOCS.rglob("*.md"):
        for block in re.findall(r"```\{toctree\}\n(.*?)```", page.read_text("utf-8"), re.DOTALL):
            for line in block.splitlines():
                name = line.rpartition("<")[2].rstrip(">")
                if name and not name.startswith(":"):
                    listed.add((page.parent / name).resolve())
    pages = [page for page in DOCS.rglob("*.md") if "generated" not in page.parts]
    for page in pages:
        assert page.with_suffix("") in listed or page == DOCS / "index.md", page


def test_a_broken_site_is_told(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text(
        '<a href="none.html">x</a><a href="#gone">x</a><a id="here" href="#here">x</a>'
        '<script src="https://cdn.example/x.js"></script>'
    )
    (tmp_path / "searchindex.js").write_text("")
    mistakes = runpy.run_path(str(DOCS / "check_site.py"))["mistakes"](tmp_path)
    assert "index.html: none.html is not there" in mistakes
    assert "index.html: #gone is no place on that page" in mistakes
    assert "index.html: loads https://cdn.example/x.js" in mistakes
    assert "pyvae.mixture_log_prob has no page" in mistakes
    assert not any("#here" in line for line in mistakes)


def test_examples_have_a_title_and_a_figure() -> None:
    examples = sorted((DOCS / "gallery").glob("*/plot_*.py"))
    assert len(examples) >= 10
    for example in examples:
        text = example.read_text("utf-8")
        assert re.search(r'^r?"""\n(.+)\n=+\n', text, re.MULTILINE), example
        assert "plt.show()" in text or "plots." in text, example
