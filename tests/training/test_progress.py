# SPDX-License-Identifier: MIT
"""What a run shows on a terminal, in a file, and when it is asked to be silent."""

from __future__ import annotations

import io
import re
import sys

import pytest
from rich.console import Console

from pyvae.progress import FitProgress
from pyvae.training.progress import ProgressReport
from tests.training.helpers import blobs, small_model, small_trainer


def row(epoch: int, **more: float) -> dict:
    parts = {"reconstruction": -9.0, "log_prob_w": -4.0, "neg_kl_z": -0.5, "entropy_w": 2.5}
    end = {"effective_components": 2.75, "active_units": 4}
    return {"epoch": epoch, "phase": "joint", "bound": -11.0, **parts, **end, **more}


def shown(mode: str, *, terminal: bool, epochs: int = 3, width: int = 160, **more: float) -> str:
    out = io.StringIO()
    console = Console(file=out, force_terminal=terminal, width=width)
    with ProgressReport(mode, epochs, 0, console) as report:
        for epoch in range(1, epochs + 1):
            report.epoch(row(epoch, **more))
    return out.getvalue()


def last_frame(text: str) -> list[str]:
    """Lines of what a bar shows in the end."""
    frame = text[text.rindex("\x1b[2K") :]  # each frame begins by clearing the lines of the last
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", frame).replace("\r", "").splitlines()


def test_plain_lines_hold_the_bound_and_its_parts():
    lines = shown("auto", terminal=False).splitlines()
    assert lines[0] == (
        "epoch 1/3 joint: bound -11.00  rec -9.00  w|z -4.00  -KL z -0.50  H w 2.50  "
        "components 2.8  active 4"
    )
    assert len(lines) == 3
    assert "\x1b" not in "".join(lines)


def test_long_runs_print_a_few_lines():
    lines = shown("plain", terminal=False, epochs=400).splitlines()
    assert len(lines) == 21
    assert lines[-1].startswith("epoch 400/400")


def test_a_terminal_gets_a_bar():
    text = shown("auto", terminal=True)
    assert "3/3" in text
    assert "bound -11.00" in text
    assert "\x1b[" in text


@pytest.mark.parametrize("width", [80, 60, 40])
def test_a_bar_fits_the_terminal(width: int):
    """With all figures, as large as they come, none cut off or broken."""
    large = {"bound": -1105.12, "reconstruction": -1098.5, "val_bound": -1110.25}
    frame = last_frame(shown("bar", terminal=True, epochs=200, width=width, **large))
    assert max(map(len, frame)) <= width
    assert "…" not in "".join(frame)
    assert "200/200 0:00:00" in frame[0]
    figures = [figure for line in frame[1:] for figure in line.split("  ")]
    assert figures == [
        "bound -1105.12", "rec -1098.50", "w|z -4.00", "-KL z -0.50", "H w 2.50", "val -1110.25",
        "components 2.8", "active 4",
    ]  # fmt: skip


@pytest.mark.parametrize("width", [80, 40])
def test_the_bar_of_a_fit_fits_the_terminal(width: int, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    with FitProgress(1, 1000, total=200, name="start 1", step="iteration") as progress:
        for iteration in range(1, 201):
            progress.told(iteration, ["-123457 nats a point", "change 1.25e-05"])
    frame = last_frame(sys.stderr.getvalue())  # type: ignore[attr-defined]
    assert max(map(len, frame)) <= width
    assert "200/200" in frame[0]
    assert frame[1].split("  ") == ["-123457 nats a point", "change 1.25e-05"]


@pytest.mark.parametrize("terminal", [True, False])
def test_silence(terminal):
    assert shown("silent", terminal=terminal).strip() == ""


def test_a_silent_run_prints_nothing(capfd):
    small_trainer().fit(small_model(), blobs())
    assert capfd.readouterr() == ("", "")
