# SPDX-License-Identifier: MIT
"""The bound of variational Bayes: what it is made of, what it bounds, and that steps raise it."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from scipy import special, stats
from torch import Tensor
from torch.distributions import Beta, Dirichlet, MultivariateNormal

from pyvae.mixture import BayesianGaussianMixture, FreeEnergyError, ascend
from pyvae.mixture.concentration import WEIGHTS
from pyvae.mixture.covariance import COVARIANCES
from pyvae.mixture.points import Points
from pyvae.mixture.sums import Sums
from pyvae.mixture.variational import ParameterPosterior, ParameterPrior
from pyvae.mixture.variational_em import VariationalEM
from tests.mixture.drawing import KINDS, THEIRS, clusters

each_kind = pytest.mark.parametrize("kind", KINDS)
each_type = pytest.mark.parametrize("weights", list(WEIGHTS))


def prior_of(kind: str, weights: str, d: int) -> ParameterPrior:
    found = COVARIANCES[kind]
    spread = torch.diag(torch.linspace(1.0, 2.0, d, dtype=torch.float64)) + 0.3
    covariance = {"full": spread, "tied": spread, "diag": spread.diagonal(),
                  "spherical": torch.tensor(1.5, dtype=torch.float64)}  # fmt: skip
    mean = torch.linspace(-0.5, 0.5, d, dtype=torch.float64)
    return ParameterPrior(
        found,
        WEIGHTS[weights],
        0.7,
        0.4,
        mean,
        d + 1.5,
        covariance[kind if kind in covariance else kind.removeprefix("tied_")],
    )


def model_of(kind: str, weights: str, k: int, x: np.ndarray, **options: Any) -> VariationalEM:
    """Random responsibilities, and one M step."""
    points = torch.from_numpy(x)
    shares = torch.from_numpy(np.random.default_rng(0).dirichlet(np.ones(k), len(x)))
    found, prior = COVARIANCES[kind], prior_of(kind, weights, x.shape[1])
    start = prior.posterior(sums_of(kind, points, shares), 0.0)
    assert start.kind is found
    return VariationalEM(prior, start, **options)


def sums_of(kind: str, x: Tensor, shares: Tensor) -> Sums:
    """By their definition, about zero."""
    found = COVARIANCES[kind]
    second = torch.stack([found.second(x, share) for share in shares.T])
    second = second.sum(0, keepdim=True) if found.pooled else second
    zero = x.new_zeros(())
    first = shares.T @ x
    return Sums(zero, shares.sum(), shares.sum(0), first, second, torch.zeros_like(first))


def evidence(model: VariationalEM, points: Points) -> float:
    """The largest bound over q(z), constants and all."""
    reached = model.log_likelihood(model.e_step(points))
    return reached - model.beliefs.log_partition(len(model.parameters.weights))


def all_of(x: np.ndarray) -> Points:
    return Points(torch.from_numpy(x), None, torch.zeros(x.shape[1], dtype=torch.float64))


@each_type
@pytest.mark.parametrize(
    ("kind", "d"), [("full", 2), ("tied", 2), *((kind, 1) for kind in KINDS[2:])]
)
def test_of_one_component_it_is_the_evidence(kind: str, d: int, weights: str) -> None:
    """Then q is the exact posterior: log p(x) by one Student predictive after the other."""
    x = np.random.default_rng(1).normal(size=(7, d)) + 1.0
    model = model_of(kind, weights, 1, x)
    p = model.beliefs
    beta, nu, mean = p.mean_precision, p.degrees, p.mean.numpy()
    scale = p.covariance.numpy().reshape(d, d)
    exact = 0.0
    for row in x:
        free = nu - d + 1.0
        shape = scale * (beta + 1.0) / (beta * free)
        exact += stats.multivariate_t(mean, shape, free).logpdf(row)
        gap = row - mean
        scale = scale + beta / (beta + 1.0) * np.outer(gap, gap)
        mean, beta, nu = (beta * mean + row) / (beta + 1.0), beta + 1.0, nu + 1.0
    if weights == "dirichlet_process":  # all points took the first stick
        exact += special.betaln(1.0 + len(x), 0.7) - special.betaln(1.0, 0.7)
    assert evidence(model, all_of(x)) == pytest.approx(exact, rel=1e-12)


def log_ratio(q: ParameterPosterior, p: ParameterPrior, count: int) -> Tensor:
    """log p(theta) - log q(theta) at draws of q, from torch's and SciPy's densities."""
    k, d = q.means.shape
    gamma, f64 = p.concentration, torch.float64
    if p.weights.name == "dirichlet_process":
        ours, theirs = (
            Beta(*q.concentrations),
            Beta(torch.ones(k, dtype=f64), gamma * torch.ones(k)),
        )
        sticks = ours.sample((count,))
        total = (theirs.log_prob(sticks) - ours.log_prob(sticks)).sum(1)
    else:
        ours, theirs = Dirichlet(q.concentrations), Dirichlet(gamma * torch.ones(k, dtype=f64))
        drawn = ours.sample((count,))
        total = theirs.log_prob(drawn) - ours.log_prob(drawn)
    scales = torch.linalg.inv(q.kind.matrices(q.covariances, k, d) * q.degrees[:, None, None])
    whole = p.covariance if p.covariance.ndim == 2 else torch.diag(p.covariance.expand(d))
    for j in range(k):
        ours = stats.wishart(q.degrees[j].item(), scales[j].numpy())
        theirs = stats.wishart(p.degrees, torch.inverse(whole).numpy())
        drawn = ours.rvs(count, random_state=j)
        by_last = np.moveaxis(drawn, 0, -1)
        total = total + torch.from_numpy(theirs.logpdf(by_last) - ours.logpdf(by_last))
        precisions = torch.from_numpy(drawn)
        near = MultivariateNormal(q.means[j], precision_matrix=q.mean_precision[j] * precisions)
        means = near.sample()
        far = MultivariateNormal(p.mean, precision_matrix=p.mean_precision * precisions)
        total = total + far.log_prob(means) - near.log_prob(means)
    return total


@pytest.mark.parametrize("kind", [*THEIRS, "tied_diag"])
@each_type
def test_the_divergence_is_the_mean_log_ratio(kind: str, weights: str) -> None:
    q = model_of(kind, weights, 2, clusters(4, d=2)).posterior
    p = prior_of(kind, weights, 2)
    torch.manual_seed(0)
    drawn = log_ratio(q, p, 1500)
    error = drawn.std() / math.sqrt(len(drawn))
    assert abs(drawn.mean().item() - p.log_density(q) + p.log_partition(2)) < 4 * error


@each_kind
@each_type
def test_the_m_step_is_the_largest(kind: str, weights: str) -> None:
    """No change of any number of q raises F, and its gradient there is none."""
    x = clusters(10, d=2)
    model = model_of(kind, weights, 3, x)
    q = model.e_step(all_of(x))
    model.m_step(q)
    best, top = model.posterior, model.free_energy(q)
    names = ("concentrations", "mean_precision", "means", "degrees", "covariances")
    random = np.random.default_rng(0)
    for name in names:
        value = getattr(best, name)
        direction = torch.from_numpy(random.normal(size=tuple(value.shape)))
        if kind.startswith("tied") and name == "degrees":
            direction = torch.ones_like(value)
        if name == "covariances" and value.ndim > 1 and kind in ("full", "tied"):
            direction = direction + direction.mT
        for step, least in ((1e-2, 1e-9), (-1e-2, 1e-9), (1e-4, -1e-9), (-1e-4, -1e-9)):
            changed = replace(best, **{name: value * (1.0 + 0.1 * step * direction)})
            if name == "means":
                changed = replace(best, means=value + step * direction)
            model.posterior, model.parameters = changed, changed.expected()
            assert top - model.free_energy(q) > least, (name, step)


@each_kind
@pytest.mark.parametrize(
    ("weights", "holes"),
    [("dirichlet_process", False), ("dirichlet_distribution", False), ("dirichlet_process", True)],
)
def test_it_rises_and_no_step_lowers_it(kind: str, weights: str, holes: bool) -> None:
    """As `ascend` checks at each step; and scikit-learn's form of it is the same number."""
    x = clusters(20, d=3)
    if holes:
        x[np.random.default_rng(0).random(x.shape) < 0.2] = np.nan
        x[3] = np.nan  # of which nothing is known
    model = model_of(kind, weights, 4, np.nan_to_num(x), incomplete=holes)
    ascent = ascend(model, all_of(x), max_iter=200, tol=1e-4, watched=model.lower_bound)
    assert ascent.converged
    assert all(b >= a - 1e-8 for a, b in zip(ascent.bounds, ascent.bounds[1:], strict=False))
    assert model.last is not None
    whole = model.free_energy(model.last) - model.beliefs.log_partition(4)
    assert ascent.bound + model.left_out() == pytest.approx(whole, rel=1e-10)
    assert model.batch_bound(model.last, len(x)) + model.left_out() == pytest.approx(
        whole, abs=0.01
    )


