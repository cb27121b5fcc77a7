# SPDX-License-Identifier: MIT
"""EM never lowers its free energy, and says so of a model that does."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import sklearn.mixture
import torch
from torch import Tensor

from pyvae.mixture import (
    ConjugatePrior,
    FreeEnergyError,
    GaussianMixture,
    LatentVariableEM,
    ascend,
)
from pyvae.mixture.covariance import COVARIANCES, Parameters
from pyvae.mixture.factors import IllDefined
from pyvae.mixture.gaussian_em import GaussianEM
from pyvae.mixture.points import Points
from tests.mixture.drawing import KINDS, THEIRS, clusters

each_kind = pytest.mark.parametrize("kind", KINDS)


@dataclass
class Parabola:
    """F is -(theta - q)^2, reached at once; ``harm`` is by how much a step misses."""

    theta: float = 5.0
    harm_m: float = 0.0
    harm_e: float = 0.0
    exact: bool = True
    precision: float = 1e-9

    def e_step(self, data: float) -> float:
        return self.theta

    def m_step(self, q: float) -> None:
        self.theta = q + self.harm_m

    def free_energy(self, q: float) -> float:
        return -((self.theta - q) ** 2) - 10.0

    def log_likelihood(self, q: float) -> float:
        return -10.0 - self.harm_e

    def weight(self, q: float) -> float:
        return 1.0


def test_a_model_of_the_protocol() -> None:
    assert isinstance(Parabola(), LatentVariableEM)
    assert ascend(Parabola(), 0.0).bounds == [-10.0, -10.0]


def test_a_fall_in_the_m_step() -> None:
    with pytest.raises(FreeEnergyError, match=r"iteration 1: the M step lowered .* by 4 nats"):
        ascend(Parabola(harm_m=2.0), 0.0)


def test_a_fall_that_is_expected_is_told() -> None:
    ascent = ascend(Parabola(harm_m=2.0, exact=False), 0.0, max_iter=3, tol=0.0)
    assert ascent.falls == [(1, 4.0), (2, 4.0), (3, 4.0)]


def test_an_e_step_that_is_not_the_posterior() -> None:
    with pytest.raises(FreeEnergyError, match=r"iteration 1: after the E step F is -10 .* -10.5"):
        ascend(Parabola(harm_e=0.5), 0.0)


def start_of(kind: str, x: np.ndarray, k: int = 3, seed: int = 0) -> tuple[Points, Parameters]:
    points = Points.about_their_mean(torch.from_numpy(x), None)
    rows = np.random.default_rng(seed).choice(len(x), k, replace=False)
    means = torch.from_numpy(x[rows]) - points.origin
    shape = COVARIANCES[kind].shape(k, x.shape[1])
    if COVARIANCES[kind].has_matrices:
        covariances = (4.0 * torch.eye(x.shape[1], dtype=torch.float64)).expand(shape)
    else:
        covariances = torch.full(shape, 4.0, dtype=torch.float64)
    weights = torch.full((k,), 1.0 / k, dtype=torch.float64)
    return points, Parameters(weights, means, covariances)


@each_kind
@pytest.mark.parametrize("prior", [None, ConjugatePrior(2.0, None, 0.5, 3.0, 6.0)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_free_energy_of_a_gaussian_mixture(
    kind: str, prior: ConjugatePrior | None, dtype: torch.dtype
) -> None:
    """It rises in every step, as `ascend` checks, and reaches a stationary point."""
    points, start = start_of(kind, clusters(100))
    points = Points(points.source.to(dtype), None, points.origin.to(dtype))
    model = GaussianEM(COVARIANCES[kind], start, dtype=dtype, prior=prior)
    ascent = ascend(model, points, max_iter=300, tol=1e-7 if dtype == torch.float64 else 1e-5)
    assert ascent.converged
    rounding = 1e-5 if dtype == torch.float32 else 1e-12
    assert all(b >= a - rounding for a, b in zip(ascent.bounds, ascent.bounds[1:], strict=False))


@each_kind
@pytest.mark.parametrize("prior", [None, ConjugatePrior(2.0, None, 0.5, 3.0, 6.0)])
def test_the_fixed_point_is_an_optimum(kind: str, prior: ConjugatePrior | None) -> None:
    """Of log p(x) + log p(theta), by the gradient that autograd gives of torch's densities."""
    points, start = start_of(kind, clusters(60, d=2), k=2)
    model = GaussianEM(COVARIANCES[kind], start, prior=prior)
    ascend(model, points, max_iter=3000, tol=1e-14)
    weights, means, covariances = model.parameters[:3]
    free = [weights.log(), means.clone(), COVARIANCES[kind].precisions_cholesky(covariances)]
    leaves = [tensor.clone().requires_grad_() for tensor in free]
    x = points.source - points.origin
    value = _log_posterior(kind, prior, x, *leaves)
    for gradient in torch.autograd.grad(value, leaves):
        assert gradient.abs().max() < 1e-4 * len(x)


