# SPDX-License-Identifier: MIT
"""Points that come in batches: loaders, datasets, Arrow tables and files, any other iterable."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet as pq
import pytest
import torch
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

from pyvae.mixture import (
    BayesianGaussianMixture,
    BernoulliMixture,
    CategoricalMixture,
    GaussianMixture,
    StudentTMixture,
    TableMixture,
    select_mixture,
)
from pyvae.mixture.streams import Stream, is_batches, opened
from tests.memory import peak_growth

D = 3
X = np.random.default_rng(0).normal(size=(300, D)) + 6.0 * (np.arange(300) % 2)[:, None]
NAMES = ["a", "b", "c"]


class Batches:
    """An iterable that begins anew."""

    def __init__(self, *batches: Any) -> None:
        self.batches = batches

    def __iter__(self) -> Iterator[Any]:
        return iter(self.batches)


class Streamed(IterableDataset):
    def __iter__(self) -> Iterator[torch.Tensor]:
        return iter(torch.from_numpy(X).split(70))


def table() -> Any:
    return pa.table({name: X[:, i] for i, name in enumerate(NAMES)})


def parquet(folder: Path) -> Path:
    pq.write_table(table(), folder / "points.parquet", row_group_size=64)
    return folder / "points.parquet"


FORMS: dict[str, Callable[[Path], Any]] = {
    "list": lambda _: [X[:100], X[100:101], X[101:101], X[101:]],
    "tuples": lambda _: Batches((X[:200], "labels"), [X[200:], None]),
    "loader": lambda _: DataLoader(TensorDataset(torch.from_numpy(X)), batch_size=64),
    "dataset": lambda _: TensorDataset(torch.from_numpy(X)),
    "stream": lambda _: Streamed(),
    "table": lambda _: table(),
    "record batch": lambda _: table().to_batches()[0],
    "parquet": lambda folder: pq.ParquetFile(parquet(folder)),
    "arrow dataset": lambda folder: pyarrow.dataset.dataset(parquet(folder)),
    "scanner": lambda folder: pyarrow.dataset.dataset(parquet(folder)).scanner(NAMES),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_fit_to_batches_is_that_to_their_rows(form: str, tmp_path: Path) -> None:
    batches = FORMS[form](tmp_path)
    settings = {"n_components": 2, "random_state": 0, "reg_covar": 0.0}
    expected = GaussianMixture(**settings).fit(X)
    found = GaussianMixture(**settings).fit(batches)
    assert found.lower_bound_ == expected.lower_bound_
    has_tensors = isinstance(found.means_, torch.Tensor)
    assert has_tensors == (form in ("loader", "dataset", "stream"))
    np.testing.assert_array_equal(found.means_, expected.means_)
    for name in ("predict", "predict_proba", "score_samples"):
        said = getattr(found, name)(batches)
        assert isinstance(said, torch.Tensor) == has_tensors
        np.testing.assert_array_equal(said, getattr(expected, name)(X))
    assert found.bic(batches) == expected.bic(X)
    assert found.icl(batches) == expected.icl(X)
    arrow = "a" if form in ("table", "record batch", "parquet", "arrow dataset", "scanner") else ""
    assert getattr(found, "feature_names_in_", [""])[0] == arrow


def test_weights_go_by_the_order() -> None:
    weight = np.arange(300.0)
    expected = GaussianMixture(2, random_state=0).fit(X, sample_weight=weight)
    found = GaussianMixture(2, random_state=0).fit([X[:9], X[9:]], sample_weight=weight)
    np.testing.assert_array_equal(found.means_, expected.means_)
    labels = np.where(np.arange(300) < 9, np.arange(300) % 2, -1)
    expected = GaussianMixture(2, random_state=0).fit(X, labels=labels)
    found = GaussianMixture(2, random_state=0).fit([X[:9], X[9:]], labels=labels)
    np.testing.assert_array_equal(found.means_, expected.means_)


def test_a_loader_that_shuffles() -> None:
    """A fit does not mind; what is said of each point, and their weights, would be of others."""
    generator = torch.Generator().manual_seed(0)
    rows = TensorDataset(torch.from_numpy(X))
    loader = DataLoader(rows, batch_size=50, shuffle=True, generator=generator)
    expected = GaussianMixture(2, random_state=0, tol=1e-9).fit(X)
    found = GaussianMixture(2, random_state=0, tol=1e-9).fit(loader)
    assert found.lower_bound_ == pytest.approx(expected.lower_bound_, abs=1e-9)
    refused = "batch 0 .* is not what it was at first, and {} goes by the order.*shuffle=False"
    with pytest.raises(ValueError, match=refused.format("what is said of each point")):
        found.predict(loader)
    with pytest.raises(ValueError, match=refused.format("sample_weight")):
        GaussianMixture(2).fit(loader, sample_weight=np.ones(300))
    with pytest.raises(ValueError, match=refused.format("labels")):
        GaussianMixture(2).fit(loader, labels=np.arange(300) % 2)
    with pytest.raises(ValueError, match=refused.format("impute")):
        found.impute(loader)


def test_partial_fit_takes_a_step_for_each_batch() -> None:
    one = GaussianMixture(2, random_state=0)
    for at in range(0, 300, 100):
        one.partial_fit(X[at : at + 100])
    for batches in ((X[at : at + 100] for at in range(0, 300, 100)), np.split(X, 3)):
        other = GaussianMixture(2, random_state=0).partial_fit(batches)
        np.testing.assert_array_equal(other.means_, one.means_)
        assert other.n_iter_ == 3
    reader = table().to_reader(max_chunksize=100)
    assert GaussianMixture(2, random_state=0).partial_fit(reader).n_samples_seen_ == 300.0


def test_a_batch_that_fails_leaves_the_estimator_as_it_was() -> None:
    mixture = GaussianMixture(2, random_state=0).fit(X)
    before = mixture.means_.copy()
    with pytest.raises(ValueError, match="NaN"):
        mixture.partial_fit([X[:100], np.full((5, D), np.nan)])
    np.testing.assert_array_equal(mixture.means_, before)
    with pytest.raises(ValueError, match="sample_weight and labels are for one batch"):
        mixture.partial_fit([X], sample_weight=np.ones(300))


def test_missing_values_in_batches() -> None:
    holes = np.where(np.random.default_rng(1).random(X.shape) < 0.2, np.nan, X)
    expected = GaussianMixture(2, missing_values="marginalize", random_state=0).fit(holes)
    found = GaussianMixture(2, missing_values="marginalize", random_state=0)
    arrow = pa.table({n: pa.array(holes[:, i], from_pandas=True) for i, n in enumerate(NAMES)})
    assert arrow.column("a").null_count > 0
    for batches in ([holes[:50], holes[50:]], arrow):
        np.testing.assert_array_equal(found.fit(batches).means_, expected.means_)
        np.testing.assert_array_equal(found.impute(batches), expected.impute(holes))
    with pytest.raises(ValueError, match=r"NaN or infinity in row \d+"):
        GaussianMixture(2).fit(arrow)


def test_other_estimators_take_them() -> None:
    batches = [X[:50], X[50:]]
    expected = BayesianGaussianMixture(3, random_state=0).fit(X)
    found = BayesianGaussianMixture(3, random_state=0).fit(batches)
    np.testing.assert_array_equal(found.means_, expected.means_)
    chosen = select_mixture(batches, [1, 2], "diag", random_state=0)
    assert [row[:6] for row in chosen.table] == [
        row[:6] for row in select_mixture(X, [1, 2], "diag", random_state=0).table
    ]


@pytest.mark.parametrize(
    "kind", [BernoulliMixture, CategoricalMixture, TableMixture, StudentTMixture]
)
def test_other_families_take_them(kind: Any) -> None:
    ones = (np.random.default_rng(0).random(X.shape) < 0.1 + 0.8 * (X > 3)).astype(float)
    weight = 1.0 + np.arange(300) % 3
    expected = kind(2, random_state=0).fit(ones, sample_weight=weight)
    loader = DataLoader(TensorDataset(torch.from_numpy(ones)), batch_size=64)
    found = kind(2, random_state=0).fit(loader, sample_weight=weight)
    assert isinstance(found.weights_, torch.Tensor)
    np.testing.assert_array_equal(found.weights_, expected.weights_)
    np.testing.assert_array_equal(found.predict(loader), expected.predict(ones))
    shuffled = DataLoader(TensorDataset(torch.from_numpy(ones)), batch_size=64, shuffle=True)
    with pytest.raises(ValueError, match="what is said of each point goes by the order"):
        found.predict(shuffled)
    with pytest.raises(ValueError, match="sample_weight goes by the order"):
        kind(2, random_state=0).fit(shuffled, sample_weight=weight)


def test_numbers_of_other_types_in_a_table() -> None:
    vectors = pa.FixedSizeListArray.from_arrays(pa.array(np.arange(6, dtype=np.float32)), 2)
    mixed = pa.table({"n": [1, None, 3], "flag": [True, False, None], "e": vectors})
    stream = opened(mixed)
    assert stream.feature_names == ["n", "flag", "e_0", "e_1"]
    nan = np.nan
    expected = [[1, 1, 0, 1], [nan, 0, 2, 3], [3, nan, 4, 5]]
    np.testing.assert_array_equal(stream.rows(slice(None)), expected)
    assert opened(mixed.select(["e"])).dtype == torch.float32
    np.testing.assert_array_equal(opened(mixed.slice(1).select(["e"])).rows(slice(None))[0], [2, 3])
    with pytest.raises(ValueError, match="column 'x' of X holds string"):
        GaussianMixture().fit(pa.table({"x": ["1"]}))
    nothing = pa.array([None, [1.0, 2.0]], pa.list_(pa.float64(), 2))
    with pytest.raises(ValueError, match="a list of column 'e' is null"):
        GaussianMixture().fit(pa.table({"e": nothing}))


def test_columns_by_other_names_are_refused() -> None:
    mixture = GaussianMixture().fit(table())
    with pytest.raises(
        ValueError, match="X has columns c, b, a; GaussianMixture is expecting a, b"
    ):
        mixture.predict(table().select(["c", "b", "a"]))


@pytest.mark.parametrize(
    ("batches", "words"),
    [
        (iter([X]), "list_iterator, which can be read once; .*begins anew"),
        ((x for x in [X]), "generator, which can be read once"),
        (table().to_reader(), "RecordBatchReader, which can be read once"),
        (Batches(), "Batches without batches"),
        (Batches(X[0]), r"batch 0 .* is a ndarray of shape \(3,\); expected a matrix"),
        (Batches(X, {"x": X}), "batch 1 .* is a dict; expected a matrix"),
        (Batches(X.astype(complex)), "expected a matrix .* of real numbers"),
        (Batches(np.array([["a"]])), "expected a matrix .* of real numbers"),
        (Batches(()), "batch 0 .* is a tuple; expected a matrix"),
        ([X, X[:, :2]], "batch 1 .* has columns 2; expected 3"),
        ([X, X.astype(np.float32)], "has dtype torch.float32; expected torch.float64"),
        ([X[:1]], "minimum of 2"),
        ([X[:, :0]], "0 feature"),
        ([X, np.full((2, D), np.inf)], "row 300 "),
    ],
)
def test_mistakes(batches: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        GaussianMixture(2).fit(batches)


@pytest.mark.parametrize("later", [(X[:200],), (X, X), (X[:, :2],), ()])
def test_batches_that_change(later: tuple[np.ndarray, ...]) -> None:
    batches = Batches(X[:150], X[150:])
    stream = Stream(batches)
    stream.rows(slice(0, 100))
    batches.batches = later
    with pytest.raises(ValueError, match=r"had 300 rows at first|columns 2; expected 3"):
        stream.rows(slice(0, 300))


def test_rows_in_any_order() -> None:
    stream = opened([X[:7], X[7:9], X[9:]])
    random = np.random.default_rng(0)
    for _ in range(60):
        start, stop = sorted(random.integers(0, 310, 2))
        np.testing.assert_array_equal(stream.rows(slice(start, stop)), X[start:stop])
    index = torch.arange(0, 300, 13)
    np.testing.assert_array_equal(stream.rows(index), X[index])
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(stream)).rows(slice(None)), X)


def test_arrays_are_no_batches() -> None:
    for points in (X, X.tolist(), torch.from_numpy(X), "X", {"a": X}, [], [[1.0]], range(3)):
        assert not is_batches(points)


@pytest.mark.filterwarnings("ignore:the best start did not converge")
def test_memory_is_that_of_a_chunk() -> None:
    """Three times as many batches, 192 MiB more, take no more."""

    class Many:
        def __init__(self, count: int) -> None:
            self.count = count

        def __iter__(self) -> Iterator[torch.Tensor]:
            rows = torch.randn(2**13, 64, generator=torch.Generator().manual_seed(0))
            for number in range(self.count):
                yield rows + number

    def fit(count: int) -> None:
        GaussianMixture(
            2, covariance_type="diag", init_params="random_from_data", max_iter=2, tol=0.0
        ).fit(Many(count))

    few, many = (peak_growth(lambda count=count: fit(count)) for count in (48, 144))
    assert many < few + 2**26
