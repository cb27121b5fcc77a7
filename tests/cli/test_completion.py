# SPDX-License-Identifier: MIT
"""Completion in a shell: options and their choices, and how it is installed."""

from __future__ import annotations

from pathlib import Path

import pytest

from pyvae.cli.app import run

# The shell is an argument then, and not looked for among the parents of this process.
NAMED = "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("pyvae tr", {"train"}),
        ("pyvae train --print", {"--print-config"}),
        ("pyvae train --schedule ", {"constant", "cosine", "linear"}),
        ("pyvae train --model v", {"vae"}),
        ("pyvae fit-mixture --covariance l", {"low_rank"}),
        ("pyvae fit-mixture --family s", {"student-t"}),
        ("pyvae fit-mixture --covariance t", {"tied", "tied_diag", "tied_spherical"}),
    ],
)
def test_what_is_completed(
    line: str,
    expected: set[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    monkeypatch.setenv("_PYVAE_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", line)
    monkeypatch.setenv("COMP_CWORD", str(line.count(" ")))
    with pytest.raises(SystemExit) as ended:
        run([])
    assert ended.value.code == 0
    assert set(capsys.readouterr().out.split()) == expected


def test_it_is_shown_and_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv(NAMED, "1")
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(SystemExit) as ended:
        run(["--show-completion", "bash"])
    assert ended.value.code == 0
    assert "complete -o default -F _pyvae_completion pyvae" in capsys.readouterr().out
    with pytest.raises(SystemExit) as ended:
        run(["--install-completion", "bash"])
    assert ended.value.code == 0
    (script,) = (tmp_path / ".bash_completions").iterdir()
    assert "_PYVAE_COMPLETE=complete_bash" in script.read_text()
    assert str(script) in (tmp_path / ".bashrc").read_text()
