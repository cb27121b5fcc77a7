# SPDX-License-Identifier: MIT
"""The Gaussian nearest to a density: by KL(p || q), which covers it, or KL(q || p)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from scipy import optimize
from torch import Tensor
from torch.distributions import MultivariateNormal, Normal

from pyvae.errors import WrongValue
from pyvae.inference.target import Target, line

DIRECTIONS = ("inclusive", "exclusive")
_LOG_2PI = math.log(2.0 * math.pi)
# Standard deviations, and points, of the quadrature over q. The trapezoidal rule converges faster
# than any power there: integrands are smooth, and nothing at the ends.
_REACH, _NODES = 10.0, 4001
_NEAR = 1e-3  # optima as near as that, in standard deviations, are one


class Optimum(NamedTuple):
    """A local optimum, and its divergence in nats."""

    distribution: Normal | MultivariateNormal
    divergence: float


@dataclass(frozen=True)
class GaussianFit:
    """The best Gaussian that was found.

    Attributes
    ----------
    distribution
        ``Normal`` for a target of scalars, ``MultivariateNormal`` otherwise.
    divergence
        In nats, of the direction that was asked for.
    optima
        All local optima, the best first; of the inclusive direction there is one.
    """

    distribution: Normal | MultivariateNormal
    divergence: float
    optima: tuple[Optimum, ...]


def fit_gaussian(
    target: Any,
    direction: str = "inclusive",
    *,
    dimension: int | None = None,
    num_starts: int = 8,
    num_samples: int = 4096,
    seed: int = 0,
) -> GaussianFit:
    """Fit a Gaussian q to a density p.

    Parameters
    ----------
    target
        p: a distribution of torch's or any object with a normalised ``log_prob``.
    direction
        ``"inclusive"`` minimises KL(p || q), by matching the moments: the target's own, by
        quadrature in one dimension, or of samples. ``"exclusive"`` minimises KL(q || p), by
        quasi-Newton steps from several starts: by quadrature in one dimension, otherwise with
        ``num_samples`` reparameterised points, the same in every step.
    dimension
        D, where the target has no ``event_shape``.
    num_starts
        Of the exclusive direction: the inclusive fit and each component of a mixture first, points
        of the target or about that fit then.
    num_samples
        Of Monte Carlo, where it is used.
    seed
        Of the random numbers; torch's own generator is left as it was.

    Returns
    -------
    The best Gaussian that was found, and every local optimum, each with its divergence in nats.

    Raises
    ------
    ValueError
        If the direction is unknown, the dimension cannot be told, or moments are needed in several
        dimensions of a target that has none and cannot be sampled.
    TypeError
        If the target has no ``log_prob``.

    References
    ----------
    Bishop (2006), section 10.1.2; Minka (2005), "Divergence measures and message passing".

    Examples
    --------
    >>> from torch.distributions import Categorical, MixtureSameFamily
    >>> parts = Normal(torch.tensor([-1.0, 1.0]), torch.ones(2))
    >>> p = MixtureSameFamily(Categorical(torch.tensor([1 / 3, 2 / 3])), parts)
    >>> q = fit_gaussian(p, "inclusive").distribution
    >>> round(q.mean.item(), 4), round(q.variance.item(), 4)
    (0.3333, 1.8889)
    """
    if direction not in DIRECTIONS:
        raise WrongValue(f"direction is {direction!r}; expected one of {', '.join(DIRECTIONS)}")
    p = Target(target, dimension)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        mean, covariance = _moments(p, num_samples)
        if direction == "inclusive":
            found = _gaussian(p, mean, torch.linalg.cholesky(covariance))
            best = Optimum(found, _inclusive(p, mean, covariance, num_samples))
            return GaussianFit(best.distribution, best.divergence, (best,))
        optima = _exclusive(p, target, mean, covariance, num_starts, num_samples)
    return GaussianFit(optima[0].distribution, optima[0].divergence, optima)


def _moments(p: Target, num_samples: int) -> tuple[Tensor, Tensor]:
    known = p.moments()
    if known is not None:
        return known
    if p.dimension == 1:
        return p.grid_moments()
    x = p.sample(64 * num_samples)
    if x is None:
        raise WrongValue(
            "target has neither mean and covariance_matrix nor sample(); one of them is needed in "
            f"{p.dimension} dimensions"
        )
    return x.mean(0), torch.cov(x.T).reshape(p.dimension, p.dimension)


def _inclusive(p: Target, mean: Tensor, covariance: Tensor, num_samples: int) -> float:
    """KL(p || q): by quadrature over p, or its mean over samples of p."""
    q = MultivariateNormal(mean, covariance, validate_args=False)
    if p.dimension == 1:
        x = line(mean, covariance.sqrt(), 20.0)[:, None]
        log_p = p.log_prob(x)
        terms = torch.where(log_p == -math.inf, 0.0, log_p.exp() * (log_p - q.log_prob(x)))
        return (terms.sum() * (x[1, 0] - x[0, 0])).item()
    x = p.sample(64 * num_samples)
    if x is None:
        return math.nan
    return (p.log_prob(x) - q.log_prob(x)).mean().item()


def _exclusive(
    p: Target, target: Any, mean: Tensor, covariance: Tensor, num_starts: int, num_samples: int
) -> tuple[Optimum, ...]:
    noise, weights = _noise(p.dimension, num_samples)

    def loss(free: Tensor) -> Tensor:
        """KL(q || p) = E_q[log q - log p], q at ``noise`` of standard deviations."""
        centre, factor = _unpacked(free, p.dimension)
        entropy = torch.diagonal(factor).log().sum() + 0.5 * p.dimension * (_LOG_2PI + 1.0)
        return -entropy - weights @ p.log_prob(centre + noise @ factor.T)

    def value_and_gradient(free: np.ndarray) -> tuple[float, np.ndarray]:
        leaf = torch.from_numpy(free).requires_grad_()
        value = loss(leaf)
        (gradient,) = torch.autograd.grad(value, leaf)
        return value.item(), gradient.numpy()

    found: list[tuple[float, np.ndarray]] = []

    def minimised(start: np.ndarray) -> Any:
        return optimize.minimize(
            value_and_gradient, start, jac=True, method="BFGS", options={"gtol": 1e-10}
        )

    for start in _starts(p, target, mean, covariance, num_starts):
        # From a saddle, where symmetry may have led, a small push goes down; back to an optimum.
        reached = minimised(start).x
        done = minimised(reached + 1e-3 * torch.randn(len(reached)).double().numpy())
        fresh = all(_gap(done.x, other, p.dimension) > _NEAR for _, other in found)
        if math.isfinite(done.fun) and fresh:
            found.append((float(done.fun), done.x))
    if not found:
        raise WrongValue("target's log_prob is not finite at any start; is its support bounded?")
    found.sort(key=lambda pair: pair[0])
    return tuple(
        Optimum(_gaussian(p, *_unpacked(torch.from_numpy(free), p.dimension)), value)
        for value, free in found
    )


def _noise(d: int, num_samples: int) -> tuple[Tensor, Tensor]:
    """Points of a standard normal and their weights: a grid, or evenly spread random points."""
    if d == 1:
        x = torch.linspace(-_REACH, _REACH, _NODES, dtype=torch.float64)
        return x[:, None], torch.softmax(-0.5 * x.square(), 0)
    seed = int(torch.randint(2**31, ()))
    uniform = torch.quasirandom.SobolEngine(d, scramble=True, seed=seed).draw(num_samples)
    noise = torch.special.ndtri(uniform.double().clamp(1e-9, 1 - 1e-9))
    return noise, torch.full((num_samples,), 1.0 / num_samples, dtype=torch.float64)


def _starts(
    p: Target, target: Any, mean: Tensor, covariance: Tensor, count: int
) -> list[np.ndarray]:
    """Give places to start from: the inclusive fit, components, and points of the target."""
    factor = torch.linalg.cholesky(covariance)
    places = [(mean, factor)]
    components = getattr(target, "means", None)
    if components is None:
        parts = getattr(target, "component_distribution", None)
        components = None if parts is None else parts.mean
    if components is not None:
        small = 0.5 * factor
        places += [(row, small) for row in components.double().reshape(-1, p.dimension)]
    count = max(count, len(places))
    drawn = p.sample(count)
    if drawn is None:
        drawn = mean + torch.randn(count, p.dimension, dtype=torch.float64) @ factor.T
    places += [(row, 0.3 * factor) for row in drawn[: count - len(places)]]
    return [_packed(centre, scale).numpy() for centre, scale in places]


def _packed(centre: Tensor, factor: Tensor) -> Tensor:
    """Mean, logarithms of the factor's diagonal, and what stands below it."""
    d = len(centre)
    below = torch.tril_indices(d, d, -1)
    return torch.cat([centre, torch.diagonal(factor).log(), factor[below[0], below[1]]]).detach()


def _unpacked(free: Tensor, d: int) -> tuple[Tensor, Tensor]:
    below = torch.tril_indices(d, d, -1)
    factor = torch.diag_embed(free[d : 2 * d].exp())
    return free[:d], factor.index_put((below[0], below[1]), free[2 * d :])


def _gap(one: np.ndarray, other: np.ndarray, d: int) -> float:
    """Largest difference of two Gaussians, in standard deviations of the second."""
    scale = np.exp(other[d : 2 * d].max())
    means = np.abs(one[:d] - other[:d]).max() / scale
    return float(max(means, np.abs(one[d : 2 * d] - other[d : 2 * d]).max()))


def _gaussian(p: Target, mean: Tensor, factor: Tensor) -> Normal | MultivariateNormal:
    if p.scalar:
        return Normal(mean[0], factor[0, 0])
    return MultivariateNormal(mean, scale_tril=factor)
