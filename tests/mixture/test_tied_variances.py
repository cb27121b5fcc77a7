# SPDX-License-Identifier: MIT
"""``tied_diag`` and ``tied_spherical``, by what they are; drawing.KINDS has them elsewhere."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats
from scipy.special import logsumexp

from pyvae.mixture import BayesianGaussianMixture, GaussianMixture
from pyvae.mixture.covariance import COVARIANCES, Parameters
from tests.mixture.drawing import clusters, same_start

TIED = ("tied_diag", "tied_spherical")
each_kind = pytest.mark.parametrize("kind", TIED)
each_estimator = pytest.mark.parametrize("estimator", [GaussianMixture, BayesianGaussianMixture])


@each_kind
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.filterwarnings("ignore:the best start did not converge")
def test_em_by_its_definition(kind: str, weighted: bool) -> None:
    """Ten steps from scipy's densities: one variance is the mean of all residuals' squares."""
    x = clusters(80)
    weight = np.random.default_rng(0).random(len(x)) if weighted else np.ones(len(x))
    options = {**same_start(x, kind), "reg_covar": 0.0, "max_iter": 10, "tol": 0.0}
    fitted = GaussianMixture(**options).fit(x, sample_weight=weight)
    shares, means = options["weights_init"], options["means_init"]
    variances = np.ones(4) / options["precisions_init"]
    bounds = []
    for _ in range(10):
        joint = np.log(shares) + np.column_stack(
            [stats.multivariate_normal(mean, np.diag(variances)).logpdf(x) for mean in means]
        )
        density = logsumexp(joint, axis=1)
        bounds.append(weight @ density / weight.sum())
        r = np.exp(joint - density[:, None]) * weight[:, None]
        shares, means = r.sum(0) / weight.sum(), r.T @ x / r.sum(0)[:, None]
        squares = np.einsum("nk,nkd->d", r, (x[:, None] - means) ** 2) / weight.sum()
        variances = squares if kind == "tied_diag" else np.full(4, squares.mean())
    np.testing.assert_allclose(fitted.lower_bounds_, bounds, rtol=1e-12)
    np.testing.assert_allclose(fitted.weights_, shares, rtol=1e-10)
    np.testing.assert_allclose(fitted.means_, means, rtol=1e-9)
    np.testing.assert_allclose(np.ones(4) * fitted.covariances_, variances, rtol=1e-10)
    np.testing.assert_allclose(fitted.covariance_matrices_, [np.diag(variances)] * 3, rtol=1e-10)


@each_kind
@each_estimator
def test_one_component_shares_with_none(kind: str, estimator: Any) -> None:
    x = clusters(30)
    tied = estimator(covariance_type=kind).fit(x)
    own = estimator(covariance_type=kind.removeprefix("tied_")).fit(x)
    np.testing.assert_allclose(tied.covariances_, own.covariances_[0], rtol=1e-12)
    np.testing.assert_allclose(tied.score_samples(x), own.score_samples(x), rtol=1e-12)
    assert tied.lower_bound_ == pytest.approx(own.lower_bound_, rel=1e-12)


@each_estimator
def test_units_of_coordinates_are_free(estimator: Any) -> None:
    """Of ``tied_diag``, of which each coordinate has a variance of its own."""
    x, units = clusters(60), np.array([1.0, 4.0, 0.5, 2.0])  # powers of two: no rounding
    options = {"covariance_type": "tied_diag", "init_params": "random", "random_state": 0,
               "reg_covar": 0.0, "max_iter": 300}  # fmt: skip
    one, other = (estimator(3, **options).fit(points) for points in (x, x * units))
    np.testing.assert_allclose(other.means_, one.means_ * units, rtol=1e-9)
    np.testing.assert_allclose(other.covariances_, one.covariances_ * units**2, rtol=1e-9)


@each_estimator
def test_directions_are_alike(estimator: Any) -> None:
    """Of ``tied_spherical``, which turns with the points."""
    x = clusters(60)
    turned = x @ np.linalg.qr(np.random.default_rng(0).normal(size=(4, 4)))[0]
    options = {"covariance_type": "tied_spherical", "init_params": "random", "random_state": 0,
               "reg_covar": 0.0, "max_iter": 300}  # fmt: skip
    one, other = (estimator(3, **options).fit(points) for points in (x, turned))
    assert other.covariances_ == pytest.approx(one.covariances_, rel=1e-9)
    np.testing.assert_allclose(other.predict_proba(turned), one.predict_proba(x), atol=1e-8)


@pytest.mark.parametrize(("kind", "count"), [("tied_diag", 4), ("tied_spherical", 1)])
def test_criteria_count_the_variances_once(kind: str, count: int) -> None:
    x = clusters(30)
    fitted = GaussianMixture(3, covariance_type=kind, random_state=0).fit(x)
    free = count + 3 * 4 + 2
    log_likelihood = fitted.score_samples(x).sum()
    assert fitted.aic(x) == pytest.approx(2 * free - 2 * log_likelihood)
    assert fitted.bic(x) == pytest.approx(free * np.log(len(x)) - 2 * log_likelihood)


@each_kind
def test_sums(kind: str) -> None:
    """They add up over parts, and move to other references, as their definition says."""
    x, found = torch.from_numpy(clusters(20)), COVARIANCES[kind]
    means = torch.tensor([[3.0], [0.0], [-3.0]], dtype=torch.float64).expand(3, 4)
    p = Parameters(torch.full((3,), 1 / 3, dtype=torch.float64), means,
                   torch.full(found.shape(3, 4), 1.5, dtype=torch.float64))  # fmt: skip
    whole, parts = found.sums(x, None, p), [found.sums(part, None, p) for part in x.split(25)]
    together = whole.from_flat(sum(part.flat() for part in parts))  # type: ignore[arg-type]
    for name in ("log_likelihood", "counts", "first", "second"):
        torch.testing.assert_close(getattr(together, name), getattr(whole, name))
    shares = found.posterior(x, p)[0].exp()
    moved = whole.about(means + 0.7)
    want = torch.einsum("nk,nkd->kd", shares, (x[:, None] - means - 0.7).square())
    torch.testing.assert_close(moved.second, want.sum_to_size(moved.second.shape))
    assert moved.second.shape == found.aligned(p.covariances).shape


@pytest.mark.parametrize("given", [0.25, np.float32(0.25), np.array(0.25), torch.tensor(0.25)])
def test_a_number_to_start_from(given: Any) -> None:
    x = clusters(10)
    options: dict[str, Any] = {**same_start(x, "tied_spherical"), "max_iter": 0}
    fitted = GaussianMixture(**{**options, "precisions_init": given}).fit(x)
    assert fitted.precisions_ == pytest.approx(0.25)
    assert fitted.covariances_ == pytest.approx(4.0)
    with pytest.raises(ValueError, match=r"should have the shape of \(\), but got \(4,\)"):
        GaussianMixture(**{**options, "precisions_init": np.ones(4)}).fit(x)
