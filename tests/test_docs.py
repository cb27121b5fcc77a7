# SPDX-License-Identifier: MIT
"""What the documents name is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
_TEST = re.compile(r"`(tests/[\w/]+\.py)?(?:::(test_\w+))?`")
_LINK = re.compile(r"\]\(([^)#\s]*)(?:#([^)\s]*))?\)")


def _name(path: Path) -> str:
    return path.name


@pytest.mark.parametrize("document", DOCUMENTS, ids=_name)
def test_tests_that_are_named_exist(document: Path) -> None:
    """`tests/FILE.py::test_x`, and `::test_x` of the file named last."""
    file = None
    for path, name in _TEST.findall(document.read_text(encoding="utf-8")):
        file = ROOT / path if path else file
        if not path and not name:
            continue
        assert file is not None
        assert file.is_file(), path
        assert not name or f"def {name}(" in file.read_text(encoding="utf-8"), f"{file}::{name}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=_name)
def test_links_lead_somewhere(document: Path) -> None:
    for target, anchor in _LINK.findall(document.read_text(encoding="utf-8")):
        if target.startswith(("http:", "https:")):
            continue
        path = document if not target else (document.parent / target).resolve()
        assert path.exists(), target
        if anchor and path.suffix == ".md":
            assert anchor in _anchors(path.read_text(encoding="utf-8")), f"{target}#{anchor}"


def _anchors(text: str) -> set[str]:
    """Anchors of the headings, as GitHub makes them."""
    titles = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def test_the_examples_of_the_readme_run(capsys: pytest.CaptureFixture[str]) -> None:
    """In one namespace, in their order, as a reader tries them."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    names: dict[str, object] = {}
    for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL):
        exec(block, names)
    assert "label" not in capsys.readouterr().err
    assert len(names["clusters"]) == 1797  # type: ignore[arg-type]
