# SPDX-License-Identifier: MIT
"""Mixtures of products: frames in, frames out, and files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from pyvae.mixture import BernoulliMixture, CategoricalMixture, TableMixture
from pyvae.storage import tensors


def people(count: int = 120, seed: int = 0) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    z = random.integers(0, 2, count)
    return pd.DataFrame(
        {
            "age": random.integers(20, 40, count) + 30 * z,
            "height": (170.0 + random.normal(0, 5, count)).astype(np.float32),
            "smokes": random.random(count) < np.array([0.1, 0.8])[z],
            "owner": (random.random(count) < np.array([0.9, 0.2])[z]).astype(int),
            "town": np.array(["Bath", "York", "Ely"])[(z + random.integers(0, 2, count)) % 3],
            "grade": pd.Categorical(random.integers(1, 4, count)),
        },
        index=np.arange(count) + 7,
    )


def holed(frame: pd.DataFrame, share: float = 0.2) -> pd.DataFrame:
    holes = np.random.default_rng(1).random(frame.shape) < share
    return frame.astype(object).mask(holes)


CHOSEN = {"age": "gaussian", "height": "gaussian", "smokes": "bernoulli", "owner": "bernoulli",
          "town": "categorical", "grade": "categorical"}  # fmt: skip


def test_a_frame() -> None:
    x = people()
    mixture = TableMixture(2, random_state=0).fit(x)
    assert mixture.columns_ == CHOSEN
    assert mixture.categories_["town"].tolist() == ["Bath", "Ely", "York"]
    assert mixture.categories_["grade"].tolist() == [1, 2, 3]
    assert mixture.feature_names_in_.tolist() == list(CHOSEN)
    drawn, labels = mixture.sample(40)
    assert isinstance(drawn, pd.DataFrame)
    assert drawn.columns.tolist() == list(CHOSEN)
    assert drawn["smokes"].dtype == bool
    assert drawn["owner"].dtype == np.int64
    assert set(drawn["town"]) <= {"Bath", "Ely", "York"}
    assert (mixture.predict(drawn) == labels).mean() > 0.8
    np.testing.assert_array_equal(mixture.score_samples(x[::-1])[::-1], mixture.score_samples(x))
    told = TableMixture(2, random_state=0, columns={"age": "categorical", "owner": "categorical"})
    found = told.fit(x).columns_
    assert found == CHOSEN | {"age": "categorical", "owner": "categorical"}
    with pytest.raises(ValueError, match="feature names should match"):
        mixture.predict(x[list(CHOSEN)[::-1]])


def test_missing_values_of_a_frame() -> None:
    """Of whatever kind: None, NaN, and pandas' own NA in its nullable types."""
    x = holed(people())
    mixture = TableMixture(2, random_state=0, missing_values="marginalize").fit(x)
    nullable = x.infer_objects().convert_dtypes()
    assert nullable["age"].dtype == "Int64"
    nullable["grade"] = x["grade"].astype("category")  # numbers all the same
    assert mixture.columns_ | {"grade": "categorical"} == CHOSEN
    np.testing.assert_array_equal(mixture.score_samples(nullable), mixture.score_samples(x))
    full = mixture.impute(x)
    assert full.index.tolist() == x.index.tolist()
    assert not full.isna().any().any()
    seen = x.notna().to_numpy()
    same = (full.astype(object) == x).to_numpy()
    assert same[seen].all()
    with pytest.raises(ValueError, match=r"column '\w+' holds nan in row \d+.*marginalize"):
        TableMixture(2).fit(x)


def test_polars_gives_the_same() -> None:
    polars = pytest.importorskip("polars")
    x = people().assign(grade=lambda frame: frame["grade"].astype(int).map("ABCD".__getitem__))
    theirs = polars.DataFrame({name: x[name].tolist() for name in x})
    holes = theirs.with_columns(polars.when(polars.col("age") > 50).then("town").alias("town"))
    one, other = (TableMixture(2, random_state=0).fit(frame) for frame in (x, theirs))
    assert one.columns_ == other.columns_
    np.testing.assert_allclose(one.score_samples(x), other.score_samples(theirs), rtol=1e-5)
    assert isinstance(other.sample(3)[0], polars.DataFrame)
    full = other.impute(holes)
    assert isinstance(full, polars.DataFrame)
    assert full["town"].null_count() == 0


def test_other_families_of_frames() -> None:
    x = people()
    ones = x[["smokes", "owner"]]
    mixture = BernoulliMixture(2, random_state=0).fit(ones)
    assert isinstance(mixture.sample(3)[0], pd.DataFrame)
    np.testing.assert_array_equal(
        mixture.predict_proba(ones),
        BernoulliMixture(2, random_state=0).fit(ones).predict_proba(ones),
    )
    classes = CategoricalMixture(2, random_state=0).fit(x[["town", "grade"]])
    assert classes.impute(pd.DataFrame({"town": [None], "grade": [2]})).loc[0, "grade"] == 2
    with pytest.raises(ValueError, match=r"'town' holds 'Rome' in row 0 .*'Bath', 'Ely', 'Y"):
        classes.predict(pd.DataFrame({"town": ["Rome"], "grade": [2]}))


