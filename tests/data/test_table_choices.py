# SPDX-License-Identifier: MIT
"""Columns that are told are taken once, in their order, with their names and their numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pyvae.data import load
from pyvae.errors import UserError
from tests.data.test_tables import read

BARE = "1,20,300,4000\n4,50,600,5000\n7,80,900,6000\n"

CHOSEN: list[tuple[str, dict[str, Any], Any, list[float]]] = [
    (BARE, {"drop": ["1"]}, None, [20, 300, 4000]),
    (BARE, {"columns": [3, 1]}, None, [300, 1]),
    (BARE, {"columns": [4, 3, 2, 1]}, None, [4000, 300, 20, 1]),
    (BARE, {"columns": [2, 1], "label_column": 4}, None, [20, 1]),
    ("a,b\n1,2\n3,4\n", {"columns": ["b", "a"]}, ("b", "a"), [2, 1]),
    ("a;b\n1,5;2\n3;4\n", {"columns": ["b", "a"]}, ("b", "a"), [2, 1.5]),
]


@pytest.mark.parametrize(("text", "options", "columns", "row"), CHOSEN)
def test_columns_are_chosen_once(
    tmp_path: Path, text: str, options: dict[str, Any], columns: Any, row: list[float]
) -> None:
    data, _ = read(tmp_path / "a.csv", text, **options)
    assert data.columns == columns
    assert data.x[0].tolist() == row


def test_a_column_told_twice_is_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.eye(3))
    for name, columns in (("a.csv", ["a", "a"]), ("a.csv", ["a", 1]), ("x.npy", [2, "2"])):
        (tmp_path / "a.csv").write_text("a,b\n1,2\n")
        with pytest.raises(UserError, match=r"columns takes column .*twice"):
            load(tmp_path / name, columns=columns)


def test_whoever_has_no_use_for_labels_is_not_told_of_them(tmp_path: Path) -> None:
    path = tmp_path / "iris.csv"
    path.write_text("a,b,kind\n1,2,oak\n3,4,elm\n")
    with pytest.raises(ValueError, match="--drop kind leaves it out, --label-column kind takes"):
        load(path)
    with pytest.raises(ValueError, match=r"--drop kind leaves it out$"):
        load(path, label_column=None)
