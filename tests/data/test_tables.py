# SPDX-License-Identifier: MIT
"""How a table of text is written is recognised where it can be told, and asked for elsewhere."""

from __future__ import annotations

import gzip
import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pyvae.data import Data, ReadingWarning, load
from pyvae.errors import UserError
from tests.memory import peak_growth


def read(path: Path, text: str, **options: Any) -> tuple[Data, str]:
    """Return what is read, and what is said of it."""
    path.write_text(text)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ReadingWarning)
        data = load(path, **options)
    return data, "; ".join(str(warning.message) for warning in caught)


FORMS = {
    "1,2\n3,4\n": [[1, 2], [3, 4]],
    "1;2\n3;4\n": [[1, 2], [3, 4]],
    "1\t2\n3\t4\n": [[1, 2], [3, 4]],
    "1|2\n3|4\n": [[1, 2], [3, 4]],
    "1, 2\n3, 4\n": [[1, 2], [3, 4]],
    "  1   2 \n 3  4\n": [[1, 2], [3, 4]],
    "1,5;2,5\n3,5;4,5\n": [[1.5, 2.5], [3.5, 4.5]],
    "1,5\t2\n3,5\t4\n": [[1.5, 2], [3.5, 4]],
    "1,234;0,678\n2,345;6,789\n": [[1.234, 0.678], [2.345, 6.789]],
    "a b;c\n1,5;2\n": [[1.5, 2]],
    "# x y\n1 2\n": [[1, 2]],
    "# a remark\n\n1,2\r\n3,4": [[1, 2], [3, 4]],
    '"1","2"\n"3","4"\n': [[1, 2], [3, 4]],
}


@pytest.mark.parametrize("text", FORMS)
def test_delimiters_and_decimal_marks(tmp_path: Path, text: str) -> None:
    data, said = read(tmp_path / "a.csv", text)
    assert data.x.tolist() == FORMS[text]
    decimal_commas = FORMS[text][0][0] % 1 != 0
    assert ("decimal commas" in said) == decimal_commas


def test_they_can_be_told(tmp_path: Path) -> None:
    text = "1,234;5,678\n"
    assert read(tmp_path / "a.csv", text, decimal=",")[0].x.tolist() == [[1.234, 5.678]]
    both = {"delimiter": "semicolon", "decimal": ","}
    assert read(tmp_path / "a.csv", "1;2\n", **both)[0].x.tolist() == [[1, 2]]
    assert read(tmp_path / "a.csv", "1.5\n", delimiter=";")[0].x.tolist() == [[1.5]]
    assert read(tmp_path / "a.csv", "v\n1,5\n", decimal=",")[0].x.tolist() == [[1.5]]
    for options, words in (
        ({"delimiter": "dash"}, "delimiter is 'dash'; expected one of comma"),
        ({"decimal": "'"}, "decimal is"),
        ({"delimiter": ",", "decimal": ","}, "are both ','"),
        ({"missing": "skip"}, "missing is 'skip'"),
    ):
        with pytest.raises(UserError, match=words):
            load(tmp_path / "a.csv", **options)


REFUSED = {
    "1,234;5,678\n2,345;6,789\n": r"such as '1,234' may have a decimal comma or a comma between th",
    "1.5,2;3\n2.5,4;5\n": r"parted by comma \(','\) or semicolon \(';'\); say which",
    "a;b\n1,5;2.5\n": "'2.5'; expected a finite number with a decimal comma",
    "1,2\n3;4,5\n": "'3;4'; expected",
    "a;b\n1;2\n" + "3;4\n" * 200 + "3,5;6\n": "'3,5'; expected a finite number: --decimal ','",
    "1.234,5;2\n1,5;3\n": "'1.234,5'; expected a finite number with a decimal comma",
    "1_0,2\n": "'1_0'; expected a finite number",
    "a,b\n٣,2\n": "'٣'; expected a finite number",
    "1,infinity\n": "'infinity'; expected a finite number",
    "1,1e400\n": "'1e400'; expected a finite number",
    "x,2\n3,4\n": "--header takes line 1 for names",
    "a,species\n1,oak\n": "--drop species leaves .*, --label-column species takes it for labels",
    "NA,NA\n1,2\n": r"line 1, column 1 is missing \('NA'\)",
    "a,b\n1,\n": r"line 2, column 2 \(b\) is missing",
    "0,1\n17,42\n33,12\n": "line 1 .* may be names of columns or a row .* --header or --no-header",
    "2019,2020\n1.5,2.5\n1.7,2.7\n1.6,2.9\n": "may be names of columns or a row of numbers",
    "a,target\n1,0.5\n": "label of row 0 .* is 0.5; .* --no-label-column",
    "a,label\n1,\n": "label of row 0 .* is missing",
}


