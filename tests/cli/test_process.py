# SPDX-License-Identifier: MIT
"""The installed command as a process: signals, pipes, terminals, and how fast the help is."""

from __future__ import annotations

import io
import os
import pty
import re
import signal
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

import pytest
from rich.console import Console

from pyvae.cli.terminal import steps

from .conftest import SMALL

PYVAE = (sys.executable, "-m", "pyvae")


def call(*args: object, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*PYVAE, *map(str, args)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
    )


def test_help_does_not_import_torch():
    code = (
        "import sys; from pyvae.cli.app import run; "
        "asked = ('--help', 'train --help', '--version', 'train --x', 'train --print-config'); "
        "codes = [run(a.split()) for a in asked]; "
        "heavy = {'torch', 'numpy', 'matplotlib', 'sklearn'} & set(sys.modules); "
        "sys.exit(f'{codes} {heavy}')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr.splitlines()[-1] == "[0, 0, 0, 2, 0] set()"


@pytest.mark.parametrize("part", ["plots", "settings", "cli"])
def test_a_part_without_torch_is_imported_without_torch(part: str) -> None:
    code = f"import sys; from pyvae import {part}; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_script_is_installed():
    script = Path(sysconfig.get_path("scripts")) / "pyvae"
    done = subprocess.run([script, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("pyvae ")


def test_mistakes_in_a_process(tmp_path: Path):
    done = call("train", "--data", tmp_path / "none.csv", "--output", tmp_path / "run")
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith(f"pyvae: error: {tmp_path / 'none.csv'}: no such file")
    assert done.stderr.count("\n") == 1


def test_an_unknown_instruction_set_is_a_mistake():
    done = call("info", PYVAE_CPU_ISA="mmx")
    assert done.returncode == 2
    assert done.stderr.startswith("pyvae: error: PYVAE_CPU_ISA: ")
    assert done.stderr.count("\n") == 1


def test_a_reader_that_stops_reading_gets_no_complaint():
    with subprocess.Popen(
        [*PYVAE, "info"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 1


def test_ctrl_c_says_how_to_go_on(tmp_path: Path, digits_file: Path):
    folder = tmp_path / "run"
    # A shell starts what runs in the background deaf to Ctrl-C, and so the suite's own children.
    hears = "import runpy, signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    pyvae = [sys.executable, "-c", hears + "runpy.run_module('pyvae', run_name='__main__')"]
    with subprocess.Popen(
        [*pyvae, "train", "--data", digits_file, *SMALL, "--epochs", "100000", "--output", folder],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        deadline = time.monotonic() + 120
        while not (folder / "last.ckpt").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err == f"pyvae: interrupted: go on with: pyvae train --output {folder} --resume\n"


@pytest.mark.parametrize("width", [80, 40])
def test_steps_fit_a_terminal(width: int):
    out = io.StringIO()
    words = "scikit-learn's GaussianMixture on 10,000 of 60,000 rows"
    with steps(Console(file=out, force_terminal=True, width=width)) as told:
        told("scoring")
        told(words)
    frame = re.sub(
        r"\x1b\[[0-9;?]*[a-zA-Z]", "", out.getvalue()[out.getvalue().rindex("\x1b[2K") :]
    )
    lines = frame.replace("\r", "").splitlines()
    assert max(map(len, lines)) <= width
    assert [word for word in frame.split() if ":" not in word] == ["scoring", *words.split()]


def test_a_terminal_gets_tables_that_fit(trained: Path):
    """Through a pseudo-terminal, as a person would see it."""
    leader, follower = pty.openpty()
    environment = {**os.environ, "COLUMNS": "60", "TERM": "xterm-256color"}
    command = [*PYVAE, "evaluate", trained, "--no-baselines", "--samples", "2"]
    with subprocess.Popen(command, stdout=follower, stderr=follower, env=environment) as process:
        os.close(follower)
        shown = b""
        while True:
            try:
                chunk = os.read(leader, 65536)
            except OSError:  # Linux's way of saying that the other end is closed
                break
            if not chunk:
                break
            shown += chunk
    os.close(leader)
    assert process.returncode == 0
    text = shown.decode()
    assert "\x1b[1m" in text
    left = re.sub(r"[^\n]*\x1b\[2K", "", text)  # what the terminal cleared is gone
    plain = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", left).replace("\r", "")
    assert max(map(len, plain.splitlines())) <= 60
    assert "evidence lower bound" in plain
