# SPDX-License-Identifier: MIT
"""A fit depends on the numbers and the seed, not on how the numbers are stored."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_val_score

from pyvae.mixture import GaussianMixture, points, start
from pyvae.mixture.arrays import as_tensor
from pyvae.mixture.start import METHODS
from tests.mixture.drawing import KINDS, clusters

each_kind = pytest.mark.parametrize("kind", KINDS)
STATE = ("weights_", "means_", "covariances_", "precisions_", "precisions_cholesky_")


def packed(x: np.ndarray) -> np.ndarray:
    """As a field of records of odd length, so that no number is at a multiple of its size."""
    records = np.zeros(len(x), dtype=[("flag", "i1"), ("x", x.dtype, x.shape[1:])])
    records["x"] = x
    return records["x"]


def backwards(x: np.ndarray) -> np.ndarray:
    """In memory from its last number to its first."""
    return np.flip(np.flip(x).copy())


def read_only(x: np.ndarray) -> np.ndarray:
    x = x.copy()
    x.flags.writeable = False
    return x


def every_second(x: np.ndarray) -> np.ndarray:
    wide = np.repeat(np.repeat(x, 2, axis=0), 2, axis=-1)
    return wide[::2, ..., ::2]


def swapped(x: np.ndarray) -> np.ndarray:
    """With the bytes of every number the other way round."""
    return x.astype(x.dtype.newbyteorder())


STORED: dict[str, Callable[[np.ndarray], Any]] = {
    "backwards": backwards,
    "packed": packed,
    "read only": read_only,
    "every second": every_second,
    "columns": np.asfortranarray,
    "tensor": torch.from_numpy,
    "tensor of columns": lambda x: torch.from_numpy(np.asfortranarray(x)),
}


@pytest.mark.filterwarnings("error:.*not writable")
@pytest.mark.parametrize("stored", STORED.values(), ids=STORED)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_points(stored: Callable[[np.ndarray], Any], dtype: type) -> None:
    """Fits, weights and all that is said of points have equal bits."""
    x, weight = clusters(100).astype(dtype), np.random.default_rng(0).random(300)
    plain = GaussianMixture(3, random_state=0).fit(x, sample_weight=weight)
    other = GaussianMixture(3, random_state=0)
    other.fit(stored(x), sample_weight=stored(weight[:, None])[:, 0])
    for name in STATE:
        np.testing.assert_array_equal(np.asarray(getattr(other, name)), getattr(plain, name))
    for name in ("predict", "predict_proba", "score_samples"):
        found = np.asarray(getattr(plain, name)(stored(x)))
        np.testing.assert_array_equal(found, getattr(plain, name)(x))
    np.testing.assert_array_equal(
        np.asarray(GaussianMixture(3, random_state=0).partial_fit(stored(x)).means_),
        GaussianMixture(3, random_state=0).partial_fit(x).means_,
    )


@each_kind
@pytest.mark.filterwarnings("error:.*not writable")
@pytest.mark.parametrize("stored", [*STORED.values(), swapped], ids=[*STORED, "swapped"])
def test_parameters(stored: Callable[[np.ndarray], Any], kind: str) -> None:
    """Those to start from, and those that are set by hand."""
    x = clusters(100)
    first = GaussianMixture(3, covariance_type=kind, random_state=0).fit(x)

    def given(value: np.ndarray) -> Any:
        if np.ndim(value) == 0:
            return stored(np.array([[value]]))[0, 0]
        return stored(value[:, None])[:, 0] if value.ndim == 1 else stored(value)

    names = ("weights", "means", "precisions")
    init = {f"{name}_init": getattr(first, f"{name}_") for name in names}
    plain = GaussianMixture(3, covariance_type=kind, **init).fit(x)
    other = GaussianMixture(
        3, covariance_type=kind, **{name: given(value) for name, value in init.items()}
    ).fit(x)
    np.testing.assert_array_equal(other.means_, plain.means_)
    for name in STATE:
        setattr(other, name, given(getattr(plain, name)))
    np.testing.assert_array_equal(other.score_samples(x), plain.score_samples(x))


def test_the_door_copies_only_what_it_must() -> None:
    x = clusters(5)
    for shared in (x, x.T, x[::2], x[:, 1:]):
        assert as_tensor(shared).data_ptr() == shared.ctypes.data
    for name, stored in STORED.items():
        np.testing.assert_array_equal(as_tensor(stored(x)).numpy(), x, err_msg=name)
    np.testing.assert_array_equal(as_tensor(swapped(x)).numpy(), x)
    np.testing.assert_array_equal(as_tensor(np.broadcast_to(x[:1], x.shape))[4].numpy(), x[0])


def _map(x: np.ndarray, folder: Path, order: Any = "C") -> np.memmap:
    path = folder / f"{len(list(folder.iterdir()))}.npy"
    np.save(path, np.asarray(x, order=order))
    return np.load(path, mmap_mode="r")


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_mapped_files_of_many_rows(method: str, dtype: type, tmp_path: Path) -> None:
    x = clusters(50_000, d=2).astype(dtype)
    options: dict[str, Any] = {"init_params": method, "random_state": 0, "max_iter": 3, "tol": 0.0}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        inside = GaussianMixture(3, **options).fit(x)
        for mapped in (_map(x, tmp_path), _map(x, tmp_path, "F"), _map(x[::-1], tmp_path)[::-1]):
            outside = GaussianMixture(3, **options).fit(mapped)
            np.testing.assert_array_equal(outside.means_, inside.means_)
            assert outside.lower_bound_ == inside.lower_bound_


@pytest.mark.parametrize("weighted", [False, True])
def test_samples_of_very_many_rows(
    weighted: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is too much for a start is sampled wherever it is, and points without weight never."""
    monkeypatch.setattr(start, "_WHOLE", 1000)
    monkeypatch.setattr(start, "_MOST_ROWS", 300)
    monkeypatch.setattr(points, "_CHUNK", 1000)
    x, weight = clusters(), None
    if weighted:
        weight = np.zeros(len(x))
        weight[1::2] = 1.0
        x[::2] = 1e6
    stored = (x, np.asfortranarray(x), torch.from_numpy(x), _map(x, tmp_path))
    fitted = [GaussianMixture(3, random_state=0).fit(s, sample_weight=weight) for s in stored]
    for other in fitted[1:]:
        np.testing.assert_array_equal(np.asarray(other.means_), fitted[0].means_)
    np.testing.assert_allclose(np.sort(fitted[0].means_.mean(1)), [-3.0, 0.0, 3.0], atol=0.4)


@pytest.mark.filterwarnings("error:.*not writable")
def test_joblib_maps_what_it_sends(tmp_path: Path) -> None:
    """Over 1 MB, arrays reach other processes as read-only maps; so do fitted mixtures."""
    x = clusters(25_000, d=2)
    search = {"n_components": [2, 3]}
    mixture = GaussianMixture(random_state=0, max_iter=5, tol=0.1)
    scores = [
        GridSearchCV(mixture, search, cv=2, n_jobs=jobs).fit(x).cv_results_["mean_test_score"]
        for jobs in (1, 2)
    ]
    np.testing.assert_array_equal(*scores)
    scores = [cross_val_score(mixture, x, cv=2, n_jobs=jobs) for jobs in (1, 2)]
    np.testing.assert_array_equal(*scores)
    joblib.dump(clone(mixture).fit(x), tmp_path / "mixture.joblib")
    again = joblib.load(tmp_path / "mixture.joblib", mmap_mode="r")
    assert not again.means_.flags.writeable
    assert again.score(x) == clone(mixture).fit(x).score(x)
