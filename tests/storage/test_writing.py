# SPDX-License-Identifier: MIT
"""Files are replaced whole, under names that nobody can prepare, and never through a link."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from pyvae.storage import writing
from pyvae.storage.lock import RUN, locked
from pyvae.storage.writing import remove_leftovers, write_atomically


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    path = tmp_path / "victim"
    path.write_bytes(b"precious")
    return path


def test_a_link_is_replaced_and_not_written_through(tmp_path: Path, victim: Path) -> None:
    (tmp_path / "run").mkdir()
    target = tmp_path / "run" / "last.ckpt"
    for link in (target, target.with_name(".last.ckpt.part")):
        link.symlink_to(victim)
    write_atomically(target, b"new")
    assert victim.read_bytes() == b"precious"
    assert target.read_bytes() == b"new"
    assert not target.is_symlink()


def test_a_temporary_name_that_is_taken_is_not_used(tmp_path, victim, monkeypatch) -> None:
    """Even if somebody guessed it."""
    monkeypatch.setattr(writing.secrets, "token_hex", lambda _: "0" * 16)
    (tmp_path / f".x.{'0' * 16}.part").symlink_to(victim)
    with pytest.raises(FileExistsError, match="/x'"):
        write_atomically(tmp_path / "x", b"new")
    assert victim.read_bytes() == b"precious"


def test_names_differ(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    replace = os.replace

    def note(source: Path, target: Path) -> None:
        seen.append(source.name)
        replace(source, target)

    monkeypatch.setattr(os, "replace", note)
    for _ in range(3):
        write_atomically(tmp_path / "x", b"new")
    assert len(set(seen)) == 3


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_failure_leaves_the_old_content_and_nothing_else(tmp_path, monkeypatch, call) -> None:
    write_atomically(tmp_path / "x", b"old")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, call, full)
    with pytest.raises(OSError, match=f"No space left on device: '{re.escape(str(tmp_path))}/x'"):
        write_atomically(tmp_path / "x", b"new")
    assert [path.name for path in tmp_path.iterdir()] == ["x"]
    assert (tmp_path / "x").read_bytes() == b"old"


def test_what_a_killed_process_left_goes_with_the_next_lock(tmp_path: Path, victim: Path) -> None:
    left = [f".last.ckpt.{'a1' * 8}.part", ".best.ckpt.part", f".history.csv.{'0' * 16}.part"]
    for name in left[1:]:
        (tmp_path / name).write_bytes(b"half")
    (tmp_path / left[0]).symlink_to(victim)
    mine = [".notes.part", "last.ckpt.part", f".model.safetensors.{'0' * 16}.part", "victim"]
    for name in mine[:-1]:
        (tmp_path / name).write_bytes(b"mine")
    with locked(tmp_path):
        assert {path.name for path in tmp_path.iterdir()} == {*mine, RUN.name}
    assert {path.name for path in tmp_path.iterdir()} == set(mine)
    assert victim.read_bytes() == b"precious"


def test_a_leftover_that_cannot_be_deleted_stops_nothing(tmp_path: Path) -> None:
    (tmp_path / f".last.ckpt.{'0' * 16}.part").mkdir()
    remove_leftovers(tmp_path, RUN.files)
