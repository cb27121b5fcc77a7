# SPDX-License-Identifier: MIT
"""Files of Bayesian mixtures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save
from sklearn.exceptions import NotFittedError

from pyvae.mixture import BayesianGaussianMixture, GaussianMixture
from pyvae.mixture.covariance import COVARIANCES
from pyvae.storage.tensors import digest

X = np.random.default_rng(0).normal(size=(60, 3)) + 4.0 * (np.arange(60) % 2)[:, None]
ATTRIBUTES = (
    "weights_", "means_", "covariances_", "precisions_", "precisions_cholesky_",
    "weight_concentration_", "mean_precision_", "degrees_of_freedom_", "mean_prior_",
    "covariance_prior_", "weight_concentration_prior_", "mean_precision_prior_",
    "degrees_of_freedom_prior_", "lower_bound_", "evidence_lower_bound_", "n_iter_", "converged_",
)  # fmt: skip


def fitted(**options: Any) -> BayesianGaussianMixture:
    return BayesianGaussianMixture(3, random_state=0, **options).fit(X)


@pytest.mark.parametrize("kind", COVARIANCES)
@pytest.mark.parametrize("weights", ["dirichlet_process", "dirichlet_distribution"])
def test_there_and_back(kind: str, weights: str, tmp_path: Path) -> None:
    mixture = fitted(covariance_type=kind, weight_concentration_prior_type=weights)
    mixture.save(tmp_path / "m")
    again = BayesianGaussianMixture.load(tmp_path / "m")
    assert again.get_params() == mixture.get_params()
    for name in ATTRIBUTES:
        mine, theirs = getattr(again, name), getattr(mixture, name)
        assert type(mine) is type(theirs), name
        np.testing.assert_array_equal(mine, theirs, err_msg=name)
    np.testing.assert_array_equal(again.predict_proba(X), mixture.predict_proba(X))
    for each in (again, mixture):  # goes on, with the prior
        each.partial_fit(X[:20])
    np.testing.assert_array_equal(again.means_, mixture.means_)
    again.save(tmp_path / "n")
    mixture.save(tmp_path / "m")
    assert (tmp_path / "n").read_bytes() == (tmp_path / "m").read_bytes()


@pytest.mark.parametrize(("kind", "covariance"), [("full", np.eye(3)), ("spherical", 2.0)])
def test_a_prior_that_was_told(kind: str, covariance: Any, tmp_path: Path) -> None:
    told = {"mean_prior": np.ones(3), "covariance_prior": covariance, "total_samples": 99.0}
    mixture = fitted(covariance_type=kind, weight_concentration_prior=0.5, **told)
    mixture.save(tmp_path / "m")
    again = BayesianGaussianMixture.load(tmp_path / "m")
    assert again.total_samples == 99.0
    np.testing.assert_allclose(again.mean_prior, 1.0, rtol=1e-12)
    np.testing.assert_array_equal(again.covariance_prior, covariance)
    np.testing.assert_allclose(again.fit(X).means_, mixture.means_, rtol=1e-9)


def test_of_tensors_and_names(tmp_path: Path) -> None:
    mixture = BayesianGaussianMixture(2, random_state=0).fit(torch.from_numpy(X))
    mixture.feature_names_in_ = np.array(["a", "b", "c"], dtype=object)
    mixture.save(tmp_path / "m")
    again = BayesianGaussianMixture.load(tmp_path / "m")
    np.testing.assert_array_equal(again.means_, mixture.means_)
    assert list(again.feature_names_in_) == ["a", "b", "c"]


def changed(path: Path, header: Any = None, **arrays: Any) -> None:
    """Write other contents with the digest that belongs to them."""
    with safe_open(path, framework="pt") as file:
        state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        said = json.loads(file.metadata()["config"])
    state |= arrays
    said |= header or {}
    content = {"config": json.dumps(said), "sha256": digest(state)}
    path.write_bytes(save(state, metadata=content))


@pytest.mark.parametrize(
    ("header", "arrays", "words"),
    [
        ({}, {"mean_precision": torch.zeros(3, dtype=torch.float64)}, "mean_precision_ must be"),
        ({}, {"degrees_of_freedom": torch.ones(3, dtype=torch.float64)}, "degrees_of_freedom_ mu"),
        ({}, {"covariances": -torch.eye(3, dtype=torch.float64).repeat(3, 1, 1)}, "no mixture"),
        ({}, {"mean_prior": torch.full((3,), torch.nan, dtype=torch.float64)}, "prior is not fini"),
        ({}, {"mean_prior": torch.zeros(2, dtype=torch.float64)}, "mean_prior"),
        ({}, {"weight_concentration": torch.ones(3, dtype=torch.float64)}, "weight_concentration"),
        ({"told": {"mean_prior": True}}, {}, "told"),
        ({"prior": {}}, {}, "prior"),
        ({"format": "pyvae.mixture"}, {}, "format"),
        ({"code": "print()"}, {}, "code"),
    ],
)
def test_spoilt_files(header: Any, arrays: Any, words: str, tmp_path: Path) -> None:
    fitted().save(tmp_path / "m")
    changed(tmp_path / "m", header, **arrays)
    with pytest.raises(ValueError, match=words) as caught:
        BayesianGaussianMixture.load(tmp_path / "m")
    assert str(tmp_path) in str(caught.value)


def test_what_cannot_be_saved_or_loaded(tmp_path: Path) -> None:
    with pytest.raises(NotFittedError):
        BayesianGaussianMixture().save(tmp_path / "m")
    assert not (tmp_path / "m").exists()
    with pytest.raises(FileNotFoundError, match=r"BayesianGaussianMixture\.save writes one"):
        BayesianGaussianMixture.load(tmp_path / "m")
    GaussianMixture().fit(X).save(tmp_path / "m")
    with pytest.raises(ValueError, match=r"format is 'pyvae\.mixture'; expected 'pyvae\.bay"):
        BayesianGaussianMixture.load(tmp_path / "m")
    mixture = fitted()
    mixture.save(tmp_path / "m")
    with pytest.raises(ValueError, match=r"format is 'pyvae\.bayesian_mixture'; expected"):
        GaussianMixture.load(tmp_path / "m")
    del mixture.covariance_prior_
    with pytest.raises(ValueError, match="the mixture has no covariance_prior_: call fit"):
        mixture.save(tmp_path / "n")
