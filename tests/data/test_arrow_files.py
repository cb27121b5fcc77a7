# SPDX-License-Identifier: MIT
"""Parquet and Arrow files."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.feather
import pyarrow.ipc
import pyarrow.parquet as pq
import pytest
import torch

from pyvae.cli.app import run
from pyvae.data import ReadingWarning, load

COLUMNS = {
    "size": pa.array([1.5, 2.0, -3.25, 4.0], pa.float32()),
    "count": pa.array([1, 2, 3, 4], pa.int16()),
    "class": pa.array(["oak", "elm", "oak", "ash"]),
}


def written(folder: Path, columns: Any, name: str = "trees.parquet") -> Path:
    table, path = pa.table(columns), folder / name
    if name.endswith((".parquet", ".pq")):
        pq.write_table(table, path, row_group_size=3)
    elif name.endswith(".feather"):
        pyarrow.feather.write_feather(table, path)
    else:
        with pa.OSFile(str(path), "wb") as sink, pyarrow.ipc.new_file(sink, table.schema) as file:
            file.write_table(table)
    return path


@pytest.mark.parametrize("name", ["t.parquet", "t.pq", "t.arrow", "t.feather", "T.PARQUET"])
def test_a_table(name: str, tmp_path: Path) -> None:
    with pytest.warns(ReadingWarning, match="labels: column 'class'"):
        data = load(written(tmp_path, COLUMNS, name.lower()).rename(tmp_path / name))
    assert data.columns == ("size", "count")
    assert data.x.dtype == torch.float32
    assert data.x.tolist() == [[1.5, 1.0], [2.0, 2.0], [-3.25, 3.0], [4.0, 4.0]]
    assert data.classes == ("ash", "elm", "oak")
    assert data.labels is not None
    assert data.labels.tolist() == [2, 1, 2, 0]


def test_columns_are_chosen_by_name_or_number(tmp_path: Path) -> None:
    path = written(tmp_path, COLUMNS)
    data = load(path, columns=["count"], label_column=None)
    assert data.columns == ("count",)
    assert load(path, drop=["class", 1], label_column=None).columns == ("count",)
    told = load(path, label_column="count", drop=["class"])
    assert told.labels is not None
    assert told.labels.tolist() == [1, 2, 3, 4]


def test_embeddings(tmp_path: Path) -> None:
    """A column of lists of one length is as many features."""
    vectors = pa.FixedSizeListArray.from_arrays(pa.array(np.arange(8, dtype=np.float32)), 2)
    data = load(written(tmp_path, {"e": vectors}))
    assert data.columns == ("e_0", "e_1")
    assert data.x.tolist() == [[0.0, 1.0], [2.0, 3.0], [4.0, 5.0], [6.0, 7.0]]


def test_precision_is_the_files(tmp_path: Path) -> None:
    assert load(written(tmp_path, {"a": pa.array([0.1])})).x.dtype == torch.float64
    assert load(written(tmp_path, {"a": pa.array([2**53])})).x.item() == 2.0**53
    with pytest.raises(ValueError, match=r"column 'a': .*9007199254740993"):
        load(written(tmp_path, {"a": pa.array([2**53 + 1])}))


def test_null_is_missing(tmp_path: Path) -> None:
    path = written(tmp_path, {"a": [1.0, None, 3.0, float("nan")], "b": [1, 2, None, 4]})
    data = load(path, missing="keep")
    assert torch.isnan(data.x).nonzero().tolist() == [[1, 0], [2, 1], [3, 0]]
    with pytest.raises(ValueError, match="row 1"):
        load(path)
    with pytest.raises(ValueError, match=r"label of row 1 .* is missing"):
        load(path, label_column="a", missing="keep")


def test_text_is_no_feature(tmp_path: Path) -> None:
    path = written(tmp_path, COLUMNS)
    words = "column 'class' holds string; expected numbers: --drop class leaves it out"
    with pytest.raises(ValueError, match=words):
        load(path, label_column=None)


@pytest.mark.parametrize("name", ["t.parquet", "t.arrow", "t.feather"])
def test_damaged_files(name: str, tmp_path: Path) -> None:
    path = written(tmp_path, COLUMNS, name)
    content = path.read_bytes()
    for spoilt in (content[: len(content) // 2], b"nothing of the kind", content[::-1]):
        path.write_bytes(spoilt)
        with pytest.raises(ValueError, match="damaged"):
            load(path)
    path.write_bytes(b"")
    with pytest.raises(ValueError, match="empty file"):
        load(path)


def test_a_file_that_unpacks_to_more_than_memory(tmp_path: Path) -> None:
    """So many copies of one number, in one page, are next to no bytes."""
    many = pa.DictionaryArray.from_arrays(pa.array(np.zeros(2**24, np.int8)), pa.array([1.5]))
    path, whole = tmp_path / "t.parquet", 2**25
    pq.write_table(
        pa.table({"a": many}), path, compression="zstd", row_group_size=whole,
        write_batch_size=whole, max_rows_per_page=whole, data_page_size=2**30,
    )  # fmt: skip
    with pytest.raises(ValueError, match="says that it holds 16777216 numbers in"):
        load(path)


def test_without_pyarrow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path, COLUMNS)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ValueError, match=r"not installed: pip install 'pyvae\[arrow\]'"):
        load(path)


def test_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = written(tmp_path, {"a": np.r_[np.zeros(9), 9.0], "b": np.arange(10.0)})
    assert run(["fit-mixture", str(path), "-k", "1", "--output", str(tmp_path / "out")]) == 0
    capsys.readouterr()
    path.write_bytes(path.read_bytes()[:-9])
    assert run(["fit-mixture", str(path), "-k", "1", "--output", str(tmp_path / "other")]) == 2
    assert "damaged .parquet file" in capsys.readouterr().err
