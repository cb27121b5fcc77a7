# SPDX-License-Identifier: MIT
"""The guide's examples run, and the snippets of either library give the same."""

from __future__ import annotations

import re
import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

DOCS = Path(__file__).parents[2] / "docs"
INTEGRATIONS = DOCS / "guide" / "integrations.md"  # whose examples need a library each
PAGES = [DOCS / "start.md", *sorted(set((DOCS / "guide").glob("*.md")) - {INTEGRATIONS})]
SNIPPETS = DOCS / "coming-from" / "snippets"
# What a peer's half needs; where the tests do not install it, that half is skipped.
PEERS = {
    "scikit-learn": "sklearn",
    "torch-distributions": "torch",
    "pyro": "pyro",
    "numpyro": "numpyro",
    "pythae": "pythae",
    "scvi-tools": "scvi",
    "tgmm": "tgmm",
    "pomegranate": "pomegranate",
    "keops": "pykeops",
}
OUR_NEEDS = {"pyro": "pyro"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_examples_of_a_page_run(page: Path) -> None:
    names: dict[str, object] = {}
    for block in _blocks(page):
        exec(block, names)


def _blocks(page: Path) -> list[str]:
    return re.findall(r"```python\n(.*?)```", page.read_text("utf-8"), re.DOTALL)


@pytest.mark.filterwarnings("default")  # they are the libraries' own
@pytest.mark.parametrize("block", _blocks(INTEGRATIONS), ids=lambda block: block.splitlines()[0])
def test_the_examples_of_integrations_run(
    block: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in re.findall(r"^(?:import|from) (\w+)", block, re.MULTILINE):
        pytest.importorskip(name)
    monkeypatch.chdir(tmp_path)
    exec(block, {})


def test_every_snippet_has_its_page() -> None:
    pages = "".join(page.read_text("utf-8") for page in (DOCS / "coming-from").glob("*.md"))
    assert {folder.name for folder in SNIPPETS.iterdir()} == set(PEERS)
    for peer in PEERS:
        for half in ("theirs", "ours"):
            assert f"{{literalinclude}} snippets/{peer}/{half}.py\n" in pages


@pytest.mark.parametrize("peer", PEERS)
def test_our_half_runs(peer: str) -> None:
    pytest.importorskip(OUR_NEEDS.get(peer, "pyvae"))
    _run(peer, "ours")


@pytest.mark.filterwarnings("default")  # they are the peers' own
@pytest.mark.parametrize("peer", PEERS)
def test_their_half_gives_the_same(
    peer: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``result``, where the task has one answer."""
    pytest.importorskip(PEERS[peer])
    monkeypatch.chdir(tmp_path)  # some write folders
    theirs, ours = _run(peer, "theirs"), _run(peer, "ours")
    assert ("result" in theirs) == ("result" in ours)
    if "result" in theirs:
        rtol = 1e-3 if peer in ("tgmm", "pomegranate") else 1e-5  # where each has its own start
        np.testing.assert_allclose(_numbers(theirs), _numbers(ours), rtol=rtol, atol=1e-5)


def _run(peer: str, half: str) -> dict[str, Any]:
    return runpy.run_path(str(SNIPPETS / peer / f"{half}.py"))


def _numbers(names: dict[str, Any]) -> np.ndarray:
    result = names["result"]
    return np.asarray(result.detach() if hasattr(result, "detach") else result)
