# SPDX-License-Identifier: MIT
"""Divergences to mixtures: estimates beside quadrature, bounds beside estimates."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.distributions import (
    Distribution,
    Exponential,
    Independent,
    Laplace,
    MultivariateNormal,
    Normal,
    kl,
    kl_divergence,
)

from pyvae.distributions import GaussianMixture, kl_mixture, register_gaussian_kl
from tests.distributions.test_gaussian_mixture import FORMS, arguments

each_form = pytest.mark.parametrize("form", FORMS)


def gaussian(form: str, seed: int = 5) -> Distribution:
    given = arguments("full" if form == "tied" else form, seed=seed)
    loc = given["means"][0]
    if "scale_tril" in given:
        return MultivariateNormal(loc, scale_tril=given["scale_tril"][0])
    return Independent(Normal(loc, torch.exp(0.5 * given["logvars"][0]).expand(2)), 1)


def by_quadrature(p: Distribution, q: Distribution) -> Tensor:
    axis = torch.linspace(-14, 14, 801, dtype=torch.float64)
    grid = torch.stack(torch.meshgrid(axis, axis, indexing="ij"), -1)
    log_p = p.log_prob(grid)
    return (log_p.exp() * (log_p - q.log_prob(grid))).sum() * (axis[1] - axis[0]) ** 2


@each_form
def test_monte_carlo(form: str) -> None:
    torch.manual_seed(0)
    q = GaussianMixture(**arguments(form))
    for p in (gaussian(form), GaussianMixture(**arguments(form, seed=1))):
        exact = by_quadrature(p, q)
        spread = (p.log_prob(x := p.sample((100_000,))) - q.log_prob(x)).std() / 100_000**0.5
        got = kl_mixture(p, q, num_samples=100_000)
        assert abs(got - exact) < 5 * spread
        assert abs(kl_divergence(p, q) - exact) < 20 * spread  # by the registry, fewer samples
    assert kl_divergence(q, gaussian(form)).shape == ()


@each_form
def test_bounds_and_the_approximation(form: str) -> None:
    p, q = GaussianMixture(**arguments(form, seed=1)), GaussianMixture(**arguments(form))
    exact, upper = by_quadrature(p, q), kl_mixture(p, q, method="upper")
    assert upper > exact
    assert kl_mixture(p, p, method="variational") == 0.0
    assert kl_mixture(p, p, method="upper") < 1e-6
    # the convexity bound, of every component alone, is what it improves upon
    parts = torch.stack(
        [kl_mixture(GaussianMixture(**_component(form, k)), q, method="upper") for k in range(3)]
    )
    assert upper <= (p.log_weights.exp() * parts).sum() + 1e-9
    assert torch.isfinite(kl_mixture(p, q, method="variational"))


def _component(form: str, k: int) -> dict[str, Tensor]:
    given = arguments(form, seed=1)
    name = "logvars" if "logvars" in given else "scale_tril"
    row = k if len(given[name]) == 3 else 0
    means = given["means"][k : k + 1]
    return {
        "log_weights": torch.zeros(1).double(),
        "means": means,
        name: given[name][row : row + 1],
    }


@each_form
def test_the_bound_of_a_gaussian(form: str) -> None:
    """-log sum omega e^-KL, and exact to a mixture of one."""
    p, q = gaussian(form), GaussianMixture(**arguments(form))
    given = arguments(form)
    name = "logvars" if "logvars" in given else "scale_tril"
    spread = given[name] if len(given[name]) == 3 else given[name].expand(3, 2, 2)
    divergences = []
    for k in range(3):
        if name == "logvars":
            sigma = torch.exp(0.5 * spread[k]).expand(2)
            other: Distribution = MultivariateNormal(given["means"][k], torch.diag(sigma.square()))
        else:
            other = MultivariateNormal(given["means"][k], scale_tril=spread[k])
        full = p
        if isinstance(p, Independent):
            full = MultivariateNormal(p.mean, torch.diag(p.variance))
        divergences.append(kl_divergence(full, other))
    want = -torch.logsumexp(q.log_weights - torch.stack(divergences), 0)
    got = kl_mixture(p, q, method="upper")
    torch.testing.assert_close(got, want)
    assert got > by_quadrature(p, q)


def test_gradients_and_batches() -> None:
    given = {k: v.requires_grad_() for k, v in arguments("diagonal", (4,), seed=1).items()}
    p, q = GaussianMixture(**given), GaussianMixture(**arguments("full"))
    for method in ("monte-carlo", "upper", "variational"):
        value = kl_mixture(p, q, method=method, num_samples=100)
        assert value.shape == (4,)
        for gradient in torch.autograd.grad(value.sum(), list(given.values()), retain_graph=True):
            assert gradient.isfinite().all()


def test_weights_of_zero() -> None:
    p, q = GaussianMixture(**arguments("diagonal", seed=1)), arguments("diagonal")
    more = {name: torch.cat([tensor, tensor[:1]]) for name, tensor in q.items()}
    more["log_weights"] = torch.cat([q["log_weights"], torch.tensor([-torch.inf]).double()])
    for method in ("upper", "variational"):
        torch.testing.assert_close(
            kl_mixture(p, GaussianMixture(**more), method=method),
            kl_mixture(p, GaussianMixture(**q), method=method),
        )
        wide = kl_mixture(GaussianMixture(**more), p, method=method)
        torch.testing.assert_close(wide, kl_mixture(GaussianMixture(**q), p, method=method))


def test_what_is_refused() -> None:
    q = GaussianMixture(**arguments("diagonal"))
    with pytest.raises(ValueError, match="method is 'exact'; expected one of monte-carlo, upper"):
        kl_mixture(q, q, method="exact")
    with pytest.raises(TypeError, match="q is Exponential; expected GaussianMixture, Multi"):
        kl_mixture(q, Exponential(1.0))
    with pytest.raises(ValueError, match="p has the event shape"):
        kl_mixture(MultivariateNormal(torch.zeros(3), torch.eye(3)), q)
    with pytest.raises(NotImplementedError):
        kl_divergence(Independent(Laplace(torch.zeros(2), torch.ones(2)), 1), q)


def test_gaussians_on_the_ops(monkeypatch: pytest.MonkeyPatch) -> None:
    pairs = [
        [
            MultivariateNormal(mean, scale * torch.eye(3))
            for mean, scale in ((torch.zeros(4, 3), 1.0), (torch.ones(3), 2.0))
        ],
        [Independent(Normal(m * torch.ones(4, 3), s), 1) for m, s in ((0.0, 1.0), (1.0, 2.0))],
        [Independent(Laplace(m * torch.ones(4, 3), s), 1) for m, s in ((0.0, 1.0), (1.0, 2.0))],
    ]
    before = [kl_divergence(p, q) for p, q in pairs]
    monkeypatch.setattr(kl, "_KL_REGISTRY", dict(kl._KL_REGISTRY))
    register_gaussian_kl()
    try:
        after = [kl_divergence(p, q) for p, q in pairs]
        assert kl._KL_REGISTRY[MultivariateNormal, MultivariateNormal].__module__.startswith(
            "pyvae"
        )
    finally:
        kl._KL_MEMOIZE.clear()
    for have, want in zip(after, before, strict=True):
        torch.testing.assert_close(have, want)