@pytest.mark.parametrize("name", ["degrees", "mean_precision", "concentrations", "covariances"])
def test_a_wrong_step_is_a_fall(name: str) -> None:
    class Wrong(VariationalEM):
        def m_step(self, q: Any) -> None:
            super().m_step(q)
            value = getattr(self.posterior, name)
            self.posterior = replace(self.posterior, **{name: 1.01 * value})
            self.parameters = self.posterior.expected()

    x = clusters(25, d=2)
    right = model_of("full", "dirichlet_process", 2, x)
    ascend(right, all_of(x), max_iter=200, tol=1e-6, watched=right.lower_bound)
    model = Wrong(right.beliefs, right.posterior)
    with pytest.raises(FreeEnergyError, match="lowered the free energy"):
        ascend(model, all_of(x), max_iter=1, tol=0.0)


@each_kind
@each_type
def test_the_sums_behind_a_posterior(kind: str, weights: str) -> None:
    model = model_of(kind, weights, 3, clusters(10, d=3))
    again = model.beliefs.posterior(model.sums_behind(0.0), 0.0)
    for got, want in zip(again.tensors(), model.posterior.tensors(), strict=True):
        torch.testing.assert_close(got, want, rtol=1e-10, atol=1e-10)


def test_more_components_than_the_points_ask_for() -> None:
    """The whole bound tells how many there are; likelihoods only rise."""
    x = np.concatenate([clusters(40, d=2)[:40], clusters(40, d=2, seed=1)[40:80] + 10.0])

    def bound(k: int) -> float:
        options: dict[str, Any] = {"weight_concentration_prior_type": "dirichlet_distribution",
                                   "max_iter": 500, "random_state": 0}  # fmt: skip
        return BayesianGaussianMixture(k, **options).fit(x).evidence_lower_bound_

    assert max((1, 2, 3, 5), key=bound) == 2