WRONG: dict[str, tuple[Any, str]] = {
    "dates": (pd.date_range("2020-01-01", periods=4), "column 'a' is of datetime64.*make numbers"),
    "a mix": (pd.Series(["x", 1, 2, 3], dtype=object), "column 'a' holds values of int, str"),
    "nothing": (pd.Series([None] * 4, dtype=object), "column 'a' holds nothing but"),
    "lists": (pd.Series([[1], [2], [3], [4]]), "column 'a' holds values of list"),
    "constant": (np.full(4, 0.1), "column 'a' has one value in all rows.*categorical"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_a_table_refuses(case: str) -> None:
    values, message = WRONG[case]
    frame = pd.DataFrame({"a": values, "b": [1.0, 2.0, 3.0, 4.0]})
    with pytest.raises(ValueError, match=message):
        TableMixture(1, missing_values="marginalize").fit(frame)
    if case == "constant":
        told = TableMixture(1, columns={"a": "categorical"}).fit(frame)
        assert np.isfinite(told.score(frame))


def test_columns_of_one_name() -> None:
    with pytest.raises(ValueError, match="columns of the same name"):
        TableMixture(1).fit(pd.DataFrame(np.eye(3), columns=list("aab")))


def estimators() -> dict[str, tuple[Any, Any]]:
    x = people()
    codes = torch.tensor([[0, 10], [0, 20], [1, 10], [1, 30]])
    return {
        "table": (TableMixture(2, random_state=0, missing_values="marginalize"), holed(x)),
        "binary": (
            BernoulliMixture(2, random_state=0, binarize=0.5),
            x[["smokes"]].to_numpy(float),
        ),
        "classes": (CategoricalMixture(2, random_state=0, probability_prior=1.1), x[["town"]]),
        "codes": (CategoricalMixture(2, random_state=0), codes),
        "truths": (CategoricalMixture(2, random_state=0), x[["smokes", "owner"]]),
    }


@pytest.mark.parametrize("case", estimators())
def test_files(case: str, tmp_path: Path) -> None:
    mixture, x = estimators()[case]
    path = tmp_path / "folder" / "mixture.safetensors"
    mixture.fit(x).save(path)
    again = type(mixture).load(path)
    for name in ("predict_proba", "score_samples"):
        np.testing.assert_array_equal(getattr(again, name)(x), getattr(mixture, name)(x))
    kept = ("converged_", "n_iter_", "lower_bound_", "lower_bounds_", "n_features_in_")
    assert all(getattr(again, name) == getattr(mixture, name) for name in kept)
    left = {"columns", "categories", "verbose", "verbose_interval", "distributed"}
    for name, value in mixture.get_params().items():
        assert name in left or getattr(again, name) == value
    drawn, same = again.sample(5)[0], mixture.sample(5)[0]
    assert type(drawn) is type(same) or case == "codes"
    assert np.asarray(drawn).tolist() == np.asarray(same).tolist()
    again.save(tmp_path / "again.safetensors")
    assert (tmp_path / "again.safetensors").read_bytes() == path.read_bytes()
    other = BernoulliMixture if case != "binary" else TableMixture
    with pytest.raises(ValueError, match="expected"):
        other.load(path)


HOSTILE: dict[str, tuple[dict[str, Any], str]] = {
    "a family": ({"columns.0.family": "poisson"}, "expected one of gaussian"),
    "no columns": ({"columns": []}, "columns must be some"),
    "one name": ({"columns.1.name": "age"}, "each of a name of its own"),
    "no categories": ({"columns.4.categories": None}, "categories of a categorical column"),
    "too many": ({"columns.0.categories": ["a"]}, "and of no other"),
    "disorder": ({"columns.4.categories": ["York", "Ely", "Bath"]}, "in order"),
    "fewer": ({"columns.4.categories": ["York"]}, "holds no mixture of these columns"),
    "numbers": ({"columns.4.categories": [1, 2, 3]}, "expected a text"),
    "a library": ({"frame": "os"}, "expected one of pandas"),
    "a setting": ({"settings.variance_prior": -1.0}, "a finite number from 0 on"),
    "a version": ({"version": 9}, "expected 1"),
    "a dtype": ({"columns.4.dtype": "int64"}, "expected an integer"),
    "more": ({"settings.more": 1}, "has no place there"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_headers(case: str, tmp_path: Path) -> None:
    changes, message = HOSTILE[case]
    path = tmp_path / "mixture.safetensors"
    TableMixture(2, random_state=0).fit(people()).save(path)
    with tensors.opened(path) as file:
        said = json.loads(tensors.header(path, file, "save")["config"])
        held = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    for place, value in changes.items():
        *names, last = [int(n) if n.isdigit() else n for n in place.split(".")]
        part = said
        for name in names:
            part = part[name]
        part[last] = value
    path.write_bytes(tensors.content(held, json.dumps(said)))
    with pytest.raises(ValueError, match=message):
        TableMixture.load(path)


@pytest.mark.parametrize("name", ["weights", "means", "variances", "category_probabilities"])
@pytest.mark.parametrize("value", [float("nan"), -1.0])
def test_hostile_numbers(name: str, value: float, tmp_path: Path) -> None:
    path = tmp_path / "mixture.safetensors"
    TableMixture(2, random_state=0).fit(people()).save(path)
    with tensors.opened(path) as file:
        said = tensors.header(path, file, "save")["config"]
        held = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    held[name].view(-1)[0] = value
    path.write_bytes(tensors.content(held, said))
    if name == "means" and value == -1.0:
        TableMixture.load(path)
        return
    with pytest.raises(ValueError, match=r"mixture\.safetensors"):
        TableMixture.load(path)