def _log_posterior(
    kind: str, prior: ConjugatePrior | None, x: Tensor, logits: Tensor, means: Tensor, root: Tensor
) -> Tensor:
    """From precisions' factors, by nothing of pyvae's but the prior's constants."""
    k, d = means.shape
    isotropic, tied = kind.endswith("spherical"), kind.startswith("tied")
    if kind in ("full", "tied"):
        factors = root.expand(k, d, d).triu()
    else:
        factors = torch.diag_embed((root[..., None] if isotropic else root).expand(k, d))
    precisions = factors @ factors.mT
    volume = -torch.logdet(precisions)
    gaps = x[:, None] - means
    square = torch.einsum("nkd,kde,nke->nk", gaps, precisions, gaps)
    joint = logits.log_softmax(0) - 0.5 * (square + volume + d * math.log(2 * math.pi))
    total = torch.logsumexp(joint, 1).sum()
    if prior is None:
        return total
    total = total + ((prior.weight_concentration - 1) * logits.log_softmax(0)).sum()
    at_mean = prior.mean_precision * torch.einsum("kd,kde,ke->k", means, precisions, means)
    total = total - 0.5 * (volume + at_mean).sum()  # the means' own Gaussians
    assert prior.degrees_of_freedom is not None
    trace = prior.scatter * torch.diagonal(precisions, dim1=1, dim2=2).sum(1)
    exponent, of_one = prior.degrees_of_freedom, volume
    if kind in ("full", "tied"):
        exponent += d + 1
    else:
        exponent += 2
        of_one = volume / d if isotropic else volume
    terms = exponent * of_one + trace
    return total - 0.5 * (terms[0] if tied else terms.sum())


def collinear() -> dict[str, np.ndarray]:
    """Columns that others tell nearly or all but exactly, as data have them."""
    r = np.random.default_rng(0)
    years, celsius = np.arange(2000, 2030, 0.1), r.normal(15, 8, 2000).round(1)
    a, b = r.normal(size=(2, 500))
    price = np.exp(r.normal(5, 1, 1000)).round(2)
    return {
        "powers": np.column_stack([years, years**2, years**3]),
        "squares": np.column_stack([years, years**2]),
        "degrees": np.column_stack([celsius, (1.8 * celsius + 32).round(1)]),
        "rounded sums": np.column_stack([a, b, a + b]).round(3),
        "near copies": np.column_stack([a, a + 1e-7 * b]),
        "taxes": np.column_stack([price, (1.19 * price).round(2)]),
        "far": np.column_stack([a, b]) * 1e6 + 1e9,
        "units": np.column_stack([a, b, a + b + r.normal(size=500)]) * [1e-8, 1.0, 1e8],
    }


@pytest.mark.parametrize("kind", ["full", "tied"])
@pytest.mark.parametrize("k", [1, 2, 3])
@pytest.mark.parametrize("name", collinear())
def test_rounding_is_no_fall(name: str, k: int, kind: str) -> None:
    """Checks know how far covariances amplify it; optima are scikit-learn's in float64."""
    x = collinear()[name]
    options: dict[str, Any] = {"covariance_type": kind, "reg_covar": 0.0, "random_state": 0}
    for dtype in (np.float32, np.float64):
        near = x.astype(dtype)
        fitted = GaussianMixture(k, init_params="kmeans", **options).fit(near)
        assert np.isfinite(fitted.score(near))
        if k == 1 and kind == "full":
            wide = near.astype(np.float64)
            want = sklearn.mixture.GaussianMixture(k, **options).fit(wide).score(wide)
            assert fitted.score(near) == pytest.approx(
                want, abs=2e-2 if name in ("powers", "near copies") else 1e-3
            )


