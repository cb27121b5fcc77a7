# SPDX-License-Identifier: MIT
"""Mixtures of factor analysers beside labels, noise, batches, and starts that leave points out."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats
from scipy.special import logsumexp
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from torch.utils.data import DataLoader, TensorDataset

from pyvae.mixture import BayesianGaussianMixture, GaussianMixture, StudentTMixture
from pyvae.mixture.gaussian_em import Posterior
from pyvae.mixture.noise import Noise
from pyvae.mixture.noise_em import NoiseEM
from tests.mixture.factored import drawn, factored, fitted, with_gaps

COUNT = 180
TRUTH = np.r_[np.repeat([1, 0], COUNT // 2), np.full(20, -1)]
LABELS = np.where(np.arange(COUNT + 20) % 6 == 0, TRUTH, -1)


def scattered() -> np.ndarray:
    """Two clusters with factors, and a tenth of all points anywhere."""
    random = np.random.default_rng(0)
    return np.concatenate([factored(COUNT, d=6), random.uniform(-25.0, 25.0, (20, 6))])


def shares(labels: np.ndarray) -> np.ndarray:
    """Probabilities in the place of labels."""
    found = np.where(labels[:, None] == np.arange(2), 0.8, 0.2)
    found[labels == -1] = np.nan
    return found


def evidence(labels: np.ndarray) -> np.ndarray:
    """By its definition, ``(N, 2)``."""
    if labels.ndim == 1:
        return np.where((labels < 0)[:, None], 1.0, np.eye(2)[labels])
    found = np.where(np.isnan(labels), 1.0, labels)
    return found / found.max(1, keepdims=True)


def columns(x: np.ndarray, mixture: GaussianMixture, labels: np.ndarray) -> np.ndarray:
    """Logarithms of the joint densities of components and noise, by scipy; ``(N, 3)``."""
    joint = np.log(mixture.weights_) + np.column_stack([
        stats.multivariate_normal(mean, matrix).logpdf(x)
        for mean, matrix in zip(mixture.means_, mixture.covariance_matrices_, strict=True)
    ])  # fmt: skip
    weight = getattr(mixture, "noise_weight_", 0.0)
    with np.errstate(divide="ignore"):
        known = np.log(evidence(labels))
        uniform = np.full(len(x), np.log(weight)) - getattr(mixture, "noise_log_volume_", 0.0)
    labelled = (known != 0.0).any(1)
    return np.column_stack([joint + known, np.where(labelled, -np.inf, uniform)])


@pytest.mark.parametrize("noise", [None, "uniform"])
@pytest.mark.parametrize("graded", [False, True])
def test_em_by_its_definition(graded: bool, noise: str | None) -> None:
    """Steps of shares that scipy gives; F is checked at each by the fit itself."""
    x, weight = scattered(), np.random.default_rng(1).random(COUNT + 20)
    labels = shares(LABELS) if graded else LABELS
    begin = fitted(x[:COUNT], max_iter=2).set_params(noise=noise, warm_start=True, tol=0.0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        steps = begin.set_params(max_iter=0).fit(x, sample_weight=weight)
        found = clone(begin).set_params(max_iter=3)
        vars(found).update({name: value for name, value in vars(begin).items() if name[-1] == "_"})
        del found.lower_bound_
        found.fit(x, sample_weight=weight, labels=labels)
        bounds = []
        for _ in range(3):
            joint = columns(x, steps, labels)
            density = logsumexp(joint, axis=1)
            bounds.append(weight @ density / weight.sum())
            r = np.exp(joint - density[:, None]) * weight[:, None]
            # An M step from these is a fit of copies of the points, each of a known component.
            plain = (steps.without_noise() if noise else steps).set_params(max_iter=1)
            copies = np.tile(x, (2, 1)), np.repeat([0, 1], len(x))
            plain.fit(copies[0], sample_weight=r[:, :2].T.reshape(-1), labels=copies[1])
            of_noise = r[:, 2].sum() / weight.sum()
            steps.weights_, steps.means_ = plain.weights_ * (1.0 - of_noise), plain.means_
            steps.factors_, steps.noise_variances_ = plain.factors_, plain.noise_variances_
            if noise:
                steps.noise_weight_ = of_noise
    np.testing.assert_allclose(found.lower_bounds_, bounds, rtol=1e-10)
    for name in ("weights_", "means_", "factors_", "noise_variances_"):
        np.testing.assert_allclose(getattr(found, name), getattr(steps, name), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("method", ["kmeans", "trimmed_kmeans"])
@pytest.mark.parametrize("gaps", [False, True])
def test_outliers_are_noise(method: str, gaps: bool) -> None:
    """Beside missing coordinates too; a start that leaves points out gives all their factors."""
    x = with_gaps(scattered(), 0.05) if gaps else scattered()
    options = {"init_params": method, "missing_values": "marginalize" if gaps else "refuse"}
    mixture = fitted(x, noise="uniform", **options)
    assert np.linalg.matrix_rank(mixture.factors_).tolist() == [2, 2]
    assert mixture.noise_weight_ == pytest.approx(0.1, abs=0.03)
    assert (mixture.predict(x)[1:] == -1)[COUNT:].all()
    plain = fitted(x, init_params="trimmed_kmeans", missing_values=options["missing_values"])
    assert np.linalg.matrix_rank(plain.factors_).tolist() == [2, 2]
    assert mixture.bic(x) < plain.bic(x)
    assert mixture.n_parameters_ == plain.n_parameters_ + 2
    draws, labels = mixture.sample(2000)
    assert draws.shape == (2000, 6)
    assert (labels == -1).mean() == pytest.approx(mixture.noise_weight_, abs=0.03)


@pytest.mark.parametrize("method", ["kmeans", "k-means++", "random_from_data", "trimmed_kmeans"])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_components_are_numbered_by_their_labels(method: str, dtype: type) -> None:
    x = factored(COUNT, d=6).astype(dtype)
    for given in (LABELS[:COUNT], shares(LABELS[:COUNT])):
        mixture = GaussianMixture(
            2, covariance_type="low_rank", rank=2, init_params=method, random_state=0, reg_covar=0.0
        ).fit(x, labels=given)
        assert (mixture.predict(x) == TRUTH[:COUNT]).mean() > 0.95
        assert np.linalg.matrix_rank(mixture.factors_).tolist() == [2, 2]


def test_minibatches_of_labelled_points_and_noise() -> None:
    x, order = scattered(), np.random.default_rng(0).permutation(COUNT + 20)
    mixture = GaussianMixture(
        2, covariance_type="low_rank", rank=2, noise="uniform", random_state=0
    )
    for _ in range(3):
        for batch in np.split(order, 2):
            mixture.partial_fit(x[batch], labels=LABELS[batch])
    assert (mixture.predict(x) == TRUTH).mean() > 0.95
    kind, p = drawn()
    noise = Noise(torch.tensor(0.2).double(), torch.tensor([[-9.0] * 6, [9.0] * 6]).double())
    model = NoiseEM(kind, p, noise=noise)
    before, sums = model.parameters, model.sums_behind(50.0)
    model.m_step(Posterior(sums, 0.0, 0.0, sums.total.item()))
    torch.testing.assert_close(model.noise.weight, noise.weight)
    for got, want in zip(model.parameters[:3], before[:3], strict=True):
        torch.testing.assert_close(got, want)


@pytest.mark.parametrize("noise", [None, "uniform"])
def test_batches_are_their_rows(noise: str | None) -> None:
    x = scattered()
    options: dict[str, Any] = {"max_iter": 8, "tol": 0.0, "noise": noise}
    whole = fitted(x, **options)
    loader = DataLoader(TensorDataset(torch.from_numpy(x)), batch_size=64)
    for batches in (loader, [x[:70], x[70:71], x[71:]]):
        found = fitted(batches, **options)  # type: ignore[arg-type]
        assert found.lower_bounds_ == whole.lower_bounds_
        for name in ("means_", "factors_", "noise_variances_"):
            np.testing.assert_array_equal(getattr(found, name), getattr(whole, name))
        np.testing.assert_array_equal(found.predict_proba(batches), whole.predict_proba(x))
        assert found.icl(batches) == whole.icl(x)


def test_noise_in_files(tmp_path: Path) -> None:
    x = scattered()
    mixture = fitted(x, noise="uniform")
    mixture.save(tmp_path / "m")
    again = GaussianMixture.load(tmp_path / "m")
    assert again.get_params() == mixture.get_params()
    np.testing.assert_array_equal(again.predict_proba(x), mixture.predict_proba(x))
    with pytest.raises(ValueError, match=r"ask without_noise\(\)"):
        again.marginal([0, 1])
    plain = again.without_noise()
    assert plain.marginal([0, 1, 2]).factors_.shape == (2, 3, 2)
    with pytest.raises(AttributeError, match=r"has no noise$"):
        _ = plain.noise_log_volume_


@pytest.mark.parametrize("estimator", [StudentTMixture, BayesianGaussianMixture])
def test_others_have_no_factors(estimator: Any, tmp_path: Path) -> None:
    """They are refused by the names that there are, whatever is called."""
    x = factored(40, d=4)
    refused = estimator(2, covariance_type="low_rank")
    with pytest.raises(ValueError, match=r"'covariance_type' parameter .* Got 'low_rank'"):
        refused.fit(x)
    mixture = estimator(2, random_state=0, max_iter=500).fit(x)
    mixture.covariance_type = "low_rank"
    names = "expected one of full, tied, diag, spherical, tied_diag, tied_spherical$"
    with pytest.raises(ValueError, match=names):
        mixture.predict(x)
    if estimator is StudentTMixture:
        with pytest.raises(ValueError, match=names):
            mixture.save(tmp_path / "m")
