# SPDX-License-Identifier: MIT
"""Formulas of mixtures of multivariate Student t distributions.

A t is a Gaussian whose precision is drawn: u ~ Gamma(nu/2, rate nu/2), x | u ~ N(mu, Sigma / u),
where Sigma is the scale matrix. Given x at a squared Mahalanobis distance delta,
u | x ~ Gamma((nu + D)/2, rate (nu + delta)/2): a point far away has a small u, and counts little.

Source: Peel & McLachlan (2000), "Robust mixture modelling using the t distribution"; for the
degrees of freedom Liu & Rubin (1995), "ML estimation of the t distribution using EM and its
extensions, ECM and ECME", of which the equation is the maximum likelihood of a Gamma's shape.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from pyvae.mixture.covariance import LOG_2PI, Moments, Parameters

# Where degrees of freedom are sought: below, a component may be a spike with tails that reach
# everywhere; beyond, none tells a t from a Gaussian.
LEAST, MOST = 0.1, 1e5
_MOST_STEPS = 100


def log_joint(
    kind: Moments, x: Tensor, p: Parameters, degrees: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Give log p(x, z), squared Mahalanobis distances delta, and log(1 + delta / nu).

    ``(N, K)`` each, in float64. Distances are those of the Gaussians' log-densities, as the op has
    them.
    """
    d = x.shape[1]
    log_shares, density = kind.posterior(x, p._replace(weights=torch.ones_like(p.weights)))
    gaussian = log_shares.double() + density.double()[:, None]
    volume = kind.log_determinant(p.covariances, d)
    distance = (-2.0 * gaussian - volume - d * LOG_2PI).clamp_min(0.0)
    half = 0.5 * degrees
    constant = torch.lgamma(half + 0.5 * d) - torch.lgamma(half)
    constant = constant - 0.5 * (d * (degrees * math.pi).log() + volume)
    excess = torch.log1p(distance / degrees)
    return (p.weights.log() + constant) - (half + 0.5 * d) * excess, distance, excess


def posterior(kind: Moments, x: Tensor, p: Parameters, degrees: Tensor) -> tuple[Tensor, Tensor]:
    """Logarithms of the responsibilities ``(N, K)``, and the log-density ``(N,)``."""
    joint = log_joint(kind, x, p, degrees)[0]
    log_prob = joint.logsumexp(1)
    return joint - log_prob[:, None], log_prob


def log_scale_of_the_mean(degrees: Tensor, d: int) -> Tensor:
    """E[log u] of a point at the mean, ``(K,)``; log(1 + delta / nu) less at a distance."""
    return torch.digamma(0.5 * (degrees + d)) - (0.5 * degrees).log()


def entropy(log_scale: Tensor, degrees: Tensor, d: int) -> Tensor:
    """Entropy of u given the points, in nats, of its E[log u]; ``(N, K)`` each."""
    shape = 0.5 * (degrees + d)
    return log_scale + (shape + torch.lgamma(shape) - shape * torch.digamma(shape))


def best_degrees(gap: Tensor) -> Tensor:
    """Degrees of freedom of the largest F, within their range, of mean E[u] - E[log u] - 1.

    F has the terms nu/2 log(nu/2) - log Gamma(nu/2) - nu/2 (gap + 1) of nu; its derivative,
    log(nu/2) - psi(nu/2) - gap, falls from infinity to -gap < 0. Newton's method in log(nu/2), from
    the approximation of Minka (2002), "Estimating a Gamma distribution"; a step that leaves the
    bracket of the root halves it instead.
    """
    low, high = (torch.full_like(gap, math.log(0.5 * end)) for end in (LEAST, MOST))
    s = gap.clamp_min(torch.finfo(gap.dtype).tiny)
    root = (3.0 - s + ((s - 3.0).square() + 24.0 * s).sqrt()) / (12.0 * s)
    t = root.log().clamp(low, high)
    for _ in range(_MOST_STEPS):
        half = t.exp()
        slope = t - torch.digamma(half) - gap
        low, high = torch.where(slope > 0, t, low), torch.where(slope > 0, high, t)
        curvature = 1.0 - half * torch.polygamma(1, half)
        step = t - slope / curvature
        inside = (step >= low) & (step <= high)
        new = torch.where(inside, step, 0.5 * (low + high))
        done = bool(((new - t).abs() <= 1e-14 * (1.0 + t.abs())).all())
        t = new
        if done:
            break
    return 2.0 * t.exp()
