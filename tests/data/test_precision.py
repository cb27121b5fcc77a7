# SPDX-License-Identifier: MIT
"""Numbers are read in the precision that their source holds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from pyvae.data import load
from pyvae.training.batches import Batches
from pyvae.training.checkpoint import check_same_run
from tests.training.helpers import small_model, small_trainer

TIMES = 1.7e9 + np.arange(40.0).reshape(20, 2)
PLACES = 48.1 + 1e-7 * np.arange(40.0).reshape(20, 2)


def write(path: Path, x: np.ndarray) -> Path:
    if path.suffix == ".npz":
        np.savez(path, x=x)
    elif path.suffix == ".npy":
        np.save(path, x)
    else:
        path.write_text("\n".join(",".join(map(repr, row)) for row in x.tolist()))
    return path


@pytest.mark.parametrize("x", [TIMES, PLACES, TIMES * 1e31], ids=["times", "places", "large"])
@pytest.mark.parametrize("name", ["a.csv", "a.npz", "a.npy", "big-endian.npy"])
def test_distinct_points_stay_distinct(tmp_path: Path, name: str, x: np.ndarray) -> None:
    stored = x.astype(">f8") if name.startswith("big") else x
    data = load(write(tmp_path / name, stored))
    assert data.x.dtype == torch.float64
    np.testing.assert_array_equal(data.x.numpy(), x)
    np.testing.assert_array_equal(data.rows([3, 1]).numpy(), x[[3, 1]])


@pytest.mark.parametrize(
    ("kind", "expected"),
    [("f2", "float32"), (">f4", "float32"), ("i2", "float32"), ("u1", "float32"), ("?", "float32"),
     ("i4", "float64"), (">u4", "float64"), ("i8", "float64"), ("u8", "float64"), ("g", "float64")],
)  # fmt: skip
def test_the_type_of_the_rows_follows_the_stored_one(
    tmp_path: Path, kind: str, expected: str
) -> None:
    x = np.array([[0, 1], [1, 0]]).astype(kind)
    data = load(write(tmp_path / "a.npy", x))
    assert data.x.dtype == getattr(torch, expected)
    np.testing.assert_array_equal(data.x.numpy(), x.astype(expected))


def test_text_is_kept_in_the_least_precision_that_holds_it(tmp_path: Path) -> None:
    for text, expected in (("0.5,3\n", torch.float32), ("0.1,3\n", torch.float64)):
        (tmp_path / "a.csv").write_text(text)
        assert load(tmp_path / "a.csv").x.dtype == expected


@pytest.mark.parametrize(
    "value", [2**53 + 1, -(2**53) - 1, 2**63 - 1, np.uint64(2**64 - 1), np.longdouble(1) / 3]
)
def test_what_float64_would_round_is_named(tmp_path: Path, value) -> None:
    if isinstance(value, np.longdouble) and np.longdouble is np.float64:
        pytest.skip("long double is float64 here")
    write(tmp_path / "a.npy", np.array([[1, 1], [1, value]], dtype=np.asarray(value).dtype))
    with pytest.raises(ValueError, match=r"a.npy: row 1, column 1 .* which float64 does not hold"):
        load(tmp_path / "a.npy").rows([1])
    if isinstance(value, int):
        (tmp_path / "a.csv").write_text(f"1,{value}\n")
        with pytest.raises(ValueError, match=r"a.csv: line 1, column 2 .* that float64 rounds"):
            load(tmp_path / "a.csv")
    exact = np.array([[2**60, 1]])  # beyond 2**53, and a number of float64
    assert load(write(tmp_path / "b.npy", exact)).x[0, 0] == 2.0**60


def test_float64_trains_a_float32_model_and_an_older_run_goes_on(tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(60, 6))
    data = load(write(tmp_path / "a.npy", x))
    model = small_model(likelihood="gaussian")
    small_trainer(epochs=2, output_dir=tmp_path / "run").fit(model, data)
    assert model.like.dtype == torch.float32
    now = {"data": Batches(data).fingerprint()}
    older = {"data": Batches(torch.from_numpy(x).float()).fingerprint()}
    check_same_run(tmp_path, older, now)
    shifted = {"data": Batches(load(write(tmp_path / "b.npy", x + 1e-12))).fingerprint()}
    with pytest.raises(ValueError, match="belongs to another data: exact_digest was"):
        check_same_run(tmp_path, now, shifted)
