# SPDX-License-Identifier: MIT
"""Fits of an array that is mapped from a file, which need not fit in memory."""

from __future__ import annotations

import subprocess
import sys
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pyvae.mixture import GaussianMixture, arrays, points
from pyvae.mixture.gaussian_em import GaussianEM
from pyvae.mixture.start import METHODS
from pyvae.mixture.sums import Sums
from tests.memory import resident
from tests.mixture.drawing import KINDS, clusters, same_start

LARGE = 400 * 2**20  # bytes of the file
LIMIT = 160 * 2**20  # bytes of memory that a fit may take beyond what the imports took
FIT = """
import os, resource, sys
import numpy as np
from pyvae.mixture import GaussianMixture

path, limit = sys.argv[1], int(sys.argv[2])
status = open("/proc/self/status").read()
held = 1024 * int(status.split("VmData:")[1].split()[0])
resource.setrlimit(resource.RLIMIT_DATA, (held + limit,) * 2)
try:
    np.ones(os.path.getsize(path), dtype=np.uint8)
except MemoryError:
    print("limited")
x = np.load(path, mmap_mode="r")
start = {"weights_init": [0.5, 0.5], "means_init": [[-2.0] * 16, [2.0] * 16],
         "precisions_init": np.ones((2, 16))}
fitted = GaussianMixture(2, covariance_type="diag", max_iter=3, tol=0.1, **start).fit(x)
print(fitted.means_.mean(1).round(2).tolist())
print(len(fitted.predict(x[:1000])), np.bincount(fitted.predict(x)).tolist())
"""


@pytest.fixture(autouse=True)
def _small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(points, "_CHUNK", 1000)


def mapped(x: np.ndarray, folder: Path) -> np.memmap:
    np.save(folder / "x.npy", x)
    return np.load(folder / "x.npy", mmap_mode="r")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_equal_to_the_fit_in_memory(kind: str, dtype: type, tmp_path: Path) -> None:
    x = clusters().astype(dtype)
    weight = np.random.default_rng(0).random(len(x))
    options = same_start(x, kind)
    inside = GaussianMixture(**options).fit(x, sample_weight=weight)
    outside = GaussianMixture(**options).fit(mapped(x, tmp_path), sample_weight=weight)
    rtol = 1e-9 if dtype == np.float64 else 1e-4
    np.testing.assert_allclose(outside.means_, inside.means_, rtol=rtol, atol=rtol)
    np.testing.assert_allclose(outside.covariances_, inside.covariances_, rtol=rtol, atol=rtol)
    assert (outside.predict(mapped(x, tmp_path)) == inside.predict(x)).mean() > 0.999


@pytest.mark.parametrize("method", METHODS)
def test_starts(method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pyvae.mixture.start._MOST_ROWS", 200)
    x = clusters()
    fitted = GaussianMixture(3, init_params=method, n_init=4, max_iter=300, random_state=0)
    fitted.fit(mapped(x, tmp_path))
    np.testing.assert_allclose(np.sort(fitted.means_.mean(1)), [-3.0, 0.0, 3.0], atol=0.3)


def test_a_row_that_is_not_finite(tmp_path: Path) -> None:
    x = clusters()
    x[777, 2] = np.nan
    with pytest.raises(ValueError, match="NaN or infinity in row 777"):
        GaussianMixture(3).fit(mapped(x, tmp_path))
    fitted = GaussianMixture(3, missing_values="marginalize", random_state=0)
    assert fitted.fit(mapped(x, tmp_path)).converged_


def test_sums_of_chunks_are_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    of_chunk, made, most = GaussianEM.sums, [], 0

    def sums(*args: Any) -> Sums:
        nonlocal most
        found = of_chunk(*args)
        made.append(weakref.ref(found))
        most = max(most, sum(each() is not None for each in made))
        return found

    monkeypatch.setattr(GaussianEM, "sums", sums)
    x = clusters()
    GaussianMixture(**same_start(x, "diag")).fit(mapped(x, tmp_path))
    assert len(made) > 10
    assert most <= 3


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux what it holds of a file")
def test_rows_that_were_read_are_let_go(tmp_path: Path) -> None:
    size, step = 2**26, 2**16
    x = np.lib.format.open_memmap(tmp_path / "x.npy", "w+", np.float32, (size // 64, 16))
    x[:] = 1.0
    x.flush()
    del x
    x = np.load(tmp_path / "x.npy", mmap_mode="r")
    before = resident()
    for at in range(0, len(x), step):
        assert (arrays.rows(x, slice(at, at + step)) == 1.0).all()
    assert resident() - before < size / 4


def test_changes_of_a_private_map_stay(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.zeros((4096, 16), dtype=np.float32))
    x = np.load(tmp_path / "x.npy", mmap_mode="c")
    x[:] = 1.0
    for _ in range(2):
        assert (arrays.rows(x, slice(0, len(x))) == 1.0).all()


@pytest.mark.skipif(sys.platform != "linux", reason="limits memory as Linux does")
def test_a_file_larger_than_memory(tmp_path: Path) -> None:
    rows = LARGE // (4 * 16)
    path = tmp_path / "large.npy"
    x = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=(rows, 16))
    random = np.random.default_rng(0)
    for part in np.array_split(x, 50):
        part[:] = random.standard_normal(part.shape, dtype=np.float32)
        part[::4] += 3.0
        part[1::4] += 3.0
        part[2::4] -= 3.0
        part[3::4] -= 3.0
    x.flush()
    del x
    command = [sys.executable, "-c", FIT, str(path), str(LIMIT)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    path.unlink()
    assert done.returncode == 0, done.stderr
    limited, means, counts = done.stdout.splitlines()
    assert limited == "limited"
    assert means == "[-3.0, 3.0]"
    assert counts == f"1000 [{rows // 2}, {rows // 2}]"
