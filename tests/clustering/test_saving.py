# SPDX-License-Identifier: MIT
"""A clustering comes back from its file as it was, and spoilt files are refused by name."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from sklearn.exceptions import NotFittedError
from torch import nn

from pyvae.clustering import ImageWarps, InvariantClustering, TableNoise
from pyvae.errors import UserError
from pyvae.storage.tensors import digest
from tests.memory import peak_growth

SHORT: dict[str, Any] = {"n_steps": 3, "n_refining_steps": 2, "n_init": 1, "random_state": 0}
TABLE = np.random.RandomState(0).randn(30, 3)
IMAGES = np.random.RandomState(1).rand(20, 9, 11).astype(np.float32)


def own_network(classes: int) -> nn.Module:
    return nn.Sequential(nn.Linear(3, 8), nn.BatchNorm1d(8), nn.Linear(8, classes))


def own_views(x: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    return x + 0.1 * torch.randn(x.shape, generator=generator)


@pytest.fixture(scope="module")
def fitted() -> InvariantClustering:
    return InvariantClustering(2, **SHORT).fit(TABLE)


@pytest.fixture
def path(tmp_path: Path, fitted: InvariantClustering) -> Path:
    fitted.save(tmp_path / "clusters.safetensors")
    return tmp_path / "clusters.safetensors"


def is_the_same(first: InvariantClustering, second: InvariantClustering, x: Any) -> None:
    np.testing.assert_array_equal(np.asarray(first.labels_), np.asarray(second.labels_))
    assert type(first.labels_) is type(second.labels_)
    np.testing.assert_array_equal(
        np.asarray(first.predict_proba(x)), np.asarray(second.predict_proba(x))
    )
    np.testing.assert_array_equal(first.merges_, second.merges_)
    assert first.restarts_ == second.restarts_
    assert first.information_ == second.information_
    assert set(vars(first)) == set(vars(second))


@pytest.mark.parametrize("x", [TABLE, TABLE.astype(np.float32), torch.from_numpy(TABLE), IMAGES])
def test_it_comes_back_bit_for_bit(tmp_path: Path, x: Any) -> None:
    first = InvariantClustering(2, **SHORT).fit(x)
    first.save(tmp_path / "c")
    second = InvariantClustering.load(tmp_path / "c")
    is_the_same(first, second, x)
    assert second.get_params() == first.get_params()
    second.save(tmp_path / "d")
    assert (tmp_path / "d").read_bytes() == (tmp_path / "c").read_bytes()


@pytest.mark.parametrize("balance", [None, np.float32(1.0), np.int64(1), True])
def test_balances_of_any_type(tmp_path: Path, balance: Any) -> None:
    found = InvariantClustering(2, **SHORT, balance=balance)
    found.fit(TABLE, checkpoint=tmp_path / "fit").save(tmp_path / "c")
    again = InvariantClustering.load(tmp_path / "c")
    assert again.restarts_ == found.fit(TABLE, checkpoint=tmp_path / "fit").restarts_
    assert again.balance == balance


def test_a_loaded_one_fits_again(path: Path, fitted: InvariantClustering) -> None:
    again = InvariantClustering.load(path).fit(TABLE)
    assert again.restarts_ == fitted.restarts_


@pytest.mark.parametrize("module", [pickle, joblib])
def test_pickles(tmp_path: Path, module: Any, fitted: InvariantClustering) -> None:
    with (tmp_path / "c").open("wb") as file:
        module.dump(fitted, file)
    with (tmp_path / "c").open("rb") as file:
        is_the_same(fitted, module.load(file), TABLE)


def test_names_of_columns(tmp_path: Path) -> None:
    frame = pytest.importorskip("pandas").DataFrame(TABLE, columns=["a", "b", "ü"])
    InvariantClustering(2, **SHORT).fit(frame).save(tmp_path / "c")
    found = InvariantClustering.load(str(tmp_path / "c"))
    assert list(found.feature_names_in_) == ["a", "b", "ü"]
    with pytest.raises(ValueError, match="feature names should match"):
        found.predict(frame[["b", "a", "ü"]])


def test_parameters_of_every_kind(tmp_path: Path, fitted: InvariantClustering) -> None:
    random = np.random.RandomState(3)
    random.randn(3)
    given: list[dict[str, Any]] = [
        {"n_overclusters": 7, "learning_rate": 1, "balance": np.float64(1.5), "random_state": None},
        {"n_clusters": np.int64(2), "views": TableNoise(noise=0.3), "precision": "bfloat16"},
        {"views": ImageWarps(rotation=np.float32(4.0), nodes=3), "verbose": True},
        {"random_state": random},
    ]
    for changes in given:
        fitted = pickle.loads(pickle.dumps(fitted)).set_params(**changes)
        fitted.save(tmp_path / "c")
        found = InvariantClustering.load(tmp_path / "c").get_params()
        expected = fitted.get_params()
        if isinstance(expected["random_state"], np.random.RandomState):
            drawn = found.pop("random_state")
            assert drawn.randn() == pickle.loads(pickle.dumps(expected.pop("random_state"))).randn()
        assert found == expected


def test_generators_that_no_file_can_hold(tmp_path: Path, fitted: InvariantClustering) -> None:
    random = np.random.RandomState(np.random.PCG64(0))
    fitted = pickle.loads(pickle.dumps(fitted)).set_params(random_state=random)
    with pytest.raises(TypeError, match=r"draws by PCG64.*set_params\(random_state=0\)"):
        fitted.save(tmp_path / "c")


def test_what_is_ones_own_is_passed_again(tmp_path: Path) -> None:
    found = InvariantClustering(2, views=own_views, network=own_network, **SHORT).fit(TABLE)
    path = tmp_path / "c"
    found.save(path)
    before = torch.random.get_rng_state()
    again = InvariantClustering.load(path, views=own_views, network=own_network)
    assert torch.equal(before, torch.random.get_rng_state())
    is_the_same(found, again, TABLE)
    assert again.get_params() == found.get_params()
    for given, match in [
        ({"views": own_views}, r"network of your own; pass the same: load\(path, network="),
        ({"network": own_network}, r"views of your own; pass the same: load\(path, views="),
        ({"views": own_views, "network": lambda m: nn.Linear(3, m)}, "Missing key.*network.weight"),
    ]:
        with pytest.raises(ValueError, match=match):
            InvariantClustering.load(path, **given)


def test_what_is_built_in_is_not(path: Path) -> None:
    with pytest.raises(ValueError, match="built-in network; leave out network="):
        InvariantClustering.load(path, network=own_network)
    with pytest.raises(ValueError, match="built-in views; leave out views="):
        InvariantClustering.load(path, views=own_views)


def test_before_there_is_anything(tmp_path: Path) -> None:
    with pytest.raises(NotFittedError):
        InvariantClustering(2).save(tmp_path / "c")
    with pytest.raises(
        FileNotFoundError, match=r"c is missing; InvariantClustering\.save writes it"
    ):
        InvariantClustering.load(tmp_path / "c")


def is_refused(path: Path, match: str, **own: Any) -> None:
    with pytest.raises(UserError, match=match) as caught:
        InvariantClustering.load(path, **own)
    assert isinstance(caught.value, ValueError)
    assert str(path) in str(caught.value)


def spoil(path: Path, change: Callable[[dict[str, Any], dict[str, torch.Tensor]], None]) -> None:
    """Change config or tensors, with the digest that belongs to them."""
    with safe_open(path, framework="pt") as file:
        state = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
        config = json.loads(file.metadata()["config"])
    change(config, state)
    save_file(state, path, {"config": json.dumps(config), "sha256": digest(state)})


@pytest.mark.parametrize(
    ("part", "value", "match"),
    [
        ("format", "pyvae.model", "format is 'pyvae.model'; expected 'pyvae.clustering'"),
        ("version", 2, "version is 2; expected 3; another pyvae wrote it: fit and save it again"),
        ("code", "print()", "code has no place there"),
        ("information", "1", "information is '1'; expected a finite number"),
        ("information", float("nan"), "information is nan; expected a finite number"),
        ("restarts", [{"seed": 0}], "restarts.0 is damaged, it lacks over_information"),
        ("feature_names", [1, 2, 3], "feature_names.0 is 1; expected a text"),
        ("parameters", [], "parameters is a list of 0; expected names"),
        ("parameters.n_clusters", True, "n_clusters is True; expected an integer"),
        ("parameters.n_clusters", 0, "'n_clusters' parameter"),
        ("parameters.learning_rate", -1.0, "'learning_rate' parameter"),
        ("parameters.precision", "half", "'precision' parameter"),
        ("parameters.views", "os.system", "views is 'os.system'; expected one of auto, own"),
        ("parameters.views", {"name": "Popen"}, "views.name is 'Popen'; expected one of Image"),
        ("parameters.views", {"name": "TableNoise"}, "views is damaged, it lacks noise, masking"),
        ("parameters.network", "own", "is of network of your own; pass the same"),
        ("parameters.random_state", -1, "random_state is -1; expected an integer"),
        ("parameters.random_state", {"words": []}, "random_state is damaged, it lacks position"),
        ("classifier", None, "a Classifier: its content is None"),
        ("classifier.shape", [4], r"size mismatch for classifier.centre: \(3,\) in the file"),
        ("classifier.n_clusters", 11, "n_clusters is 11; expected an integer from 1 to 10"),
        ("classifier.network", None, "of a network of your own; pass one"),
    ],
)
def test_spoilt_configs(path: Path, part: str, value: Any, match: str) -> None:
    def change(config: dict[str, Any], _: Any) -> None:
        *outer, last = part.split(".")
        for name in outer:
            config = config[name]
        config[last] = value

    spoil(path, change)
    is_refused(path, match)


def test_large_sizes_take_no_memory(path: Path) -> None:
    content = path.read_bytes()
    for changes, match in [
        ({"shape": [2**30]}, "asks for .* numbers"),
        ({"shape": [2**22]}, "size mismatch"),
        ({"n_overclusters": 2**20}, "size mismatch"),
        ({"network": {"name": "perceptron", "hidden": 4096}}, "size mismatch"),
    ]:
        path.write_bytes(content)
        spoil(path, lambda config, _, changes=changes: config["classifier"].update(changes))
        assert peak_growth(lambda match=match: is_refused(path, match)) < 64 << 20


@pytest.mark.parametrize(
    ("name", "value", "match"),
    [
        ("labels", None, r"Missing key\(s\): labels"),
        ("labels", torch.zeros(30), "labels holds float32; expected int64"),
        ("labels", torch.zeros(3, 2, dtype=torch.int64), "size mismatch for labels"),
        ("labels", torch.full((30,), 2), "labels holds others than 0 to 1"),
        ("other", torch.zeros(1), r"Unexpected key\(s\): other"),
        ("classifier.members", torch.ones(10, 2), "members does not put every cluster"),
        ("classifier.members", torch.ones(10, 3), "size mismatch for classifier.members"),
        ("classifier.scale", torch.zeros(3), "scale holds numbers that are not above zero"),
        ("classifier.scale", torch.full((3,), torch.inf), "scale holds 3 numbers that are NaN"),
        ("classifier.centre", torch.full((3,), torch.nan), "centre holds 3 numbers that are NaN"),
        ("classifier.network.head.3.bias", torch.full((10,), torch.nan), "bias holds 10 numbers"),
        ("classifier.network.head.3.bias", torch.zeros(10).int(), "bias holds int32; expected"),
        ("classifier.network.head.3.bias", torch.zeros(10).half(), "the network mix types"),
    ],
)
def test_spoilt_tensors(path: Path, name: str, value: torch.Tensor | None, match: str) -> None:
    def change(_: Any, state: dict[str, torch.Tensor]) -> None:
        state.pop(name, None)
        if value is not None:
            state[name] = value

    spoil(path, change)
    is_refused(path, match)


def test_spoilt_bytes(path: Path) -> None:
    content = path.read_bytes()
    flipped = bytearray(content)
    flipped[-9] ^= 1
    length = (2**62).to_bytes(8, "little")
    for spoilt, match in [
        (b"", "damaged or no safetensors file"),
        (pickle.dumps(print), "damaged or no safetensors file"),
        (content[:-1], "damaged or no safetensors file"),
        (content + b"\0", "damaged or no safetensors file"),
        (length + content[8:], "damaged or no safetensors file"),
        (bytes(flipped), "its tensors do not match their digest"),
        (content.replace(b'"config"', b'"konfig"'), "was not written by InvariantClustering.save"),
    ]:
        path.write_bytes(spoilt)
        is_refused(path, match)


def test_a_network_of_ones_own_is_not_asked_for_clusters_that_no_tensor_has(path: Path) -> None:
    def change(config: dict[str, Any], _: Any) -> None:
        config["parameters"]["network"] = "own"
        config["classifier"] |= {"network": None, "n_overclusters": 2**20}

    def network(classes: int) -> nn.Module:
        raise AssertionError(classes)

    spoil(path, change)
    is_refused(path, "of another number of clusters than the config", network=network)
