# SPDX-License-Identifier: MIT
"""What the documents name is there."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import numpy as np
import pytest

from pyvae.cli.app import run

ROOT = Path(__file__).parent.parent
DOCUMENTS = [
    *sorted(ROOT.glob("*.md")),
    *(page for page in sorted((ROOT / "docs").rglob("*.md")) if "generated" not in page.parts),
]
_TEST = re.compile(r"`(tests/[\w/]+\.py)?(?:::(test_\w+))?`")
_LINK = re.compile(r"\]\(([^)#\s]*)(?:#([^)\s]*))?\)")


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


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


def _examples(document: Path) -> dict[str, object]:
    """Run a document's examples in one namespace, in their order, as a reader tries them."""
    names: dict[str, object] = {}
    for block in re.findall(r"```python\n(.*?)```", document.read_text("utf-8"), re.DOTALL):
        exec(block, names)
    return names


def _commands(document: Path) -> list[list[str]]:
    text = document.read_text("utf-8")
    return [shlex.split(line, comments=True) for line in re.findall(r"^pyvae .+$", text, re.M)]


def test_the_examples_of_the_page_on_data_run() -> None:
    names = _examples(ROOT / "docs" / "data.md")
    assert names["pictures"].shape == (4, 3, 8, 8)  # type: ignore[attr-defined]


def test_the_examples_of_the_readme_run(capsys: pytest.CaptureFixture[str]) -> None:
    names = _examples(ROOT / "README.md")
    assert "label" not in capsys.readouterr().err
    assert len(names["clusters"]) == 1797  # type: ignore[arg-type]


def test_the_figures_of_the_readme_were_measured() -> None:
    """Its table repeats lines of docs/benchmarks.md, whatever these are when it is written anew."""
    measured = (ROOT / "docs" / "benchmarks.md").read_text("utf-8").splitlines()
    rows = re.findall(r"^\| (.+) \| (.+) \| (.+) \| (.+) \| ([\d.]+x) \|$", _readme(), re.M)
    assert len(rows) >= 5
    for op, size, step, peer, speed in rows:
        start, end = f"| {op} | {size} | {step} | speed beside {peer} | ", f"| {speed} | "
        assert any(line.startswith(start) and end in line for line in measured), (op, size, step)


def test_the_readme_is_short() -> None:
    assert len(_readme().splitlines()) < 120


def _readme() -> str:
    return (ROOT / "README.md").read_text("utf-8")


def test_the_examples_of_using_a_model_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The commands too; those that train or fit do so on little."""
    monkeypatch.chdir(tmp_path)
    np.save("new.npy", np.random.default_rng(0).uniform(size=(50, 64)))
    np.savetxt("points.csv", np.random.default_rng(0).normal(size=(50, 2)), delimiter=",")
    short = ["--epochs", "1", "--pretrain-epochs", "1", "--no-pictures", "--no-baselines"]
    document = ROOT / "docs" / "using.md"
    for _, *arguments in _commands(document):
        assert run([*arguments, *(short if arguments[0] == "train" else [])]) == 0, arguments
    assert run(["fit-mixture", "points.csv", "-k", "2", "--output", "runs/mixture"]) == 0
    names = _examples(document)
    written = np.loadtxt("clusters.csv", delimiter=",", skiprows=1)
    np.testing.assert_array_equal(written[:, 0], names["clusters"])  # type: ignore[arg-type]
    assert np.load("clusters.npy").shape == (50,)
    assert capsys.readouterr().err == ""