@pytest.mark.parametrize("text", REFUSED)
def test_what_cannot_be_told_is_asked_for(tmp_path: Path, text: str) -> None:
    with pytest.raises(UserError, match=REFUSED[text]):
        read(tmp_path / "a.csv", text)


HEADERS = {
    "0,1\n0.5,1.5\n2.5,3.5\n": (("0", "1"), 2, "is taken for names of columns; --no-header"),
    "0,1\n1,0\n0,1\n": (None, 3, "is taken for a row of numbers; --header"),
    ",0,1\n0,0.5,7\n1,2.5,8\n": (("0", "1"), 2, "numbers the rows: it is left out"),
    ",a,b\n0,1,7\n1,2,8\n": (("a", "b"), 2, "numbers the rows: it is left out"),
    ",a,b\n3,1,7\n1,2,8\n": (("a", "b"), 2, "numbers the rows: it is left out"),
    '"","a","b"\n"1",1,7\n"2",2,8\n': (("a", "b"), 2, "numbers the rows: it is left out"),
    ",a,b\n3,1,7\n3,2,8\n": (("column 1", "a", "b"), 2, "is a feature; --drop 1 leaves it out"),
    ",a,b\n0.5,1,7\n3,2,8\n": (("column 1", "a", "b"), 2, ""),
    "year,1,2,3\n2019,7,5,9\n2020,8,4,7\n": (("year", "1", "2", "3"), 2, "--no-header reads"),
    "a,0\n1,2\n": None,
    "0,1,b\n7,8,9\n": (("0", "1", "b"), 1, ""),
    "NaN,b\n1,2\n": (("NaN", "b"), 1, ""),
    "1,2\n3.5,4.5\n": (None, 2, ""),
}


@pytest.mark.parametrize("text", HEADERS)
def test_headers(tmp_path: Path, text: str) -> None:
    expected = HEADERS[text]
    if expected is None:
        with pytest.raises(UserError, match="--header takes line 1 for names"):
            read(tmp_path / "a.csv", text)
        return
    data, said = read(tmp_path / "a.csv", text)
    assert (data.columns, len(data)) == expected[:2]
    assert expected[2] in said
    assert bool(said) == bool(expected[2])
    told = [read(tmp_path / "a.csv", "0,1\n7,9\n", header=header)[0] for header in (True, False)]
    assert [len(data) for data in told] == [1, 2]


def test_missing_values_are_kept_where_asked(tmp_path: Path) -> None:
    marks = ["", "NA", "N/A", "nan", "NaN", "null", "None", "?", "#N/A"]
    text = "a,b\n" + "".join(f"{mark},{i}\n" for i, mark in enumerate(marks))
    data, said = read(tmp_path / "a.csv", text, missing="keep")
    assert (len(data), said) == (len(marks), "")
    assert data.x[:, 0].isnan().all()
    np.save(tmp_path / "a.npy", np.array([[np.nan, 1.0], [2.0, np.inf]]))
    data = load(tmp_path / "a.npy", missing="keep")
    assert data.rows([0])[0, 0].isnan()
    with pytest.raises(UserError, match=r"row 1, column 1 .* is inf"):
        data.rows([1])
    with pytest.raises(UserError, match="--missing marginalize"):
        load(tmp_path / "a.npy").rows([0])


LABELS: dict[str, tuple[dict[str, Any], Any, Any, str]] = {
    "x,y\n1,2\n": ({}, ("x", "y"), None, ""),
    "a,b,y\n1,2,0\n": ({}, ("a", "b", "y"), None, "'y' is a feature; --label-column y"),
    "a,Label\n1,3\n": ({}, ("a",), [3], "column 'Label' .* --no-label-column keeps it"),
    "a,label\n1,3\n": ({"label_column": None}, ("a", "label"), None, ""),
    "a,y\n1,0\n": ({"label_column": "y"}, ("a",), [0], ""),
    "a,class\n1,oak\n": ({"label_column": 1, "columns": [2]}, None, None, ""),
    "a,kind\n1,oak\n2,elm\n": ({"label_column": "kind"}, ("a",), [1, 0], ""),
    "id,a,kind\nq,1,oak\n": ({"drop": ["id", 3]}, ("a",), None, ""),
    "a,b,label\n1,2,3\n": ({"columns": ["label", 1]}, ("label", "a"), None, ""),
}


