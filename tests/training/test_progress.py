# SPDX-License-Identifier: MIT
"""What a run shows on a terminal, in a file, and when it is asked to be silent."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from pyvae.training.progress import ProgressReport
from tests.training.helpers import blobs, small_model, small_trainer


def row(epoch: int) -> dict:
    parts = {"reconstruction": -9.0, "log_prob_w": -4.0, "neg_kl_z": -0.5, "entropy_w": 2.5}
    more = {"effective_components": 2.75, "active_units": 4}
    return {"epoch": epoch, "phase": "joint", "bound": -11.0, **parts, **more}


def shown(mode: str, *, terminal: bool, epochs: int = 3) -> str:
    out = io.StringIO()
    console = Console(file=out, force_terminal=terminal, width=160)
    with ProgressReport(mode, epochs, 0, console) as report:
        for epoch in range(1, epochs + 1):
            report.epoch(row(epoch))
    return out.getvalue()


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


@pytest.mark.parametrize("terminal", [True, False])
def test_silence(terminal):
    assert shown("silent", terminal=terminal).strip() == ""


def test_a_silent_run_prints_nothing(capfd):
    small_trainer().fit(small_model(), blobs())
    assert capfd.readouterr() == ("", "")
