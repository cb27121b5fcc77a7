# SPDX-License-Identifier: MIT
"""Forms of tables that other programs write, and what is said of those that cannot be read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pyvae.errors import UserError
from tests.data.test_tables import read

READ: dict[str, tuple[Any, list[list[float]]]] = {
    "sep=;\na;b\n1;2\n3;4\n": (("a", "b"), [[1, 2], [3, 4]]),
    "\ufeffsep=;\r\na;b\r\n1,5;2\r\n3;4\r\n": (("a", "b"), [[1.5, 2], [3, 4]]),
    '"a" "b"\n"1" 1.5 2\n"2" 3 4\n': (("a", "b"), [[1.5, 2], [3, 4]]),
    '"a" "b"\n"4" 1.5 2\n"7" 3 4\n"9" 3 4\n': (("a", "b"), [[1.5, 2], [3, 4], [3, 4]]),
    "a,b\n1,2,\n3,4,\n": (("a", "b"), [[1, 2], [3, 4]]),
    "a,b\n# units: m, s, K\n1,2\n# and\n3,4\n": (("a", "b"), [[1, 2], [3, 4]]),
    "a;b\n1.234;5.6\n2.345;111.000\n": (("a", "b"), [[1.234, 5.6], [2.345, 111]]),
}


@pytest.mark.parametrize("text", READ)
def test_forms_that_other_programs_write(tmp_path: Path, text: str) -> None:
    columns, rows = READ[text]
    data, _ = read(tmp_path / "a.csv", text)
    assert data.columns == columns
    assert data.x.tolist() == rows


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "1.234;5.678\n2.345;111.000\n": ({}, "'1.234' may have a decimal point or .* --decimal '.'"),
    'a,b\n"1,234","5,678"\n"2,345","6,789"\n': ({}, "'1,234', .* marks between thousands"),
    '"1,234.5","2"\n"2,345.5","3"\n': ({}, "'1,234.5'; .* marks between thousands"),
    "a;b\n1 234,5;2 345,5\n1 235,5;2 346,5\n": ({}, "'1 234,5', .* marks between thousands"),
    "a,b\n'1','2'\n'3','4'\n": ({}, "single quotes around a number"),
    "a,b\nm,s\n1,2\n3,4\n": ({}, "below it stands 'm', as of a second line of names or of units"),
    "a:b\n1:2\n3:4\n": ({}, "cells parted by ':' are not read"),
    "a;b\n1;2\n3;4\n": ({"delimiter": "tab"}, "parted by semicolon: --delimiter semicolon"),
    "My data\na,b\n1,2\n3,4\n": ({}, "line 2 has 2 cells where .* if line 1 is a title"),
    "a,b\n1,2,3\n4,5,6\n": ({}, "3 cells where .* 2; .* if column 1 names the rows, let line 1"),
    '"a" "b"\n"x" 1.5 2\n"y" 3 4\n': ({}, "is 'x'; .* --label-column 1 takes it for labels$"),
    'a,b\n1,"2\n3,4\n5,6,7\n': ({}, "a quote .* is not closed"),
    'a,b\n1,2\n"3,4\n5,6\n': ({}, "has 1 cells where .* a quote .* is not closed"),
    "sep=:\n1:2\n": ({}, "line 1 .sep=:.: delimiter is ':'; expected one of"),
    "\nname,city\nann,york\n": ({}, "--header takes line 2 for names"),
}


@pytest.mark.parametrize("text", REFUSED)
def test_the_cause_is_named(tmp_path: Path, text: str) -> None:
    options, words = REFUSED[text]
    with pytest.raises(UserError, match=words):
        read(tmp_path / "a.csv", text, **options)