@pytest.mark.parametrize("text", LABELS)
def test_labels_and_features_are_chosen(tmp_path: Path, text: str) -> None:
    options, columns, labels, words = LABELS[text]
    if columns is None:
        with pytest.raises(UserError, match="'oak'; expected a finite number"):
            read(tmp_path / "a.csv", text, **options)
        return
    data, said = read(tmp_path / "a.csv", text, **options)
    assert data.columns == columns
    assert (None if data.labels is None else data.labels.tolist()) == labels
    assert data.classes == (("elm", "oak") if "elm" in text else None)
    assert bool(words) == bool(said)
    assert re.search(words, said)


def test_columns_that_are_not_there(tmp_path: Path) -> None:
    for options, words in (
        ({"columns": ["c"]}, "has no column 'c'; its columns are a, a, or 1 to 2 by number"),
        ({"drop": [0]}, "has no column 0"),
        ({"drop": ["a"]}, "columns 1, 2 are all named 'a'; say its number"),
        ({"drop": [1, 2]}, "no column is left"),
    ):
        with pytest.raises(UserError, match=words):
            read(tmp_path / "a.csv", "a,a\n1,2\n", **options)


def test_arrays_of_one_dimension_are_columns(tmp_path: Path) -> None:
    """Coordinates ``x`` and ``y`` are no examples and labels."""
    x, y = np.arange(3.0), np.array([4.0, 4.5, 5.0])
    np.savez(tmp_path / "a.npz", x=x, y=y)
    data = load(tmp_path / "a.npz")
    assert data.columns == ("x", "y")
    assert data.x.tolist() == np.stack([x, y], 1).tolist()
    np.savez(tmp_path / "b.npz", x=np.eye(3), y=np.array(["b", "a", "b"]))
    data = load(tmp_path / "b.npz")
    assert (data.classes, data.labels.tolist()) == (("a", "b"), [1, 0, 1])  # type: ignore[union-attr]
    with pytest.warns(ReadingWarning, match="left out, as labels: y"):
        assert load(tmp_path / "b.npz", label_column=None).labels is None
    with pytest.raises(UserError, match="has no array 'z' of labels"):
        load(tmp_path / "b.npz", label_column="z")


def test_the_rules_of_older_runs(tmp_path: Path) -> None:
    names = ("label", "labels", "class", "target", "y")
    older = {"rules": 1, "label_column": names}
    data, _ = read(tmp_path / "a.csv", "a,b,y\n1,2,0\n3,4,1\n", **older)
    assert (data.columns, data.labels.tolist()) == (("a", "b"), [0, 1])  # type: ignore[union-attr]
    assert len(read(tmp_path / "a.csv", "0,1\n0.5,1.5\n", **older)[0]) == 2
    assert read(tmp_path / "a.csv", ",a\n0,1.5\n", **older)[0].num_features == 2


@pytest.mark.parametrize("content", [bytes(1 << 27), b'"' + b"1\n" * (1 << 26)])
def test_what_a_packed_table_unpacks_to_is_bounded(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(content, 1))
    del content

    def refused() -> None:
        with pytest.raises(UserError, match=r"a.csv.gz"):
            load(tmp_path / "a.csv.gz")

    assert peak_growth(refused) < 100 << 20


def test_columns_of_an_array_are_chosen_by_number(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.arange(12.0).reshape(4, 3))
    data = load(tmp_path / "a.npy", columns=[1, 2], label_column=3)
    assert isinstance(data.stored, np.memmap)
    assert data.x.tolist() == [[0, 1], [3, 4], [6, 7], [9, 10]]
    assert data.labels is not None
    assert data.labels.tolist() == [2, 5, 8, 11]
    assert load(tmp_path / "a.npy", drop=[2]).x.tolist() == [[0, 2], [3, 5], [6, 8], [9, 11]]
    with pytest.raises(UserError, match="has no column 'a'; its columns have no names"):
        load(tmp_path / "a.npy", label_column="a")
    with pytest.raises(UserError, match="digits: holds images, which have no columns"):
        load("digits", drop=[1])
