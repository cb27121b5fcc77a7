# SPDX-License-Identifier: MIT
"""Columns of text as categories, and labels that are missing, where either is asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pyvae.data import Data, load
from pyvae.errors import UserError

pytestmark = pytest.mark.filterwarnings("ignore::pyvae.data.ReadingWarning")
ROWS = [(1.5, "oak", 3), (2.0, "elm", 10), (None, "oak", 3), (4.0, None, 7)]


def _write(path: Path, kind: str) -> Path:
    columns = dict(zip(("size", "kind", "grade"), zip(*ROWS, strict=True), strict=True))
    if kind == "csv":
        lines = [",".join("" if cell is None else str(cell) for cell in row) for row in ROWS]
        path.write_text("\n".join([",".join(columns), *lines]) + "\n")
    elif kind == "npz":
        sizes = np.array([np.nan if size is None else size for size in columns["size"]])
        kinds = np.array([name or "" for name in columns["kind"]])
        np.savez(path, size=sizes, kind=kinds, grade=np.array(columns["grade"]))
    else:
        pa = pytest.importorskip("pyarrow")
        import pyarrow.parquet

        pyarrow.parquet.write_table(pa.table({n: list(v) for n, v in columns.items()}), path)
    return path


def _read(path: Path, **options: Any) -> Data:
    return load(path, label_column=None, missing="keep", **options)


@pytest.mark.parametrize("kind", ["csv", "npz", "parquet"])
def test_text_becomes_categories(tmp_path: Path, kind: str) -> None:
    path = _write(tmp_path / f"a.{kind}", kind)
    with pytest.raises(UserError, match=r"oak|string"):
        _read(path)
    data = _read(path, text="keep")
    assert data.columns == ("size", "kind", "grade")
    assert data.categories == (None, ("elm", "oak"), None)
    expected = [[1.5, 1, 3], [2, 0, 10], [np.nan, 1, 3], [4, np.nan, 7]]
    np.testing.assert_array_equal(data.x, expected)
    told = _read(path, text="keep", categorical=["grade"])
    assert told.categories == (None, ("elm", "oak"), ("10", "3", "7"))
    assert told.x[:, 2].tolist() == [1, 0, 1, 2]
    assert _read(path, text=(2,), columns=("kind", "size", "grade")).categories == (
        ("elm", "oak"), None, ("10", "3", "7")
    )  # fmt: skip
    assert _read(path, text="keep", drop=["kind"]).categories is None


def test_numbers_and_text_in_one_column(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("a,b\n1,2\n2,B\n3,2\n")
    with pytest.raises(UserError, match=r"column 2 \(b\) holds numbers, and 'B'.*--categorical b"):
        _read(path, text="keep")
    for options in ({"text": "mixed"}, {"text": "keep", "categorical": ["b"]}, {"text": (1,)}):
        assert _read(path, **options).categories == (None, ("2", "B"))
    path.write_text("a,b\n1,9007199254740993\n2,4\n")
    with pytest.raises(UserError, match=r"column 2 \(b\) is 9007199254740993, an integer beyond"):
        _read(path, text="keep")
    with pytest.raises(UserError, match=r"has no column 'c'"):
        _read(path, text="keep", categorical=["c"])
    with pytest.raises(UserError, match=r"text is 'all'; expected one of refuse, keep, mixed"):
        _read(path, text="all")


@pytest.mark.parametrize(
    ("text", "columns", "count"),
    [
        ("color,shape\nred,round\nblue,flat\nred,flat\n", ("color", "shape"), 3),
        ("red,round\nblue,flat\nred,flat\n", None, 3),
        ("color,shape\nred,round\nblue,flat\n", "may be names of columns or a row", 0),
    ],
)
def test_names_over_columns_of_text(
    tmp_path: Path, text: str, columns: tuple[str, ...] | str | None, count: int
) -> None:
    """Values come again, and names do not."""
    path = tmp_path / "a.csv"
    path.write_text(text)
    if isinstance(columns, str):
        with pytest.raises(UserError, match=columns):
            _read(path, text="keep")
        return
    data = _read(path, text="keep")
    assert (data.columns, len(data)) == (columns, count)
    assert any("line 1" in note for note in data.notes)


@pytest.mark.parametrize(
    ("cells", "labels", "classes"),
    [
        (["oak", "", "elm", "NA", "-1"], [1, -1, 0, -1, -1], ("elm", "oak")),
        (["3", "-1", "?", "0", "3"], [3, -1, -1, 0, 3], None),
        (["1.0", "nan", "0.0", "1.0", "-1.0"], [1, -1, 0, 1, -1], None),
    ],
)
def test_labels_may_be_missing(
    tmp_path: Path, cells: list[str], labels: list[int], classes: tuple[str, ...] | None
) -> None:
    path = tmp_path / "a.csv"
    path.write_text("x,label\n" + "".join(f"{at}.5,{cell}\n" for at, cell in enumerate(cells)))
    with pytest.raises(UserError, match="label of row"):
        load(path)
    data = load(path, unlabelled="keep")
    assert data.labels is not None
    assert (data.labels.tolist(), data.classes) == (labels, classes)
    values = np.array([np.nan if label < 0 else label for label in labels])
    np.savez(tmp_path / "a.npz", x=np.eye(5), y=values)
    array = load(tmp_path / "a.npz", unlabelled="keep").labels
    assert array is not None
    assert array.tolist() == labels
