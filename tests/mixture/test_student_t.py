# SPDX-License-Identifier: MIT
"""Mixtures of Student t distributions: by scipy's densities, among outliers, and at their edges."""

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
from scipy import optimize, special, stats
from sklearn.base import BaseEstimator, clone
from sklearn.exceptions import NotFittedError
from sklearn.metrics import adjusted_rand_score
from sklearn.utils.estimator_checks import parametrize_with_checks

from pyvae.mixture import GaussianMixture, StudentTMixture, points, student_t, student_t_em
from pyvae.mixture.covariance import COVARIANCES, Parameters
from pyvae.mixture.gaussian_em import Posterior
from pyvae.storage.tensors import digest
from tests.mixture.drawing import KINDS, clusters, same_start

each_kind = pytest.mark.parametrize("kind", KINDS)
each_choice = pytest.mark.parametrize("degrees", ["free", "tied", 3.0])
STATE = ("weights_", "means_", "scales_", "degrees_of_freedom_", "covariance_matrices_")


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning", "ignore::UserWarning")
@parametrize_with_checks(
    [StudentTMixture(), StudentTMixture(2, covariance_type="diag", random_state=0)],
    expected_failed_checks=lambda estimator: (
        {"check_sample_weight_equivalence_on_dense_data": "the start draws other points"}
        if estimator.n_components > 1
        else {}
    ),
)
def test_scikit_learns_own_checks(estimator: BaseEstimator, check: Any) -> None:
    check(estimator)


