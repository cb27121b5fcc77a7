# SPDX-License-Identifier: MIT
"""What is done with a fitted mixture of factor analysers, and what is refused of one."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from torch import Tensor
from torch.distributions import LowRankMultivariateNormal, MixtureSameFamily

from pyvae.mixture import ConjugatePrior, GaussianMixture, select_mixture
from pyvae.mixture.covariance import COVARIANCES, covariance_of
from tests.mixture.factored import factored, fitted, with_gaps


def test_samples() -> None:
    mixture = fitted(factored())
    x, labels = mixture.sample(40_000)
    for k in range(2):
        mine = x[labels == k]
        np.testing.assert_allclose(mine.mean(0), mixture.means_[k], atol=0.1)
        np.testing.assert_allclose(np.cov(mine.T), mixture.covariance_matrices_[k], atol=0.2)


def test_some_coordinates() -> None:
    """Marginals and conditionals are low-rank again, and those of the dense mixture."""
    x = factored()
    mixture = fitted(x)
    whole = GaussianMixture.from_sklearn(mixture.to_sklearn())
    columns, rest = [5, 0, 2], [1, 3, 4, 6, 7]
    part, given = mixture.marginal(columns), mixture.condition(columns, x[0, columns])
    assert part.factors_.shape == given.factors_[:, :3].shape == (2, 3, 2)
    np.testing.assert_array_equal(part.factors_, mixture.factors_[:, columns])
    wanted = whole.marginal(columns).score_samples(x[:, columns])
    np.testing.assert_allclose(part.score_samples(x[:, columns]), wanted)
    theirs = whole.condition(columns, x[0, columns])
    np.testing.assert_allclose(given.score_samples(x[:, rest]), theirs.score_samples(x[:, rest]))
    several = mixture.condition(columns, x[:4, columns])
    assert several.covariances.shape == (2, 5, 3)
    for full_covariance in (False, True):
        ours, theirs = (
            each.regress(columns, x[:9, columns], [1, 4], full_covariance=full_covariance)
            for each in (mixture, whole)
        )
        for got, want in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(got, want, atol=1e-10)
    holes = with_gaps(x[:30])
    np.testing.assert_allclose(mixture.impute(holes), whole.impute(holes), atol=1e-10)
    assert mixture.impute(holes, n_draws=3, random_state=0).shape == (3, 30, 8)


def test_elsewhere(tmp_path: Path) -> None:
    """In a file, a pickle, torch's and scikit-learn's classes it is the same mixture."""
    x = factored()
    mixture = fitted(x)
    wanted = mixture.score_samples(x)
    mixture.save(tmp_path / "m.safetensors")
    loaded = GaussianMixture.load(tmp_path / "m.safetensors")
    assert loaded.get_params()["rank"] == 2
    np.testing.assert_array_equal(loaded.factors_, mixture.factors_)
    np.testing.assert_array_equal(loaded.score_samples(x), wanted)
    again = pickle.loads(pickle.dumps(mixture))
    np.testing.assert_array_equal(again.score_samples(x), wanted)
    np.testing.assert_allclose(mixture.to_sklearn().score_samples(x), wanted)
    torchs = mixture.to_distribution().to_mixture()
    assert isinstance(torchs, MixtureSameFamily)
    assert isinstance(torchs.component_distribution, LowRankMultivariateNormal)
    back = GaussianMixture.from_distribution(torchs)
    assert (back.covariance_type, back.rank) == ("low_rank", 2)
    np.testing.assert_allclose(back.score_samples(x), wanted)


def test_set_by_hand() -> None:
    """Parameters are what the attributes say, of one type of covariance at a time."""
    x = factored()
    mixture = fitted(x)
    turned = clone(mixture)
    angle = np.array([[0.6, -0.8], [0.8, 0.6]])
    turned.weights_, turned.means_ = mixture.weights_, mixture.means_
    turned.factors_ = mixture.factors_ @ angle
    with pytest.raises(AttributeError, match="no covariances_: it has factors_ and noise"):
        _ = mixture.covariances_
    with pytest.raises(NotFittedError, match="no noise_variances_"):
        turned.predict(x)
    turned.noise_variances_ = mixture.noise_variances_
    np.testing.assert_allclose(turned.score_samples(x), mixture.score_samples(x))
    turned.noise_variances_ = -mixture.noise_variances_
    with pytest.raises(ValueError, match=r"noise_variances_ of components \[0, 1\]"):
        turned.predict(x)
    with pytest.raises(ValueError, match=r"factors_ has shape \(2, 8, 2\); expected \(2, 8, 3\)"):
        _with(mixture, rank=3).predict(x)
    other = _with(mixture, covariance_type="diag").fit(x)
    assert "factors_" not in vars(other)
    assert other.covariances_.shape == (2, 8)
    assert "covariances_" not in vars(_with(other, covariance_type="low_rank").fit(x))


def _with(mixture: GaussianMixture, **settings: object) -> GaussianMixture:
    return pickle.loads(pickle.dumps(mixture)).set_params(**settings)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"rank": None}, "rank=None; give rank"),
        ({"rank": 4}, "rank=4 and points of 4 coordinates; expected fewer factors"),
        ({"rank": 0}, "'rank' parameter"),
        ({"prior": ConjugatePrior()}, "no conjugate prior: leave it out"),
        ({"precisions_init": np.ones((2, 4))}, "precisions do not tell factors from noise"),
    ],
)
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_what_is_refused(options: dict[str, object], words: str, method: str) -> None:
    settings = {"rank": 1, "covariance_type": "low_rank", **options}
    with pytest.raises(ValueError, match=words):
        getattr(GaussianMixture(2, **settings), method)(factored(d=4))


def test_one_coordinate_has_no_factors() -> None:
    with pytest.raises(ValueError, match="points of 1 coordinates; expected fewer factors"):
        fitted(np.arange(5.0)[:, None], 1, 1)


def test_a_noise_of_nothing() -> None:
    """A coordinate that others tell has no noise: without reg_covar F has no maximum."""
    x = np.random.default_rng(0).normal(size=(50, 3))
    x[:, 2] = 1.0
    with pytest.raises(ValueError, match="too few points for so many factors"):
        fitted(x, 1, 1)
    assert fitted(x, 1, 1, reg_covar=1e-6).noise_variances_[0, 2] == pytest.approx(1e-6)


def test_selection(tmp_path: Path) -> None:
    x = factored(300, d=12)
    found = select_mixture(
        x, [1, 2], ("diag", "low_rank", "full"), rank=2, random_state=0, folder=tmp_path / "fits"
    )
    assert (found.best_.covariance_type, found.best_.n_components) == ("low_rank", 2)
    again = select_mixture(x, 2, "low_rank", rank=2, random_state=0, folder=tmp_path / "fits")
    np.testing.assert_array_equal(again.best_.factors_, found.best_.factors_)
    assert found.best_.n_parameters_ == 2 * (12 * 2 + 12 - 1) + 2 * 12 + 1
    names = {row.covariance_type for row in select_mixture(x[:20], 1, "all", rank=1).table}
    assert names == {*COVARIANCES, "low_rank"}
    assert covariance_of("low_rank", 5).parameters(1, 6) == 6 * 7 // 2  # no more than full


def test_tensors_stay_tensors() -> None:
    x = torch.from_numpy(factored())
    mixture = fitted(x)
    assert all(isinstance(part, Tensor) for part in (mixture.factors_, mixture.noise_variances_))
    assert mixture.score_samples(x).dtype == torch.float64
