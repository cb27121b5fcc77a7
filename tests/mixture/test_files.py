# SPDX-License-Identifier: MIT
"""Saved mixtures are the same mixtures; damaged and hostile files are refused by name."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from sklearn.exceptions import NotFittedError
from torch import Tensor

from pyvae.errors import NotFound, UserError
from pyvae.mixture import ConjugatePrior, GaussianMixture
from pyvae.storage.tensors import digest
from tests.memory import peak_growth
from tests.mixture.drawing import KINDS, clusters

each_kind = pytest.mark.parametrize("kind", KINDS)
STATE = (
    "weights_", "means_", "covariances_", "precisions_", "precisions_cholesky_", "converged_",
    "n_iter_", "lower_bound_", "lower_bounds_", "n_features_in_", "n_samples_seen_",
)  # fmt: skip


@pytest.fixture
def path(tmp_path: Path) -> Path:
    fitted = GaussianMixture(3, random_state=0).fit(clusters(50))
    fitted.save(tmp_path / "new" / "m.safetensors")
    return tmp_path / "new" / "m.safetensors"


@each_kind
def test_what_is_loaded_is_what_was_saved(kind: str, tmp_path: Path) -> None:
    x, prior = clusters(50), ConjugatePrior(2.0, (1.0, 0.0, -1.0, 0.5), 0.5, 3.0, 6.0)
    mixture = GaussianMixture(
        3, covariance_type=kind, random_state=7, prior=prior, reg_covar=1e-3, n_init=2,
        missing_values="marginalize", tol=np.float64(1e-4), max_iter=np.int64(200),
    ).fit(x)  # fmt: skip
    mixture.feature_names_in_ = np.array(["a", "b", "c", "µ"], dtype=object)
    mixture.save(tmp_path / "m")
    again = GaussianMixture.load(str(tmp_path / "m"))
    assert again.get_params() == mixture.get_params()
    for name in (*STATE, "feature_names_in_"):
        np.testing.assert_array_equal(getattr(again, name), getattr(mixture, name), name)
    del mixture.feature_names_in_, again.feature_names_in_
    np.testing.assert_array_equal(again.predict_proba(x), mixture.predict_proba(x))
    for each in (mixture, again):
        each.partial_fit(x[:20])
    np.testing.assert_array_equal(again.covariances_, mixture.covariances_)
    again.save(tmp_path / "once")
    again.save(tmp_path / "twice")
    assert (tmp_path / "once").read_bytes() == (tmp_path / "twice").read_bytes()


def test_mixtures_of_tensors_and_set_by_hand(tmp_path: Path) -> None:
    x = torch.from_numpy(clusters(50)).float()
    mixture = GaussianMixture(3, random_state=np.random.RandomState(0)).fit(x)
    mixture.save(tmp_path / "m")
    again = GaussianMixture.load(tmp_path / "m")
    assert again.random_state is None
    np.testing.assert_array_equal(again.means_, mixture.means_)
    by_hand = GaussianMixture(3)
    by_hand.weights_, by_hand.means_ = mixture.weights_, mixture.means_
    by_hand.precisions_cholesky_ = mixture.precisions_cholesky_
    by_hand.save(tmp_path / "hand")
    again = GaussianMixture.load(tmp_path / "hand")
    assert not hasattr(again, "converged_")
    np.testing.assert_allclose(again.score_samples(x), by_hand.score_samples(x), rtol=1e-5)
    with pytest.raises(NotFittedError):
        GaussianMixture().save(tmp_path / "none")
    assert not (tmp_path / "none").exists()


def rewrite(path: Path, change: Callable[[dict[str, Any]], object] | None = None,
            text: str | None = None, **arrays: Tensor | None) -> None:  # fmt: skip
    """Change a file, with the digest that belongs to it."""
    with safe_open(path, framework="pt") as file:
        state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        said = json.loads(file.metadata()["config"])
    if change is not None:
        change(said)
    state = {name: part for name, part in {**state, **arrays}.items() if part is not None}
    header = {"config": json.dumps(said) if text is None else text, "sha256": digest(state)}
    save_file(state, path, metadata=header)


def is_refused(path: Path, words: str) -> None:
    with pytest.raises(UserError, match=words) as caught:
        GaussianMixture.load(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"weights": None}, r"no mixture of full covariances: Missing key\(s\): weights"),
        ({"more": torch.zeros(1)}, r"Unexpected key\(s\): more"),
        ({"weights": torch.ones(2).double()}, r"weights: \(2,\) in the file, \(3,\)"),
        ({"means": torch.zeros(3, 4)}, "means holds float32; expected float64"),
        ({"means": torch.zeros(3).double()}, r"means has shape \(3,\); expected \(K, D\)"),
        ({"means": torch.zeros(0, 4).double()}, r"means has shape \(0, 4\)"),
        ({"covariances": torch.eye(4).double()}, r"covariances: \(4, 4\) in .*, \(3, 4, 4\)"),
        ({"weights": torch.tensor([1.0, -1.0, 1.0]).double()}, "no mixture: weights_ must not be"),
        ({"weights": torch.zeros(3).double()}, "weights_ must not be negative, nor all zero"),
        ({"means": torch.full((3, 4), torch.nan).double()}, "no mixture: means_ holds NaN"),
        ({"covariances": torch.zeros(3, 4, 4).double()}, r"covariances_ of components \[0, 1, 2\]"),
        ({"covariances": (torch.eye(4).double() + torch.ones(4, 4).triu(1)).expand(3, 4, 4)
          .contiguous()}, "covariances are not symmetric"),
        ({"weights": torch.zeros(3, dtype=torch.complex64)}, "weights holds complex64"),
    ],
)  # fmt: skip
def test_arrays_that_are_no_mixture(path: Path, arrays: dict[str, Any], words: str) -> None:
    rewrite(path, **arrays)
    is_refused(path, words)


@pytest.mark.parametrize(
    ("where", "value", "words"),
    [
        (("format",), "other", "format is 'other'; expected 'pyvae.mixture'"),
        (("version",), 2, "has format version 2, this pyvae reads 1; install a newer pyvae"),
        (("version",), "1", "version is '1'; expected an integer"),
        (("settings", "covariance_type"), "round", "covariance_type is 'round'; expected one of"),
        (("settings", "covariance_type"), "diag", r"of diag covariances: size .*\(3, 4\)"),
        (("settings", "max_iter"), -1, "max_iter is -1; expected an integer from 0"),
        (("settings", "max_iter"), 10**400, "max_iter is an integer of many digits"),
        (("settings", "tol"), [1.0], "tol is a list of 1; expected a finite number"),
        (("settings", "__class__"), "os.system", "__class__ has no place there"),
        (("settings", "prior"), {"mean": None}, "prior is damaged, it lacks weight_concentration"),
        (("settings", "prior"), {"weight_concentration": 1.0, "mean": [0.0], "mean_precision": 0.0,
                                 "scatter": 0.0, "degrees_of_freedom": None},
         "the prior's mean has 1 coordinates, not 4"),
        (("facts", "means_"), [0.0], "means_ has no place there"),
        (("facts", "n_iter_"), "many", "n_iter_ is 'many'"),
        (("feature_names",), ["a", "b"], "feature_names are 2, and the means have 4 columns"),
        (("feature_names",), [1, 2, 3, 4], "feature_names.0 is 1; expected a text"),
    ],
)  # fmt: skip
def test_headers_that_are_of_no_mixture(
    path: Path, where: tuple[str, ...], value: Any, words: str
) -> None:
    def change(said: dict[str, Any]) -> None:
        for name in where[:-1]:
            said = said[name]
        said[where[-1]] = value

    rewrite(path, change)
    is_refused(path, words)


class Executed:
    """What a file that executes something would do."""

    def __reduce__(self) -> Any:
        return pytest.fail, ("a file was executed",)


def test_files_of_other_kinds(path: Path, tmp_path: Path) -> None:
    good = path.read_bytes()
    size = int.from_bytes(good[:8], "little")
    parts = json.loads(good[8 : 8 + size])
    parts["means"]["data_offsets"][0] -= 8
    parts["means"]["shape"] = [13]
    header = json.dumps(parts).encode()
    overlapping = len(header).to_bytes(8, "little") + header + good[8 + size :]
    changed = bytearray(good)
    changed[-3] ^= 1
    damaged = {
        "empty": (b"", "no safetensors file"),
        "cut": (good[:-8], "no safetensors file"),
        "longer": (good + b"0" * 8, "no safetensors file"),
        "bit": (bytes(changed), "its tensors do not match their digest"),
        "pickle": (pickle.dumps(Executed()), "no safetensors file"),
        "huge header": ((2**62).to_bytes(8, "little") + good[8:], "no safetensors file"),
        "huge array": (good.replace(b'"shape":[3,4]', b'"shape":[3,9]'), "no safetensors file"),
        "overlap": (overlapping, "no safetensors file"),
    }  # fmt: skip

    def read_all() -> None:
        for name, (content, words) in damaged.items():
            assert content != good, name
            path.write_bytes(content)
            is_refused(path, words)

    assert peak_growth(read_all) < 128 << 20
    path.write_bytes(good)
    for text, words in (("[" * 60_000, "nested too deeply|no JSON"), ("3", "expected names"),
                        ("{", "no JSON"), (" " * (1 << 24) + "3", "goes beyond")):  # fmt: skip
        rewrite(path, text=text)
        is_refused(path, words)
        path.write_bytes(good)
    save_file({"weights": torch.ones(1)}, path)
    is_refused(path, "was not written by GaussianMixture.save of pyvae")
    for missing in (tmp_path / "none", tmp_path):
        with pytest.raises(NotFound, match="is missing, or no file"):
            GaussianMixture.load(missing)
