# SPDX-License-Identifier: MIT
"""A component of noise, by its definition, among outliers, and at its edges."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from scipy import stats
from scipy.special import logsumexp
from sklearn.base import BaseEstimator, clone
from sklearn.metrics import adjusted_rand_score
from sklearn.utils.estimator_checks import parametrize_with_checks

from pyvae.mixture import ConjugatePrior, GaussianMixture, points
from pyvae.mixture.covariance import COVARIANCES, Parameters
from pyvae.mixture.gaussian_em import Posterior
from pyvae.mixture.noise import Noise
from pyvae.mixture.noise_em import NoiseEM
from pyvae.storage.tensors import digest
from tests.mixture.drawing import KINDS, clusters, same_start

each_kind = pytest.mark.parametrize("kind", KINDS)
TRUTH = np.r_[np.repeat([0, 1, 2], 60), np.full(20, -1)]


def scattered(seed: int = 0) -> np.ndarray:
    """Three clusters, and a tenth of all points anywhere."""
    random = np.random.default_rng(seed)
    return np.concatenate([clusters(60, seed=seed), random.uniform(-30, 30, (20, 4))])


def noisy(k: int = 3, **options: Any) -> GaussianMixture:
    return GaussianMixture(k, noise="uniform", random_state=0, **options)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning", "ignore::UserWarning")
@parametrize_with_checks([noisy(1)])
def test_scikit_learns_own_checks(estimator: BaseEstimator, check: Any) -> None:
    check(estimator)


def columns(x: np.ndarray, fitted: GaussianMixture) -> np.ndarray:
    """Logarithms of the joint densities of components and noise, by scipy; ``(N, K + 1)``."""
    joint = [
        np.log(weight) + stats.multivariate_normal(mean, matrix).logpdf(x)
        for weight, mean, matrix in zip(
            fitted.weights_, fitted.means_, fitted.covariance_matrices_, strict=True
        )
    ]
    least, largest = fitted.noise_box_
    uniform = np.full(len(x), np.log(fitted.noise_weight_) - np.log(largest - least).sum())
    return np.column_stack([*joint, uniform])


@each_kind
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.filterwarnings("ignore:the best start did not converge")
def test_em_by_its_definition(kind: str, weighted: bool) -> None:
    """Steps of shares that scipy gives; F is checked at each by the fit itself."""
    x = scattered()
    weight = np.random.default_rng(1).random(len(x)) if weighted else np.ones(len(x))
    options = {**same_start(clusters(60), kind), "reg_covar": 0.0, "tol": 0.0, "max_iter": 4}
    fitted = GaussianMixture(noise="uniform", **options).fit(x, sample_weight=weight)
    steps = clone(fitted).set_params(max_iter=0).fit(x, sample_weight=weight)
    assert steps.noise_weight_ == 0.1
    bounds = []
    for _ in range(4):
        joint = columns(x, steps)
        density = logsumexp(joint, axis=1)
        bounds.append(weight @ density / weight.sum())
        r = np.exp(joint - density[:, None]) * weight[:, None]
        plain = GaussianMixture(3, covariance_type=kind, reg_covar=0.0, max_iter=1, tol=0.0)
        copies, labels = np.tile(x, (3, 1)), np.repeat(np.arange(3), len(x))
        plain.fit(copies, sample_weight=r[:, :3].T.reshape(-1), labels=labels)
        steps.noise_weight_ = r[:, 3].sum() / weight.sum()
        steps.weights_ = plain.weights_ * (1 - steps.noise_weight_)
        steps.means_, steps.covariances_ = plain.means_, plain.covariances_
        steps.precisions_cholesky_ = plain.precisions_cholesky_
    np.testing.assert_allclose(fitted.lower_bounds_, bounds, rtol=1e-10)
    assert fitted.noise_weight_ == pytest.approx(steps.noise_weight_, rel=1e-8)
    for name in ("weights_", "means_", "covariances_"):
        np.testing.assert_allclose(getattr(fitted, name), getattr(steps, name), rtol=1e-7)


@each_kind
def test_outliers_are_noise(kind: str) -> None:
    """A tenth of the points is anywhere: clusters are found beside it, and not without noise."""
    x = scattered()
    fitted = noisy(covariance_type=kind, reg_covar=0.0).fit(x)
    plain = GaussianMixture(3, covariance_type=kind, random_state=0).fit(x)
    assert adjusted_rand_score(TRUTH, fitted.predict(x)) > 0.9
    assert adjusted_rand_score(TRUTH[:180], plain.predict(x)[:180]) < 0.7
    assert fitted.noise_weight_ == pytest.approx(0.1, abs=0.02)
    assert fitted.weights_.sum() + fitted.noise_weight_ == pytest.approx(1.0)
    assert fitted.bic(x) < plain.bic(x)
    assert (np.diff(fitted.lower_bounds_) > -1e-9).all()


def test_what_it_says_of_points() -> None:
    x = scattered()
    fitted = noisy().fit(x)
    joint = columns(x, fitted)
    density = logsumexp(joint, axis=1)
    np.testing.assert_allclose(fitted.score_samples(x), density, rtol=1e-10)
    shares = np.exp(joint - density[:, None])
    np.testing.assert_allclose(fitted.predict_proba(x), shares, atol=1e-10)
    np.testing.assert_array_equal(
        fitted.predict(x), np.where(shares.argmax(1) == 3, -1, shares.argmax(1))
    )
    np.testing.assert_array_equal(fitted.noise_box_, [x.min(0), x.max(0)])
    assert fitted.noise_log_volume_ == pytest.approx(np.log(np.ptp(x, axis=0)).sum())
    far = np.full((1, 4), 1e6)  # beyond the box, and of no cluster
    assert fitted.predict(far) == -1
    uniform = np.log(fitted.noise_weight_) - fitted.noise_log_volume_
    assert fitted.score_samples(far) == pytest.approx(uniform)
    plain = GaussianMixture(3, random_state=0).fit(x)
    assert fitted.n_parameters_ == plain.n_parameters_ + 2
    expected = fitted.n_parameters_ * np.log(200) - 2 * density.sum()
    assert fitted.bic(x) == pytest.approx(expected)
    entropy = stats.entropy(shares, axis=1).sum()
    assert fitted.icl(x) == pytest.approx(expected + 2 * entropy)


def test_samples() -> None:
    fitted = noisy().fit(scattered())
    drawn, labels = fitted.sample(20000)
    shares = np.bincount(labels + 1) / 20000
    np.testing.assert_allclose(shares, [fitted.noise_weight_, *fitted.weights_], atol=0.01)
    noise = drawn[labels == -1]
    np.testing.assert_array_equal(labels[-len(noise) :], -1)
    assert (noise >= fitted.noise_box_[0]).all()
    assert (noise <= fitted.noise_box_[1]).all()
    np.testing.assert_allclose(noise.mean(0), fitted.noise_box_.mean(0), atol=2)
    np.testing.assert_allclose(drawn[labels == 0].mean(0), fitted.means_[0], atol=0.1)
    assert fitted.sample(1)[0].shape == (1, 4)


@each_kind
def test_missing_values(kind: str) -> None:
    """What is observed of noise is uniform; with nothing missing it is the same fit."""
    x = scattered()
    holes = np.where(np.random.default_rng(1).random(x.shape) < 0.15, np.nan, x)
    options = {"covariance_type": kind, "reg_covar": 0.0}
    plain = noisy(**options).fit(x)
    general = noisy(**options, missing_values="marginalize").fit(x)
    np.testing.assert_allclose(general.means_, plain.means_, rtol=1e-6)
    np.testing.assert_allclose(general.score_samples(x), plain.score_samples(x), rtol=1e-6)
    fitted = general.fit(holes)
    np.testing.assert_array_equal(fitted.noise_box_, [np.nanmin(holes, 0), np.nanmax(holes, 0)])
    assert adjusted_rand_score(TRUTH, fitted.predict(holes)) > 0.8
    nothing = fitted.predict_proba(np.full((1, 4), np.nan))[0]
    np.testing.assert_allclose(nothing, [*fitted.weights_, fitted.noise_weight_])


def test_weights_are_repetitions_and_chunks_are_the_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    x = scattered()
    start = same_start(clusters(60), "full")
    counts = np.random.default_rng(0).integers(0, 3, len(x))
    fitted = GaussianMixture(noise="uniform", **start).fit(x, sample_weight=counts)
    repeated = GaussianMixture(noise="uniform", **start).fit(np.repeat(x, counts, axis=0))
    np.testing.assert_array_equal(fitted.noise_box_, repeated.noise_box_)
    assert fitted.noise_weight_ == pytest.approx(repeated.noise_weight_, rel=1e-9)
    np.testing.assert_allclose(fitted.means_, repeated.means_, rtol=1e-9)
    np.save(tmp_path / "x.npy", x)
    whole = noisy().fit(x)
    monkeypatch.setattr(points, "_CHUNK", 1000)
    mapped = noisy().fit(np.load(tmp_path / "x.npy", mmap_mode="r"))
    np.testing.assert_allclose(mapped.means_, whole.means_, rtol=1e-9)
    assert mapped.noise_weight_ == pytest.approx(whole.noise_weight_, rel=1e-9)


def test_labels_beside_noise() -> None:
    """A labelled point is no noise, however far it is."""
    x = scattered()
    labels = np.where(np.arange(200) % 5 == 0, TRUTH, -1)
    fitted = noisy(reg_covar=0.0).fit(x, labels=labels)
    assert (fitted.predict(x) == TRUTH).mean() > 0.95
    told = labels.copy()
    told[-20:] = 0
    widened = noisy().fit(x, labels=told)
    assert widened.noise_weight_ < 0.02
    shares = np.where(labels[:, None] == np.arange(3), 0.8, 0.1)
    shares[labels == -1] = np.nan
    fitted = noisy(reg_covar=0.0).fit(x, labels=shares)
    assert (fitted.predict(x) == TRUTH).mean() > 0.95


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_tensors(dtype: torch.dtype) -> None:
    x = torch.from_numpy(scattered())
    fitted, want = noisy().fit(x.to(dtype)), noisy().fit(x.numpy())
    assert isinstance(fitted.noise_box_, torch.Tensor)
    torch.testing.assert_close(fitted.means_, torch.from_numpy(want.means_), rtol=1e-3, atol=1e-3)
    assert fitted.noise_weight_ == pytest.approx(want.noise_weight_, rel=1e-3)
    assert fitted.score_samples(x.to(dtype)).dtype == dtype
    assert fitted.sample(5)[1].dtype == torch.int64


def test_minibatches() -> None:
    """One batch over and over ends where EM ends; the box is that of all batches."""
    x = scattered()
    fitted = noisy(tol=1e-9, max_iter=300).fit(x)
    stepwise = noisy()
    for _ in range(150):
        stepwise.partial_fit(x)
    assert stepwise.noise_weight_ == pytest.approx(fitted.noise_weight_, rel=1e-2)
    np.testing.assert_allclose(stepwise.weights_, fitted.weights_, rtol=1e-2)
    stepwise.partial_fit(x[:5] * 1e-3).partial_fit(np.full((1, 4), 99.0))
    np.testing.assert_array_equal(stepwise.noise_box_, [x.min(0), [99.0] * 4])


@each_kind
@pytest.mark.parametrize("prior", [None, ConjugatePrior(weight_concentration=3.0)])
def test_the_sums_behind_are_those_of_which_it_is_the_m_step(
    kind: str, prior: ConjugatePrior | None
) -> None:
    fitted = noisy(covariance_type=kind).fit(scattered())
    noise = Noise(torch.tensor(fitted.noise_weight_).double(), torch.tensor(fitted.noise_box_))
    given = (torch.tensor(getattr(fitted, name)) for name in ("weights_", "means_", "covariances_"))
    model = NoiseEM(COVARIANCES[kind], Parameters(*given), noise=noise, prior=prior)
    before, sums = model.parameters, model.sums_behind(500.0)
    assert sums.total.item() == pytest.approx(500.0)
    model.m_step(Posterior(sums, 0.0, 0.0, sums.total.item()))
    torch.testing.assert_close(model.noise.weight, noise.weight)
    for got, want in zip(model.parameters[:3], before[:3], strict=True):
        torch.testing.assert_close(got, want)


def test_a_prior_beside_noise() -> None:
    prior = ConjugatePrior(weight_concentration=3.0, scatter=0.5, degrees_of_freedom=6.0)
    fitted = noisy(prior=prior, reg_covar=0.0).fit(scattered())
    assert 0.08 < fitted.noise_weight_ < 0.1  # seven points of 207, less than without the prior
    assert (np.diff(fitted.lower_bounds_) > -1e-9).all()


def test_going_on_and_changing_ones_mind() -> None:
    x = scattered()
    fitted = noisy(max_iter=300, tol=1e-9, warm_start=True).fit(x)
    weight = fitted.noise_weight_
    assert fitted.fit(x).n_iter_ <= 2
    assert fitted.noise_weight_ == pytest.approx(weight)
    for again in (pickle.loads(pickle.dumps(fitted)), clone(fitted).fit(x)):
        np.testing.assert_allclose(again.predict_proba(x), fitted.predict_proba(x), atol=1e-4)
    fitted.set_params(noise=None, warm_start=False).fit(x)
    assert not hasattr(fitted, "noise_weight_")
    assert not hasattr(fitted, "noise_log_volume_")
    assert fitted.predict_proba(x).shape == (200, 3)


def test_the_mixture_of_the_components() -> None:
    x = scattered()
    fitted = noisy().fit(x)
    for refused in (fitted.to_distribution, fitted.to_sklearn, lambda: fitted.marginal([0]),
                    lambda: fitted.condition([0], [1.0]), lambda: fitted.impute(x)):  # fmt: skip
        with pytest.raises(ValueError, match="the mixture has noise"):
            refused()
    plain = fitted.without_noise()
    np.testing.assert_allclose(plain.weights_, fitted.weights_ / fitted.weights_.sum())
    shares = fitted.predict_proba(x)[:, :3]
    np.testing.assert_allclose(plain.predict_proba(x), shares / shares.sum(1, keepdims=True),
                               atol=1e-12)  # fmt: skip
    assert plain.to_sklearn().predict(x).shape == (200,)
    assert fitted.noise_weight_ > 0


@each_kind
def test_files(kind: str, tmp_path: Path) -> None:
    x = torch.from_numpy(scattered())
    fitted = noisy(covariance_type=kind).fit(x)
    fitted.save(tmp_path / "m")
    again = GaussianMixture.load(tmp_path / "m")
    assert again.get_params() == fitted.get_params()
    assert again.noise_weight_ == fitted.noise_weight_
    np.testing.assert_array_equal(again.noise_box_, fitted.noise_box_)
    np.testing.assert_array_equal(again.predict_proba(x), fitted.predict_proba(x))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"weight": 1.5}, r"expected a number in \[0, 1\]"),
        ({"weight": -0.5}, "from 0 on"),
        ({"box": [[0.0] * 4]}, "1 entries; expected 2"),
        ({"box": [[0.0] * 3, [1.0] * 3]}, "corners of other than 4"),
        ({"box": [[0.0] * 4, [1.0, 1.0, 1.0, 0.0]]}, "is no box in 4 dimensions"),
        ({"box": [[-1.7e308] * 4, [1.7e308] * 4]}, "too wide"),
        ({"more": 1}, "has no place"),
    ],
)
def test_files_of_no_noise(change: dict[str, Any], words: str, tmp_path: Path) -> None:
    path = tmp_path / "m"
    noisy().fit(scattered()).save(path)
    with safe_open(path, "pt") as file:
        said = json.loads(file.metadata()["config"])
        arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        header = file.metadata()
    said["noise"] |= change
    header |= {"config": json.dumps(said), "sha256": digest(arrays)}
    save_file(arrays, path, header)
    with pytest.raises(ValueError, match=words):
        GaussianMixture.load(path)


def test_what_is_refused() -> None:
    x = scattered()
    with pytest.raises(ValueError, match="'noise' parameter"):
        GaussianMixture(noise="gaussian").fit(x)
    flat = x.copy()
    flat[:, 2] = 1.0
    with pytest.raises(ValueError, match=r"column\(s\) \[2\] .* hold one value only"):
        noisy().fit(flat)
    for method in ("k-means++", "random_from_data"):
        with pytest.raises(ValueError, match="starts at single points"):
            noisy(init_params=method).fit(x)
    fitted = noisy().fit(x)
    fitted.noise_box_ = fitted.noise_box_[:, :3]
    with pytest.raises(ValueError, match="noise_box_ is no box in 4 dimensions"):
        fitted.predict(x)
