# SPDX-License-Identifier: MIT
"""The estimator as a distribution, as torch's, as scikit-learn's, and back."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import sklearn.mixture
import torch
from sklearn.exceptions import NotFittedError
from torch.distributions import (
    Categorical,
    Independent,
    MixtureSameFamily,
    MultivariateNormal,
    Normal,
)

from pyvae.distributions import GaussianMixture as Distribution
from pyvae.mixture import ConjugatePrior, GaussianMixture
from tests.mixture.drawing import KINDS, THEIRS, clusters

each_kind = pytest.mark.parametrize("kind", KINDS)
# What a distribution, or scikit-learn, has of a kind whose variances are shared.
REPEATED = {"tied_diag": "diag", "tied_spherical": "spherical"}
MIXTURE = ("weights_", "means_", "covariances_", "precisions_", "precisions_cholesky_")
X = clusters(50)


def fitted(kind: str, x: np.ndarray = X, k: int = 3, **options: Any) -> GaussianMixture:
    return GaussianMixture(k, covariance_type=kind, random_state=0, **options).fit(x)


@each_kind
@pytest.mark.parametrize(("k", "d"), [(3, 4), (1, 4), (3, 1), (1, 1)])
def test_a_distribution_and_back(kind: str, k: int, d: int) -> None:
    x = X[:, :d]
    mixture = fitted(kind, x, k)
    density = mixture.to_distribution()
    points = torch.from_numpy(x)
    want = mixture.score_samples(x)
    np.testing.assert_allclose(density.log_prob(points), want, rtol=1e-10)
    np.testing.assert_allclose(density.to_mixture().log_prob(points), want, rtol=1e-8)
    narrow = mixture.to_distribution(torch.float32).log_prob(points.float())
    assert narrow.dtype == torch.float32
    np.testing.assert_allclose(narrow, want, rtol=1e-4)
    again = GaussianMixture.from_distribution(density, tol=1e-5)
    assert again.tol == 1e-5
    assert again.n_components == k
    for name in MIXTURE:
        if again.covariance_type == kind or name in ("weights_", "means_"):
            got = getattr(again, name)
            np.testing.assert_allclose(got, getattr(mixture, name), rtol=1e-8, atol=1e-10)
    # Of one component tied is full, and of one dimension spherical is diag, with equal densities.
    assert again.covariance_type == REPEATED.get(kind, kind) or min(k, d) == 1
    np.testing.assert_allclose(again.covariance_matrices_, mixture.covariance_matrices_, rtol=1e-8)
    np.testing.assert_allclose(again.score_samples(x), want, rtol=1e-10)
    once = np.size(mixture.covariances_) if kind in REPEATED else 0
    assert again.n_parameters_ == mixture.n_parameters_ + (k - 1) * once
    assert again.partial_fit(x).n_iter_ == 2


@each_kind
def test_torchs_own_mixtures(kind: str) -> None:
    """Of both families of components, in float32 too; a weight of zero stays one."""
    mixture = fitted(kind)
    probs = torch.tensor([0.25, 0.0, 0.75])
    means = torch.from_numpy(mixture.means_).float()
    matrices = torch.from_numpy(mixture.covariance_matrices_).float()
    if kind in ("full", "tied"):
        parts: Any = MultivariateNormal(means, matrices)
    else:
        scale = torch.diagonal(matrices, dim1=1, dim2=2).sqrt()
        parts = Independent(Normal(means, scale), 1)
    theirs = MixtureSameFamily(Categorical(probs), parts)
    ours = GaussianMixture.from_distribution(theirs)
    np.testing.assert_allclose(ours.weights_, [0.25, 0.0, 0.75], rtol=1e-7, atol=0)
    assert ours.covariance_type == ("full" if kind in ("full", "tied") else "diag")
    assert all(isinstance(getattr(ours, name), np.ndarray) for name in MIXTURE)
    x = torch.from_numpy(X).float()
    want = Distribution.from_mixture(theirs).log_prob(x)  # torch's has an epsilon for the zero
    np.testing.assert_allclose(ours.score_samples(X), want, rtol=1e-4, atol=1e-4)


def test_what_is_no_mixture_of_gaussians() -> None:
    means, zero = torch.zeros(2, 3), torch.zeros(2)
    for wrong in (Normal(0.0, 1.0), fitted("full"), None):
        with pytest.raises(
            TypeError, match=r"expected pyvae.distributions.GaussianMixture or torch"
        ):
            GaussianMixture.from_distribution(wrong)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="of Normal; expected MixtureSameFamily of Multi"):
        GaussianMixture.from_distribution(
            MixtureSameFamily(Categorical(zero + 1), Normal(zero, 1.0))
        )
    with pytest.raises(ValueError, match=r"a batch of mixtures, \(4,\); expected one"):
        GaussianMixture.from_distribution(Distribution(torch.zeros(4, 2), means, torch.zeros(2, 1)))
    factors = torch.diag_embed(torch.tensor([1.0, 1.0, 1e-25]).expand(2, 3)).double()
    factors[:, 2, 0] = 1.0
    with pytest.raises(ValueError, match=r"from_distribution: ill-defined .* of components 0, 1"):
        GaussianMixture.from_distribution(
            Distribution(zero.double(), means.double(), scale_tril=factors)
        )
    with pytest.raises(NotFittedError):
        GaussianMixture().to_distribution()


@pytest.mark.parametrize("kind", THEIRS)
def test_scikit_learns(kind: str) -> None:
    options = {"covariance_type": kind, "random_state": 0, "tol": 1e-4, "n_init": 2}
    theirs = sklearn.mixture.GaussianMixture(3, **options).fit(X)
    theirs.feature_names_in_ = np.array(["a", "b", "c", "d"], dtype=object)
    ours = GaussianMixture.from_sklearn(theirs)
    assert theirs.get_params().items() <= ours.get_params().items()
    for name in (*MIXTURE, "converged_", "n_iter_", "lower_bound_", "n_features_in_"):
        np.testing.assert_array_equal(getattr(ours, name), getattr(theirs, name), name)
    assert ours.means_ is not theirs.means_
    del theirs.feature_names_in_, ours.feature_names_in_
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), atol=1e-10)
    ours.missing_values, ours.prior = "marginalize", ConjugatePrior()
    back = ours.to_sklearn()
    assert type(back) is sklearn.mixture.GaussianMixture
    assert back.get_params() == theirs.get_params()
    np.testing.assert_allclose(back.score_samples(X), theirs.score_samples(X), rtol=1e-12)
    np.testing.assert_allclose(back.sample(5)[0], theirs.sample(5)[0])
    assert back.n_iter_ == theirs.n_iter_
    tensors = fitted(kind, torch.from_numpy(X))  # type: ignore[arg-type]
    assert isinstance(tensors.to_sklearn().means_, np.ndarray)


@pytest.mark.parametrize("kind", REPEATED)
@pytest.mark.parametrize("tensors", [False, True])
def test_kinds_that_scikit_learn_does_not_have(kind: str, tensors: bool) -> None:
    """Each component has the variances of all there, exactly; a new fit starts from them too."""
    d = {"tied_diag": (4,), "tied_spherical": ()}[kind]
    given: Any = torch.full(d, 0.5) if tensors else np.full(d, 0.5)
    ours = fitted(kind, torch.from_numpy(X) if tensors else X, precisions_init=given)  # type: ignore[arg-type]
    theirs = ours.to_sklearn()
    assert theirs.covariance_type == REPEATED[kind]
    for name in ("covariances_", "precisions_", "precisions_cholesky_"):
        got = getattr(theirs, name)
        assert isinstance(got, np.ndarray)
        np.testing.assert_array_equal(got, np.broadcast_to(getattr(ours, name), got.shape))
    np.testing.assert_array_equal(theirs.covariances_.shape, (3, *d))
    np.testing.assert_allclose(theirs.score_samples(X), ours.score_samples(X), rtol=1e-12)
    np.testing.assert_allclose(theirs.predict_proba(X), ours.predict_proba(X), atol=1e-12)
    again = GaussianMixture.from_sklearn(theirs)
    np.testing.assert_array_equal(again.covariance_matrices_, ours.covariance_matrices_)
    np.testing.assert_array_equal(theirs.precisions_init, np.full((3, *d), 0.5))
    assert theirs.fit(X).converged_


def test_what_is_not_scikit_learns_fitted_mixture() -> None:
    with pytest.raises(
        TypeError, match=r"got BayesianGaussianMixture; expected sklearn.mixture.Ga"
    ):
        GaussianMixture.from_sklearn(sklearn.mixture.BayesianGaussianMixture())  # type: ignore[arg-type]
    with pytest.raises(NotFittedError):
        GaussianMixture.from_sklearn(sklearn.mixture.GaussianMixture())
    with pytest.raises(NotFittedError):
        GaussianMixture().to_sklearn()