def outliers(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Three clusters of 60 points, and a tenth as many far away; what clusters they are of."""
    random = np.random.default_rng(seed)
    x = np.concatenate([clusters(60, seed=seed), random.uniform(-300, 300, (20, 4))])
    return x, np.repeat([0, 1, 2], 60)


def tails(count: int) -> np.ndarray:
    """Two clusters in a plane, of few degrees of freedom."""
    random = np.random.default_rng(0)
    ones = stats.multivariate_t([0.0, 0.0], [[2.0, 0.6], [0.6, 1.0]], df=2.0)
    others = stats.multivariate_t([20.0, 0.0], np.eye(2), df=3.0)
    return np.concatenate([ones.rvs(count, random), others.rvs(count, random)])


def matrices(fitted: StudentTMixture) -> np.ndarray:
    """The scale matrices, whatever their kind."""
    kind = COVARIANCES[fitted.covariance_type]
    return kind.matrices(torch.tensor(fitted.scales_), *fitted.means_.shape).numpy()


def log_joint(x: np.ndarray, fitted: StudentTMixture) -> np.ndarray:
    return np.log(fitted.weights_) + np.column_stack(
        [
            stats.multivariate_t(mean, matrix, df=degrees).logpdf(x)
            for mean, matrix, degrees in zip(
                fitted.means_, matrices(fitted), fitted.degrees_of_freedom_, strict=True
            )
        ]
    )


def best_degrees(gap: float) -> float:
    """By scipy's search."""
    return optimize.brentq(lambda v: np.log(v / 2) - special.digamma(v / 2) - gap, 1e-2, 1e7)


@each_kind
@each_choice
@pytest.mark.filterwarnings("ignore:the best start did not converge")
def test_em_by_its_definition(kind: str, degrees: str | float) -> None:
    """Three steps of Peel and McLachlan's; that F is log p(x) is checked by the fit itself."""
    x = outliers()[0] / 10
    weight = np.random.default_rng(1).random(len(x))
    options: dict[str, Any] = {**same_start(clusters(60) / 10, kind), "degrees_of_freedom": degrees,
                               "reg_covar": 0.0, "tol": 0.0}  # fmt: skip
    fitted = StudentTMixture(**options, max_iter=3).fit(x, sample_weight=weight)
    steps = StudentTMixture(**options, max_iter=0).fit(x)
    assert (steps.degrees_of_freedom_ == (3.0 if degrees == 3.0 else 4.0)).all()
    bounds = []
    for _ in range(3):
        joint, nu = log_joint(x, steps), steps.degrees_of_freedom_
        density = special.logsumexp(joint, axis=1)
        bounds.append(weight @ density / weight.sum())
        r = np.exp(joint - density[:, None]) * weight[:, None]
        gaps = x[:, None] - steps.means_
        delta = np.einsum("nkd,kde,nke->nk", gaps, np.linalg.inv(matrices(steps)), gaps)
        u = (nu + 4) / (nu + delta)
        log_u = special.digamma((nu + 4) / 2) - np.log((nu + delta) / 2)
        steps.weights_ = r.sum(0) / weight.sum()
        steps.means_ = (r * u).T @ x / (r * u).sum(0)[:, None]
        gaps = x[:, None] - steps.means_
        second = np.einsum("nk,nkd,nke->kde", r * u, gaps, gaps)
        whole = second.sum(0, keepdims=True) / r.sum() if "tied" in kind else second
        whole = whole if "tied" in kind else second / r.sum(0)[:, None, None]
        diagonal = np.diagonal(whole, axis1=1, axis2=2)
        found = {"full": whole, "tied": whole[0], "diag": diagonal, "spherical": diagonal.mean(1),
                 "tied_diag": diagonal[0], "tied_spherical": diagonal.mean()}[kind]  # fmt: skip
        steps.scales_ = np.asarray(found)
        of_degrees, counts = (r * (u - log_u)).sum(0), r.sum(0)
        if degrees == "tied":
            of_degrees, counts = of_degrees.sum(keepdims=True), counts.sum(keepdims=True)
        if degrees != 3.0:
            steps.degrees_of_freedom_ = np.ones(3) * [
                best_degrees(gap) for gap in of_degrees / counts - 1
            ]
    np.testing.assert_allclose(fitted.lower_bounds_, bounds, rtol=1e-9)
    for name in STATE[:4]:
        np.testing.assert_allclose(getattr(fitted, name), getattr(steps, name), rtol=1e-6)


@each_kind
@each_choice
def test_outliers_are_left_alone(kind: str, degrees: str | float) -> None:
    """With a tenth of far outliers a Gaussian mixture loses the clusters, and this does not."""
    x, truth = outliers()
    options: dict[str, Any] = {"covariance_type": kind, "random_state": 0}
    robust = StudentTMixture(3, degrees_of_freedom=degrees, reg_covar=0.0, **options).fit(x)
    plain = GaussianMixture(3, **options).fit(x)
    assert adjusted_rand_score(truth, robust.predict(x)[:180]) > 0.9
    assert adjusted_rand_score(truth, plain.predict(x)[:180]) < 0.6
    order = robust.means_[:, 0].argsort()
    np.testing.assert_allclose(robust.means_[order].mean(1), [-3, 0, 3], atol=0.4)
    assert (np.diff(robust.lower_bounds_) > -1e-9).all()


def test_the_parameters_of_what_was_drawn() -> None:
    random = np.random.default_rng(0)
    t = stats.multivariate_t([1.0, -2.0], [[2.0, 0.6], [0.6, 1.0]], df=5.0)
    other = stats.multivariate_t([20.0, 0.0], np.eye(2), df=50.0)
    x = np.concatenate([t.rvs(6000, random), other.rvs(4000, random)])
    fitted = StudentTMixture(2, random_state=0, tol=1e-7, max_iter=500).fit(x)
    first, second = fitted.means_[:, 0].argsort()
    np.testing.assert_allclose(fitted.means_[first], [1.0, -2.0], atol=0.1)
    np.testing.assert_allclose(fitted.scales_[first], [[2.0, 0.6], [0.6, 1.0]], atol=0.15)
    assert fitted.degrees_of_freedom_[first] == pytest.approx(5.0, rel=0.15)
    assert fitted.degrees_of_freedom_[second] > 25.0
    assert fitted.weights_[first] == pytest.approx(0.6, abs=0.01)


@each_choice
def test_the_fixed_point_is_an_optimum(degrees: str | float) -> None:
    """No direction leads up from where EM ends, by scipy's densities."""
    x = tails(150)
    fitted = StudentTMixture(2, degrees_of_freedom=degrees, reg_covar=0.0, tol=1e-11,
                             max_iter=2000, random_state=0).fit(x)  # fmt: skip
    best = special.logsumexp(log_joint(x, fitted), axis=1).mean()
    assert best == pytest.approx(fitted.lower_bound_, abs=1e-9)
    for name in STATE[:4]:
        value = getattr(fitted, name)
        if name == "degrees_of_freedom_" and degrees != "free":
            places = [...] if degrees == "tied" else []
        else:
            places = list(np.ndindex(value.shape))
        for index in places:
            for step in (-1e-3, 1e-3):
                moved = clone(fitted)
                vars(moved).update({other: getattr(fitted, other).copy() for other in STATE[:4]})
                moved_value = getattr(moved, name)
                moved_value[index] *= 1 + step
                if name == "scales_":
                    moved.scales_ = 0.5 * (moved_value + moved_value.swapaxes(1, 2))
                moved.weights_ = moved.weights_ / moved.weights_.sum()
                assert special.logsumexp(log_joint(x, moved), axis=1).mean() <= best + 1e-9


@each_kind
def test_what_it_says_of_points(kind: str) -> None:
    x = outliers()[0]
    fitted = StudentTMixture(3, covariance_type=kind, random_state=0).fit(x)
    joint = log_joint(x, fitted)
    density = special.logsumexp(joint, axis=1)
    np.testing.assert_allclose(fitted.score_samples(x), density, rtol=1e-9)
    np.testing.assert_allclose(fitted.predict_proba(x), np.exp(joint - density[:, None]), atol=1e-9)
    np.testing.assert_array_equal(fitted.predict(x), joint.argmax(1))
    free = COVARIANCES[kind].parameters(3, 4) + 12 + 2 + 3
    assert fitted.n_parameters_ == free
    assert fitted.bic(x) == pytest.approx(free * np.log(len(x)) - 2 * density.sum())
    assert fitted.aic(x) == pytest.approx(2 * free - 2 * density.sum())
    assert fitted.icl(x) >= fitted.bic(x)
    assert fitted.set_params(degrees_of_freedom="tied").n_parameters_ == free - 2
    assert fitted.set_params(degrees_of_freedom=2.0).n_parameters_ == free - 3
    nu = fitted.degrees_of_freedom_[:, None, None]
    with np.errstate(divide="ignore"):
        expected = np.where(nu > 2, nu / (nu - 2), np.nan) * matrices(fitted)
    np.testing.assert_allclose(fitted.covariance_matrices_, expected)


def test_samples() -> None:
    x = clusters(60)
    fitted = StudentTMixture(3, degrees_of_freedom=5.0, random_state=0).fit(x)
    drawn, labels = fitted.sample(40000)
    np.testing.assert_allclose(np.bincount(labels) / 40000, fitted.weights_, atol=0.01)
    one = drawn[labels == 0]
    np.testing.assert_allclose(one.mean(0), fitted.means_[0], atol=0.05)
    np.testing.assert_allclose(np.cov(one.T), fitted.covariance_matrices_[0], atol=0.15)
    gaps = one - fitted.means_[0]
    delta = np.einsum("nd,de,ne->n", gaps, np.linalg.inv(fitted.scales_[0]), gaps)
    assert stats.kstest(delta / 4, stats.f(4, 5.0).cdf).pvalue > 0.01


@pytest.mark.parametrize("true", [0.1, 0.5, 1.0, 4.0, 30.0, 1e3, 9e4])
def test_the_root_of_the_degrees(true: float) -> None:
    half = torch.tensor([true / 2], dtype=torch.float64)
    gap = half.log() - torch.digamma(half)
    found = student_t.best_degrees(gap).item()
    assert found == pytest.approx(true, rel=1e-6)
    assert found == pytest.approx(best_degrees(gap.item()), rel=1e-5)


def test_degrees_stay_in_their_range() -> None:
    gaps = torch.tensor([-1e-9, 0.0, 1e-300, 1e-7, 1e3, 1e300], dtype=torch.float64)
    found = student_t.best_degrees(gaps)
    low, high = student_t.LEAST, student_t.MOST
    torch.testing.assert_close(found, torch.tensor([high] * 4 + [low] * 2).double())
    x = np.random.default_rng(0).uniform(size=(300, 2))  # tails shorter than a Gaussian's
    fitted = StudentTMixture(reg_covar=0.0, max_iter=300, tol=1e-4).fit(x)
    gaussian = GaussianMixture(reg_covar=0.0).fit(x)
    assert fitted.degrees_of_freedom_[0] > 20
    assert fitted.score(x) == pytest.approx(gaussian.score(x), abs=3e-2)


@each_kind
@each_choice
def test_the_sums_behind_are_those_of_which_it_is_the_m_step(
    kind: str, degrees: str | float
) -> None:
    x = outliers()[0]
    fitted = StudentTMixture(3, covariance_type=kind, degrees_of_freedom=degrees,
                             random_state=0).fit(x)  # fmt: skip
    given = [torch.as_tensor(getattr(fitted, name)) for name in STATE[:4]]
    model = student_t_em.StudentTEM(
        COVARIANCES[kind], Parameters(*given[:3]), degrees=given[3],
        fitted=isinstance(degrees, str), tied=degrees == "tied",
    )  # fmt: skip
    model.m_step(Posterior(model.sums_behind(500.0), 0.0, 0.0, 500.0))
    for got, want in zip((*model.parameters[:3], model.degrees), given, strict=True):
        torch.testing.assert_close(got, want, rtol=1e-6, atol=1e-9)


def test_minibatches_reach_the_fit() -> None:
    x = tails(1000)
    np.random.default_rng(1).shuffle(x)
    whole = StudentTMixture(2, random_state=0, tol=1e-6, max_iter=300).fit(x)
    stepwise = StudentTMixture(2, random_state=0)
    for _ in range(4):
        for batch in np.split(x, 10):
            stepwise.partial_fit(batch)
    assert stepwise.score(x) > whole.score(x) - 0.01
    order = stepwise.means_[:, 0].argsort(), whole.means_[:, 0].argsort()
    np.testing.assert_allclose(stepwise.means_[order[0]], whole.means_[order[1]], atol=0.2)
    degrees = (each.degrees_of_freedom_ for each in (stepwise, whole))
    stepwise_degrees, whole_degrees = (d[o] for d, o in zip(degrees, order, strict=True))
    np.testing.assert_allclose(stepwise_degrees, whole_degrees, rtol=0.2)


def test_weights_chunks_and_steps_are_the_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    x = outliers()[0]
    start = same_start(clusters(60), "full")
    counts = np.random.default_rng(0).integers(0, 3, len(x))
    weighted = StudentTMixture(**start).fit(x, sample_weight=counts)
    repeated = StudentTMixture(**start).fit(np.repeat(x, counts, axis=0))
    whole = StudentTMixture(**start).fit(x)
    np.save(tmp_path / "x.npy", x)
    monkeypatch.setattr(points, "_CHUNK", 1000)
    monkeypatch.setattr(student_t_em, "_ELEMENTS", 50)
    mapped = StudentTMixture(**start).fit(np.load(tmp_path / "x.npy", mmap_mode="r"))
    for name in STATE[:4]:
        for one, other in ((weighted, repeated), (mapped, whole)):
            np.testing.assert_allclose(getattr(one, name), getattr(other, name), rtol=1e-7)


@each_kind
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_tensors(kind: str, dtype: torch.dtype) -> None:
    x = torch.from_numpy(outliers()[0]).to(dtype)
    options: dict[str, Any] = {"covariance_type": kind, "random_state": 0, "reg_covar": 0.0}
    fitted = StudentTMixture(3, **options).fit(x)
    want = StudentTMixture(3, **options).fit(x.numpy())
    exact = StudentTMixture(3, **options).fit(x.double())
    for name in STATE:
        value = getattr(fitted, name)
        assert isinstance(value, torch.Tensor)
        np.testing.assert_array_equal(value.numpy(), getattr(want, name))
        torch.testing.assert_close(value, getattr(exact, name), rtol=1e-2, atol=1e-3,
                                   equal_nan=True)  # fmt: skip
    assert fitted.score_samples(x).dtype == dtype
    drawn, labels = fitted.sample(10)
    assert drawn.shape == (10, 4)
    assert labels.dtype == torch.int64


def test_labels() -> None:
    x, truth = outliers()
    truth = np.r_[(truth + 2) % 3, np.zeros(20, int)]
    known = np.where((np.arange(200) % 10 == 0) & (np.arange(200) < 180), truth, -1)
    graded = np.where(known[:, None] < 0, np.nan, 0.7 * np.eye(3)[truth] + 0.1)
    for labels in (known, graded):
        fitted = StudentTMixture(3, random_state=0, reg_covar=0.0).fit(x, labels=labels)
        assert (fitted.predict(x) == truth)[:180].mean() > 0.95


def test_going_on() -> None:
    x = tails(150)
    fitted = StudentTMixture(2, random_state=0, tol=1e-9, max_iter=2000, warm_start=True).fit(x)
    before = fitted.lower_bound_
    degrees = fitted.degrees_of_freedom_
    assert fitted.fit(x).n_iter_ <= 2
    assert fitted.lower_bound_ == pytest.approx(before, abs=1e-8)
    np.testing.assert_allclose(fitted.degrees_of_freedom_, degrees, rtol=1e-3)
    again = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(again.predict_proba(x), fitted.predict_proba(x))
    by_hand = StudentTMixture(2)
    for name in STATE[:4]:
        setattr(by_hand, name, getattr(fitted, name))
    np.testing.assert_array_equal(by_hand.predict_proba(x), fitted.predict_proba(x))


@each_kind
@each_choice
def test_files(kind: str, degrees: str | float, tmp_path: Path) -> None:
    x = outliers()[0]
    fitted = StudentTMixture(3, covariance_type=kind, degrees_of_freedom=degrees, tol=1e-2,
                             random_state=0).fit(x)  # fmt: skip
    fitted.feature_names_in_ = np.array(["a", "b", "c", "µ"], dtype=object)
    fitted.save(tmp_path / "new" / "m")
    again = StudentTMixture.load(tmp_path / "new" / "m")
    assert again.get_params() == fitted.get_params()
    for name in (*STATE, "n_iter_", "lower_bounds_", "n_samples_seen_", "feature_names_in_"):
        np.testing.assert_array_equal(getattr(again, name), getattr(fitted, name), name)
    del fitted.feature_names_in_, again.feature_names_in_
    np.testing.assert_array_equal(again.predict_proba(x), fitted.predict_proba(x))
    with pytest.raises(ValueError, match=r"pyvae.student_t_mixture"):
        GaussianMixture.load(tmp_path / "new" / "m")


@pytest.mark.parametrize(
    ("change", "arrays", "words"),
    [
        ({"degrees_of_freedom": "many"}, {}, "free"),
        ({"degrees_of_freedom": -1.0}, {}, "from 0 on"),
        ({"covariance_type": "diag"}, {}, "holds no mixture of diag covariances"),
        ({}, {"degrees_of_freedom": torch.tensor([1.0, 0.0]).double()}, "above zero"),
        ({}, {"degrees_of_freedom": torch.ones(3).double()}, "holds no mixture"),
        ({}, {"scales": torch.tensor([[[1.0, 0.5], [0.0, 1.0]]] * 2).double()}, "not symmetric"),
        ({}, {"scales": -torch.eye(2).expand(2, 2, 2).double().contiguous()}, "holds no mixture"),
        ({}, {"weights": torch.tensor([-1.0, 2.0]).double()}, "not be negative"),
    ],
)
def test_files_of_no_mixture(
    change: dict[str, Any], arrays: dict[str, Any], words: str, tmp_path: Path
) -> None:
    path = tmp_path / "m"
    StudentTMixture(2, random_state=0).fit(clusters(20, d=2)).save(path)
    with safe_open(path, "pt") as file:
        said = json.loads(file.metadata()["config"])
        found = {name: file.get_tensor(name) for name in file.keys()} | arrays  # noqa: SIM118
    said["settings"] |= change
    save_file(found, path, {"config": json.dumps(said), "sha256": digest(found)})
    with pytest.raises(ValueError, match=words):
        StudentTMixture.load(path)


def test_what_is_refused(tmp_path: Path) -> None:
    x = outliers()[0]
    for value in (0.0, -1.0, "some", None):
        with pytest.raises(ValueError, match="'degrees_of_freedom' parameter"):
            StudentTMixture(degrees_of_freedom=value).fit(x)  # type: ignore[arg-type]
    holes = torch.from_numpy(x.copy())
    holes[3, 1] = torch.nan
    with pytest.raises(ValueError, match=r"NaN or infinity in row 3 \(counted from 0\)$"):
        StudentTMixture().fit(holes)
    with pytest.raises(ValueError, match="ill-defined"):
        StudentTMixture(reg_covar=0.0).fit(np.zeros((10, 2)))
    with pytest.raises(NotFittedError):
        StudentTMixture().save(tmp_path / "m")
    fitted = StudentTMixture(2, random_state=0).fit(x)
    fitted.degrees_of_freedom_ = np.array([1.0, -1.0])
    with pytest.raises(ValueError, match="degrees_of_freedom_ must be above zero"):
        fitted.predict(x)
    fitted.degrees_of_freedom_ = np.ones(3)
    with pytest.raises(ValueError, match=r"degrees_of_freedom_ has shape \(3,\); expected \(2,\)"):
        fitted.predict(x)
