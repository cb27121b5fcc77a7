# SPDX-License-Identifier: MIT
"""``pyvae fit-kl``."""

from __future__ import annotations

from pathlib import Path

import pytest

from pyvae.cli import fit_kl
from tests.cli.conftest import Cli


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fit_kl, "_STEPS", 3)


def test_prints_and_draws(cli: Cli, tmp_path: Path) -> None:
    result = cli("fit-kl", "--output", tmp_path / "new" / "kl.png")
    assert result.code == 0, result.err
    lines = [line.split() for line in result.out.splitlines()]
    assert ["inclusive", "KL(p", "||", "q)", "0.333333", "1.374369", "0.012187"] in lines
    assert ["exclusive", "KL(q", "||", "p)", "0.321886", "1.353293", "0.013572"] in lines
    assert (tmp_path / "new" / "kl.png").stat().st_size > 10_000


def test_all_optima_are_printed(cli: Cli, tmp_path: Path) -> None:
    arguments = ("--weights", "2,1", "--means=-5,5", "--sigmas", "1,2")
    result = cli("fit-kl", *arguments, "--output", tmp_path / "kl.svg")
    assert result.code == 0, result.err
    assert result.out.count("KL(q || p)") == 2
    assert (tmp_path / "kl.svg").read_bytes().startswith(b"<?xml")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--weights", "a,b"), "--weights: 'a' is no number; expected such as 1/3,2/3"),
        (("--weights", "1/0,1"), "--weights: '1/0' is no number"),
        (("--means", "nan,1"), "--means: 'nan' is out of range; expected up to 1e+100"),
        (("--weights", "inf,1"), "--weights: 'inf' is out of range"),
        (("--sigmas", "1e308,1"), "--sigmas: '1e308' is out of range"),
        (("--sigmas", "1e-9,1"), "--sigmas: 1e-09 is too narrow beside"),
        (("--means=-1e6,1e6",), "--sigmas: 1 is too narrow beside"),
        (("--means", "1"), "have 2, 1 and 2 numbers; expected as many of each"),
        (("--sigmas", "0,1"), "--sigmas above zero"),
        (("--output", "kl.txt"), "--output: kl.txt must end in .png, .pdf or .svg"),
    ],
)
def test_mistakes(cli: Cli, arguments: tuple[str, ...], words: str) -> None:
    result = cli("fit-kl", *arguments)
    assert result.code == 2
    assert words in result.err
