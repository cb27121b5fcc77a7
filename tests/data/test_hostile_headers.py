# SPDX-License-Identifier: MIT
"""Headers that promise what the file does not hold, or what no array is: refused without memory."""

from __future__ import annotations

import gzip
import io
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pyvae.data import load
from pyvae.errors import UserError
from tests.memory import peak_growth

LARGE = 2**32 - 1


def npy(shape: tuple[Any, ...], content: bytes = b"", kind: str = "<f4") -> bytes:
    text = repr({"descr": kind, "fortran_order": False, "shape": shape}).encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + content


def npz(member: bytes, packing: int = zipfile.ZIP_STORED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", packing) as archive:
        archive.writestr("x.npy", member)
    return file.getvalue()


def idx(*sizes: int, content: bytes = b"") -> bytes:
    return struct.pack(f">HBB{len(sizes)}I", 0, 8, len(sizes), *sizes) + content


def claiming(archive: bytes, size: int) -> bytes:
    """Let the archive's directory tell another unpacked size."""
    data = bytearray(archive)
    at = data.rfind(b"PK\x01\x02") + 24
    data[at : at + 4] = struct.pack("<I", size)
    return bytes(data)


HOSTILE = {
    "negative.npy": (npy((-1, -8), bytes(32)), r"shape \(-1, -8\), which no array has"),
    "true.npy": (npy((True, 8), bytes(32)), r"shape \(True, 8\), which no array has"),
    "deep.npy": (npy((1,) * 40, bytes(4)), "which no array has"),
    "fraction.npy": (npy((2.0, 2), bytes(16)), "readable .npy header|which no array has"),
    "large.npy": (npy((2**44, 10)), "bytes in all, but the file ends at"),
    "empty.npy": (npy((0, 2**62)), "holds no numbers"),
    "large.npz": (npz(npy((2**44, 10))), "array 'x': the header promises"),
    "packed.npz": (npz(npy((2**44, 10)), zipfile.ZIP_DEFLATED), "array 'x': the header promises"),
    "claim.npz": (claiming(npz(npy((2**29 - 20,), bytes(64)), 8), LARGE), "packed ones can hold"),
    "negative.npz": (npz(npy((-2, -4), bytes(32))), "which no array has"),
    "lzma.npz": (npz(npy((2, 4), bytes(32)), zipfile.ZIP_LZMA), "NumPy does not write"),
    "a.idx3": (idx(0, LARGE, LARGE), "holds no numbers"),
    "b.idx3": (idx(LARGE, LARGE, LARGE), "bytes in all, but the file ends at"),
    "c.idx3.gz": (gzip.compress(idx(LARGE, LARGE, LARGE)), "can be unpacked"),
    "d.idx3.gz": (gzip.compress(idx(1, 2, 2) + bytes(5)), "unpacked file goes on to byte 21"),
    "bomb.idx1.gz": (gzip.compress(idx(10) + bytes(1 << 28)), "goes on to byte 19"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_header_is_refused_by_name(tmp_path: Path, name: str) -> None:
    content, words = HOSTILE[name]
    path = tmp_path / name
    path.write_bytes(content)

    def refused() -> None:
        with pytest.raises(UserError, match=words) as caught:
            load(path)
        assert str(path) in str(caught.value)
        assert isinstance(caught.value, ValueError)

    assert peak_growth(refused) < 64 << 20


@pytest.mark.parametrize("name", ["a.csv", "a.npy", "a.idx3", "a.npz"])
def test_a_file_that_is_a_hole_beyond_any_memory(tmp_path: Path, name: str) -> None:
    """Ten terabytes by its length, and nothing on the disk."""
    with (tmp_path / name).open("wb") as file:
        file.truncate(10**13)
    with pytest.raises(UserError, match=name):
        load(tmp_path / name)


def test_a_label_of_any_size_is_a_label(tmp_path: Path) -> None:
    from pyvae.training.metrics import clustering_metrics

    np.savez(tmp_path / "a.npz", x=np.eye(4), y=np.array([10**12, 5, 10**12, 5]))
    labels = load(tmp_path / "a.npz").labels
    assert labels is not None
    found: dict[str, float] = {}
    assert peak_growth(lambda: found.update(clustering_metrics(labels, labels // 7))) < 64 << 20
    assert found["clustering_accuracy"] == 1.0


@pytest.mark.parametrize("label", [1e300, 2.0**63, -1.0])
def test_a_label_that_no_integer_is(tmp_path: Path, label: float) -> None:
    np.savez(tmp_path / "a.npz", x=np.eye(2), y=np.array([1.0, label]))
    with pytest.raises(UserError, match=r"a.npz: label of row 1"):
        load(tmp_path / "a.npz")
