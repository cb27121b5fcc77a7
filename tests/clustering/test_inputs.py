# SPDX-License-Identifier: MIT
"""Examples in other containers than arrays: they give what their array gives."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import ConcatDataset, DataLoader, Dataset, IterableDataset, Subset

from pyvae.clustering import InvariantClustering, examples
from pyvae.data import Data

SHORT: dict[str, Any] = {"n_steps": 3, "n_refining_steps": 2, "n_init": 1, "random_state": 0}
TABLE = np.random.RandomState(0).randn(30, 4).astype(np.float32)
PIXELS = np.random.RandomState(1).randint(0, 256, (30, 6, 5), np.uint8)


class Pairs(Dataset):
    """Examples with a label, which nobody may read."""

    def __init__(self, x: Any, kind: type = tuple) -> None:
        self.x, self.kind = x, kind

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, index: int) -> Any:
        return self.kind((self.x[index], None))


def is_as_of(given: Any, array: Any) -> InvariantClustering:
    before = torch.random.get_rng_state()
    found, expected = (InvariantClustering(2, **SHORT).fit(x) for x in (given, array))
    assert torch.equal(before, torch.random.get_rng_state())
    assert found.classifier_.shape == expected.classifier_.shape
    assert type(found.labels_) is np.ndarray
    np.testing.assert_array_equal(found.labels_, expected.labels_)
    np.testing.assert_array_equal(found.predict_proba(given), expected.predict_proba(array))
    return found


@pytest.mark.parametrize("kind", [tuple, list])
def test_datasets(kind: type, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pyvae.examples._BATCH", 7)
    is_as_of(Pairs(TABLE, kind), TABLE)
    is_as_of(Pairs(torch.from_numpy(TABLE).double(), kind), TABLE.astype(np.float64))


def test_datasets_of_images() -> None:
    x = torch.from_numpy(PIXELS)
    assert examples.gathered(Pairs(x[:, None])).shape == (30, 1, 6, 5)
    assert is_as_of(Pairs(x), PIXELS).classifier_.shape == (1, 6, 5)


def test_data_say_that_their_rows_are_images() -> None:
    scaled = PIXELS.reshape(30, -1).astype(np.float32) * np.float32(1 / 255)
    data = Data(PIXELS.reshape(30, -1), image_shape=(6, 5), scale=1 / 255)
    is_as_of(data, scaled.reshape(30, 6, 5))
    for part in (Subset(data, range(20)), ConcatDataset([data, data])):
        assert examples.gathered(part).shape == (len(part), 6, 5)
    colours = Data(PIXELS.reshape(10, -1), image_shape=(3, 6, 5))
    assert examples.gathered(colours).shape == (10, 3, 6, 5)
    assert is_as_of(Data(TABLE), TABLE).n_features_in_ == 4


@pytest.mark.parametrize(("offset", "unit"), [(1e6, 50.0), (-1.0, 2.0), (-1e-3, 1e-5), (0.0, 1e30)])
def test_units_and_offset_of_pixels_do_not_matter(offset: float, unit: float) -> None:
    """A contrast that is small beside its offset is all that there is to see."""
    x = torch.from_numpy(PIXELS)[:, None].double() / 256
    expected = examples.Scaling.of(x)(x)
    assert (expected.min(), expected.max()) == (0.0, 1.0)
    other = offset + unit * x
    torch.testing.assert_close(examples.Scaling.of(other)(other), expected)


@pytest.mark.parametrize("value", [0.0, 1e6])
def test_pixels_that_differ_by_rounding_are_all_dark(value: float) -> None:
    x = torch.full((4, 1, 3, 3), value).double()
    x[0] = np.nextafter(value, 2e6) if value else 0.0
    assert examples.Scaling.of(x)(x).abs().max() < 1e-9


@pytest.mark.parametrize("columns", [["a", "b", "c", "d"], [0, 1, 2, 3]])
def test_frames(columns: list[Any]) -> None:
    frame = pytest.importorskip("pandas").DataFrame(TABLE, columns=columns)
    found = is_as_of(frame, TABLE)
    assert list(getattr(found, "feature_names_in_", [0, 1, 2, 3])) == columns


class Stream(IterableDataset):
    """Examples one after the other."""

    def __iter__(self) -> Any:
        return iter(torch.from_numpy(TABLE))


def test_what_has_no_order_or_no_shape() -> None:
    found = InvariantClustering(2, **SHORT)
    for x in (DataLoader(Pairs(TABLE)), Stream()):
        with pytest.raises(
            TypeError, match=r"whose examples have no fixed order; expected.*loader\.dataset"
        ):
            found.fit(x)
    ragged = Pairs([torch.zeros(2), torch.zeros(3)])
    with pytest.raises(ValueError, match="the data's items cannot be stacked"):
        found.fit(ragged)
    with pytest.raises(ValueError, match=r"shape \(0, 0\); expected images"):
        found.fit(Pairs([]))
    with pytest.raises(ValueError, match=r"rows of 30 numbers; expected 28, as its image_shape"):
        found.fit(Data(PIXELS.reshape(30, -1), image_shape=(7, 4)))
    fitted = InvariantClustering(2, **SHORT).fit(TABLE)
    with pytest.raises(ValueError, match=r"shape \(1, 6, 5\); the fit had \(4,\)"):
        fitted.predict(Pairs(PIXELS))
