# SPDX-License-Identifier: MIT
"""One run, one folder: the lock is the operating system's, and goes with the process."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pyvae.errors import UserError
from pyvae.storage import lock
from pyvae.storage.lock import MODEL, RUN, locked

HOLD = """
import sys, time
from pathlib import Path
from pyvae.storage.lock import locked
with locked(Path(sys.argv[1])):
    print('held', flush=True)
    time.sleep(600)
"""


@contextmanager
def held_elsewhere(folder: Path, code: str = HOLD) -> Iterator[subprocess.Popen[str]]:
    """Let another process hold the lock."""
    command = [sys.executable, "-c", code, str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        try:
            yield process
        finally:
            process.kill()


def is_free(folder: Path) -> bool:
    try:
        with locked(folder):
            return True
    except UserError as error:
        return f"{folder} is in use: another run is going there" not in str(error)


def test_a_process_that_lives_keeps_others_out_and_a_dead_one_does_not(tmp_path: Path) -> None:
    with held_elsewhere(tmp_path) as process:
        assert not is_free(tmp_path)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert (tmp_path / RUN.name).exists()  # it locks nothing by being there
        assert is_free(tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_forked_child_does_not_hold_it_on(tmp_path: Path) -> None:
    """Such as a loader's worker, which outlives a killed run by seconds."""
    fork = "    import os\n    child = os.fork()\n    child or print('held', flush=True)\n"
    code = HOLD.replace("    print('held', flush=True)\n", fork)
    code = code.replace("time.sleep(600)", "time.sleep(600 if child else 20)")
    with held_elsewhere(tmp_path, code) as process:
        assert not is_free(tmp_path)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert is_free(tmp_path)


def test_a_child_that_leaves_does_not_free_it(tmp_path: Path) -> None:
    with locked(tmp_path):
        child = os.fork()
        if child == 0:
            try:
                raise SystemExit
            except SystemExit:
                os._exit(0)
        os.waitpid(child, 0)
        assert (tmp_path / RUN.name).exists()
        with held_by_thread() as ask:
            assert not ask(tmp_path)


@contextmanager
def held_by_thread() -> Iterator:
    def ask(folder: Path) -> bool:
        found: list[bool] = []
        thread = threading.Thread(target=lambda: found.append(is_free(folder)))
        thread.start()
        thread.join()
        return found[0]

    yield ask


def test_the_holder_may_take_it_again_and_another_thread_may_not(tmp_path: Path) -> None:
    with held_by_thread() as ask:
        with locked(tmp_path):
            with locked(tmp_path):
                pass
            assert not ask(tmp_path)
        assert ask(tmp_path)


def test_uses_do_not_exclude_each_other(tmp_path: Path) -> None:
    with locked(tmp_path), locked(tmp_path, MODEL, wait=True):
        pass


def test_a_link_or_a_folder_in_its_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("precious")
    (tmp_path / RUN.name).symlink_to(tmp_path / "victim")
    with pytest.raises(UserError, match=r".run.lock is a symbolic link"):
        locked(tmp_path).__enter__()
    (tmp_path / RUN.name).unlink()
    os.mkfifo(tmp_path / RUN.name)
    with pytest.raises(UserError, match=r".run.lock is no plain file"):
        locked(tmp_path).__enter__()
    assert (tmp_path / "victim").read_text() == "precious"


def test_where_there_are_no_locks_it_is_said(tmp_path, monkeypatch) -> None:
    def missing(*_: object) -> None:
        raise OSError(errno.ENOTSUP, "Operation not supported")

    monkeypatch.setattr(lock.fcntl, "flock", missing)
    with pytest.warns(RuntimeWarning, match="no file locks here .Operation not supported.: see to"):
        locked(tmp_path).__enter__()
    monkeypatch.setattr(lock, "fcntl", None)
    with pytest.warns(RuntimeWarning, match="no file locks here: see to"):
        locked(tmp_path).__enter__()
    with locked(tmp_path, MODEL, wait=True):
        pass
