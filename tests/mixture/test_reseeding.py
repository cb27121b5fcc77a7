# SPDX-License-Identifier: MIT
"""Components that start again lead to a better end, or everything stays as it was."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import sklearn.mixture
from sklearn.exceptions import ConvergenceWarning

from pyvae.mixture import ConjugatePrior, GaussianMixture
from pyvae.mixture.covariance import COVARIANCES
from pyvae.mixture.gaussian_em import GaussianEM
from tests.mixture.drawing import KINDS, THEIRS, clusters

each_kind = pytest.mark.parametrize("kind", KINDS)
Draw = Callable[[np.random.Generator], np.ndarray]


def far_clusters(r: np.random.Generator) -> np.ndarray:
    return np.concatenate([r.normal(at, 1e-3, (60, 2)) for at in (0.0, 1e4, -3e4)])


def ratings(r: np.random.Generator) -> np.ndarray:
    return r.choice(5, (200, 2), p=[0.02, 0.1, 0.2, 0.3, 0.38]) + 1.0


def outliers(r: np.random.Generator) -> np.ndarray:
    near = [r.normal(at, 1.0, (100, 2)) for at in (0.0, 8.0)]
    return np.concatenate([*near, r.normal(1e9, 1.0, (5, 2))])


def amounts(r: np.random.Generator) -> np.ndarray:
    """60 % of them nothing."""
    return np.where(r.random((300, 1)) < 0.6, 0.0, r.lognormal(3.0, 1.5, (300, 1)))


def masses(r: np.random.Generator) -> np.ndarray:
    return np.repeat(r.normal(0.0, 1.0, (3, 2)), [100, 60, 2], axis=0)


def masses_in_noise(r: np.random.Generator) -> np.ndarray:
    return np.concatenate([np.full((50, 2), 0.5), r.normal(0.0, 1.0, (150, 2))])


def one_outlier(r: np.random.Generator) -> np.ndarray:
    return np.concatenate([clusters(60, d=2, seed=int(r.integers(99))), [[300.0, -50.0]]])


def rounded(r: np.random.Generator) -> np.ndarray:
    return r.normal(0.0, 1.5, (200, 3)).round()


def constant_column(r: np.random.Generator) -> np.ndarray:
    return np.column_stack([np.ones(150), r.standard_t(1.5, 150)])


DATA: tuple[Draw, ...] = (
    far_clusters, ratings, outliers, amounts, masses, masses_in_noise, one_outlier, rounded,
    constant_column,
)  # fmt: skip


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def end(x: np.ndarray, k: int, **options: Any) -> tuple[float, float]:
    """Where a fit ends: its score and its bound, -inf where it cannot be fitted."""
    try:
        fitted = GaussianMixture(k, **options).fit(x)
    except ValueError:
        return -np.inf, -np.inf
    return fitted.score(x), fitted.lower_bound_


@pytest.mark.parametrize("kind", THEIRS)
@pytest.mark.parametrize("draw", DATA)
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"init_params": "random_from_data"},
        {"reg_covar": 0.0},
        {"n_init": 3, "init_params": "random"},
        {"max_iter": 2},
    ],
)
def test_never_below_the_fit_without(kind: str, draw: Draw, options: dict[str, Any]) -> None:
    for seed in range(2):
        x = draw(np.random.default_rng(seed))
        for k in (2, 5, 9):
            given = {"covariance_type": kind, "random_state": seed, **options}
            without, found = (end(x, k, reseed=reseed, **given) for reseed in (False, True))
            assert found[0] >= without[0] - 1e-12 * abs(without[0]), (seed, k)
            assert found[1] >= without[1] - 1e-12 * abs(without[1]), (seed, k)


def test_what_users_met() -> None:
    """Ends that reseeding destroyed, beside scikit-learn's."""
    r = np.random.default_rng(0)
    two = np.concatenate([r.normal(0.0, 1e-3, (100, 2)), r.normal(1e4, 1e-3, (100, 2))])
    met = ((two, 2), (r.integers(1, 6, (300, 1)).astype(float), 5), (outliers(r), 3),
           (amounts(r), 2), (np.repeat([[0.0, 0.0], [1.0, 1.0]], 500, axis=0), 2))  # fmt: skip
    for x, k in met:
        theirs = sklearn.mixture.GaussianMixture(k, random_state=0).fit(x)
        assert GaussianMixture(k, random_state=0).fit(x).score(x) > theirs.score(x) - 1e-3


@pytest.mark.parametrize("kind", [*THEIRS, "tied_diag"])
@pytest.mark.parametrize("prior", [None, ConjugatePrior(scatter=0.1, degrees_of_freedom=4.0)])
@pytest.mark.parametrize("tol", [0.0, 1e-3])
def test_stuck_starts_are_freed(kind: str, prior: ConjugatePrior | None, tol: float) -> None:
    """One or two of three components start where no point is."""
    x = clusters(100, d=2)
    given: dict[str, Any] = {"covariance_type": kind, "prior": prior, "tol": tol, "max_iter": 200,
                             "random_state": 0}  # fmt: skip
    shape = COVARIANCES[kind].shape(3, 2)
    precision = np.ones(shape) if kind not in ("full", "tied") else np.eye(2) * np.ones(shape)
    for stuck in ([1], [0, 2]):
        means = np.array([[3.0, 3.0], [0.0, 0.0], [-3.0, -3.0]])
        means[stuck] = 1e6
        given |= {"means_init": means, "precisions_init": precision, "weights_init": np.ones(3) / 3}
        left = GaussianMixture(3, reseed=False, **given).fit(x)
        assert left.weights_[stuck].max() < 1e-6
        with pytest.warns(ConvergenceWarning, match=rf"components \[{stuck[0]}.* had lost their"):
            freed = GaussianMixture(3, **given).fit(x)
        assert freed.weights_.min() > 0.005
        assert freed.score(x) > left.score(x) + 0.02
        assert freed.n_iter_ == len(freed.lower_bounds_) <= 200


@each_kind
def test_it_costs_nothing_where_nothing_is_lost(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    e_step = GaussianEM.e_step
    monkeypatch.setattr(
        GaussianEM, "e_step", lambda model, data: calls.append(1) or e_step(model, data)
    )
    fitted = []
    for reseed in (False, True):
        calls.clear()
        model = GaussianMixture(3, covariance_type=kind, random_state=0, reseed=reseed, n_init=2)
        fitted.append((model.fit(clusters()).means_, len(calls)))
    np.testing.assert_array_equal(fitted[0][0], fitted[1][0])
    assert fitted[0][1] == fitted[1][1]
