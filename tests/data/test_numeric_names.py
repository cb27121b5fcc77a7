# SPDX-License-Identifier: MIT
"""Numbers over numbers: asked about where they stand out, and a row where they do not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pyvae.data import load
from pyvae.errors import UserError
from tests.data.test_tables import read

random = np.random.default_rng(0)
COUNTS = random.poisson(3, (50, 4))


def text_of(rows: np.ndarray, before: str = "", form: str = "%.6g") -> str:
    lines = [",".join(form % value for value in row) for row in rows]
    return before + "\n".join(lines) + "\n"


def under(lead: str, text: str) -> str:
    """Put a first column of text over and beside the others."""
    first, *rest = text.splitlines()
    return "\n".join(
        [f"{lead},{first}", *(f"{'abc'[i % 3]},{line}" for i, line in enumerate(rest))]
    )


STANDS_OUT = {
    "years": text_of(COUNTS, "2019,2020,2021,2022\n"),
    "years over large numbers": text_of(COUNTS * 900 + 500, "2019,2020,2021,2022\n"),
    "two": text_of(COUNTS[:, :2], "2019,2020\n"),
    "doses": text_of(COUNTS[:, :3], "100,200,500\n"),
    "doses in a wide range": text_of(COUNTS[:, :3] * 8, "100,200,500\n"),
    "spectra": text_of(random.random((9, 4)), "400.5,401.5,402.7,404.5\n"),
    "descending": text_of(random.random((9, 3)), "4000,3998.5,3997\n"),
    "text beside": under("country", text_of(COUNTS, "2019,2020,2021,2022\n")),
}


@pytest.mark.parametrize("name", STANDS_OUT)
def test_a_line_that_stands_out_is_asked_about(tmp_path: Path, name: str) -> None:
    path = tmp_path / "a.csv"
    with pytest.raises(UserError, match="may be names of columns or a row of numbers; say which"):
        read(path, STANDS_OUT[name])
    if name != "text beside":
        assert len(load(path, header=False)) == 1 + len(load(path, header=True))


PLAIN = {
    "normal": random.normal(size=(60, 3)),
    "correlated": random.normal(size=(60, 1)) + 0.1 * random.normal(size=(60, 4)),
    "digits": random.integers(0, 17, (60, 64)),
    "counts": COUNTS,
    "sorted": np.sort(random.normal(size=(60, 3)), 0),
    "in order": np.sort(random.random((60, 3)), 1).cumsum(0),
    "a lattice": np.arange(60).reshape(20, 3) + 5,
    "windows of a series": np.arange(5, 25)[:, None] + np.arange(3),
    "scales": random.random((60, 3)) * [1, 100, 10000],
    "times": np.stack([np.arange(30), np.arange(30) * 2 + 5, np.arange(30) ** 2 + 9], 1),
}


@pytest.mark.parametrize("name", PLAIN)
def test_plain_numbers_are_rows_without_a_question(tmp_path: Path, name: str) -> None:
    data, said = read(tmp_path / "a.csv", text_of(PLAIN[name]))
    assert (len(data), data.columns, said) == (len(PLAIN[name]), None, "")


def test_a_lattice_from_zero_is_rows(tmp_path: Path) -> None:
    data, said = read(tmp_path / "a.csv", text_of(np.arange(12).reshape(4, 3)))
    assert len(data) == 4
    assert "is taken for a row of numbers; --header" in said


def test_row_numbers_beside_numbers_tell_names(tmp_path: Path) -> None:
    data, said = read(tmp_path / "a.csv", ",2019,2020\n5,1,7\n2,3,8\n")
    assert (data.columns, data.x.tolist()) == (("2019", "2020"), [[1, 7], [3, 8]])
    assert "line 1 (,2019,2020) is taken for names" in said
    assert "it is left out" in said