@pytest.mark.parametrize("kind", THEIRS)
@pytest.mark.parametrize("offset", [0.0, 1.0])
def test_rounding_of_a_component_that_closes_in_on_copies(kind: str, offset: float) -> None:
    """Its mean steps by far more than the deviation that it then has."""
    r = np.random.default_rng(0)
    for size in 10.0 ** np.arange(-12.0, -3.0, 0.25):
        near = [0.5 + offset, 0.5] + size * r.normal(size=(50, 2))
        x = torch.from_numpy(np.concatenate([near, r.normal([offset - 30.0, 0.0], 1.0, (100, 2))]))
        means = torch.tensor([[0.6 + offset, 0.55], [offset - 30.0, 0.0]], dtype=torch.float64)
        start = torch.full(COVARIANCES[kind].shape(2, 2), 0.01, dtype=torch.float64)
        start = torch.eye(2).to(start) * start if COVARIANCES[kind].has_matrices else start
        model = GaussianEM(
            COVARIANCES[kind], Parameters(torch.tensor([0.5, 0.5]).double(), means, start)
        )
        try:
            ascend(model, Points(x, None, torch.zeros(2).double()), max_iter=4, tol=0.0)
        except IllDefined:  # nothing is left of such variances
            assert size < 1e-7


class Wrong(GaussianEM):
    """An M step that takes every variance for more than it is."""

    factor = 1.0

    def m_step(self, q: Any) -> None:
        super().m_step(q)
        p = self.parameters
        self.parameters = p._replace(covariances=self.factor * p.covariances)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    ("name", "factor"), [("degrees", 1.1), ("squares", 1.1), ("taxes", 1.1), ("powers", 3.0)]
)
def test_a_wrong_step_is_a_fall_on_collinear_data(
    name: str, factor: float, dtype: torch.dtype
) -> None:
    points = Points.about_their_mean(torch.from_numpy(collinear()[name]).to(dtype), None)
    x = points.source.double() - points.origin.double()
    p = Parameters(
        torch.ones(1, dtype=torch.float64),
        x.mean(0, keepdim=True),
        torch.cov(x.T, correction=0)[None],
    )
    model = Wrong(COVARIANCES["full"], p, dtype=dtype)
    ascend(model, points, max_iter=3, tol=0.0)
    model.factor = factor
    with pytest.raises(FreeEnergyError, match="the M step lowered the free energy"):
        ascend(model, points)


@each_kind
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_wrong_step_is_a_fall(kind: str, dtype: torch.dtype) -> None:
    """By a few in a thousand, of clusters that lie apart."""
    points, start = start_of(kind, clusters(100))
    points = Points(points.source.to(dtype), None, points.origin.to(dtype))
    model = Wrong(COVARIANCES[kind], start, dtype=dtype)
    ascend(model, points, max_iter=500, tol=0.0 if dtype == torch.float64 else 1e-6)
    model.factor = 1.03
    with pytest.raises(FreeEnergyError, match="the M step lowered the free energy"):
        ascend(model, points)


def test_a_prior_out_of_range() -> None:
    with pytest.raises(ValueError, match=r"weight_concentration=0\.5; expected at least 1"):
        ConjugatePrior(weight_concentration=0.5)
    with pytest.raises(ValueError, match="scatter=-1"):
        ConjugatePrior(scatter=-1.0)


def test_a_prior_on_the_estimator() -> None:
    """Points at a place of its own draw the mean there; much of it fixes the mean."""
    x = clusters(50, d=2) + 100.0
    prior = ConjugatePrior(mean=torch.tensor([1.0, 2.0]), mean_precision=1e9)
    fitted = GaussianMixture(1, prior=prior).fit(x)
    np.testing.assert_allclose(fitted.means_[0], [1.0, 2.0], atol=1e-3)
    fitted = GaussianMixture(1, prior=ConjugatePrior(mean_precision=1e9)).fit(x)
    np.testing.assert_allclose(fitted.means_[0], x.mean(0), atol=1e-3)


@pytest.mark.parametrize("given", [np.array([1, 2]), [1.0, 2.0], torch.tensor([1.0, 2.0])])
def test_a_mean_of_any_kind(given: Any) -> None:
    prior = ConjugatePrior(mean=given, mean_precision=1e9)
    assert prior == ConjugatePrior(mean=(1.0, 2.0), mean_precision=1e9)
    fitted = GaussianMixture(1, prior=prior).fit(clusters(50, d=2) + 100.0)
    np.testing.assert_allclose(fitted.means_[0], [1.0, 2.0], atol=1e-3)


def test_a_mean_that_does_not_fit() -> None:
    with pytest.raises(ValueError, match="prior's mean has 3 coordinates, and the points have 2"):
        GaussianMixture(1, prior=ConjugatePrior(mean=np.zeros(3))).fit(clusters(50, d=2))
    for wrong in (0.0, [[1.0, 2.0]], [0.0, np.nan]):
        with pytest.raises(ValueError, match=r"mean has shape .*; expected \(D,\) finite numbers"):
            ConjugatePrior(mean=wrong)
