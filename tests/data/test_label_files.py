# SPDX-License-Identifier: MIT
"""Labels from a file of their own: one an example, and none that is shifted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pyvae.data import load
from pyvae.errors import UserError


@pytest.mark.parametrize(
    "text", ["kind\noak\nelm\noak\n", "oak\nelm\noak\n", "id;kind\n1;oak\n2;elm\n3;oak\n"]
)
def test_names_of_classes_from_a_file_of_their_own(tmp_path: Path, text: str) -> None:
    np.save(tmp_path / "x.npy", np.eye(3))
    (tmp_path / "l.csv").write_text(text)
    column = "kind" if ";" in text else ("label",)
    data = load(tmp_path / "x.npy", labels=tmp_path / "l.csv", label_column=column)
    assert (data.classes, data.labels.tolist()) == (("elm", "oak"), [1, 0, 1])  # type: ignore[union-attr]


LISTS = {
    "oak tree\nelm\noak tree\n": [1, 0, 1],
    '"oak, big"\nelm\n"oak, big"\n': [1, 0, 1],
    "oak, big\nelm\noak, big\n": [1, 0, 1],
    "oak tree\nelm tree\noak tree\n": [1, 0, 1],
    "kind of tree\noak tree\nelm tree\noak tree\n": [1, 0, 1],
    "id label\n7 1\n8 0\n9 1\n": [1, 0, 1],
    "sep=;\nid;label\n7;1\n8;0\n9;1\n": [1, 0, 1],
}


@pytest.mark.parametrize("text", LISTS)
def test_a_line_is_the_name_of_a_class(tmp_path: Path, text: str) -> None:
    np.save(tmp_path / "x.npy", np.eye(3))
    (tmp_path / "l.txt").write_text(text)
    labels = load(tmp_path / "x.npy", labels=tmp_path / "l.txt").labels
    assert labels is not None
    assert labels.tolist() == LISTS[text]


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "0\n2\n1\n2\n": ({}, "holds 4 labels .'0' is the first. for 3 examples; .* --header"),
    "2.0\n0\n1\n1\n": ({}, "holds 4 labels .* for 3 examples"),
    "oak\nelm\noak\nelm\n": ({}, "holds 4 labels .'oak' .* for 3 examples"),
    "5,oak\n6,elm\n7,oak\n8,elm\n": ({"label_column": 2}, "holds 4 labels .* for 3 examples"),
    "l\n2\n0\n1\n": ({"header": False}, "holds 4 labels .* for 3 examples"),
    "0\n2\n1\n2\n1\n": ({}, "holds 5 lines, .* the 3 examples"),
    "label\noak\nNA\noak\n": ({}, "label of row 1 .* is missing .* --no-label-column"),
    "1 0\n2 1\n3 1\n": ({}, "has 2 columns; say which"),
}


@pytest.mark.parametrize("text", REFUSED)
def test_labels_that_do_not_fit_are_counted(tmp_path: Path, text: str) -> None:
    options, words = REFUSED[text]
    np.save(tmp_path / "x.npy", np.eye(3))
    (tmp_path / "l.csv").write_text(text)
    with pytest.raises(UserError, match=words):
        load(tmp_path / "x.npy", labels=tmp_path / "l.csv", **options)


def test_a_number_over_as_many_numbers_names_them_where_told(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.eye(3))
    (tmp_path / "l.csv").write_text("0\n2\n1\n2\n")  # as pandas writes a series without a name
    labels = load(tmp_path / "x.npy", labels=tmp_path / "l.csv", header=True).labels
    assert labels is not None
    assert labels.tolist() == [2, 1, 2]
