# SPDX-License-Identifier: MIT
"""EM with full covariances as papers write it, where no library has the model.

Student t components, a component of uniform noise, and points of which some have labels.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from scipy import optimize, special
from sklearn.cluster import KMeans
from torch import Tensor

from benchmarks.peers.mixtures import LOG_2PI, by_loop
from benchmarks.variants import TEXTBOOK, Call, Inputs, Variant
from tests.ops.draws import Size

Fitted = Callable[[Inputs, Size], float]  # gives the mean log-likelihood of the last E step
_REGULARIZATION = 1e-6
_DEGREES, _BRACKET = 4.0, (0.1, 1e5)  # of freedom: first, and where they are sought


class Gaussians(NamedTuple):
    """Logarithms of weights ``(K,)``, means ``(K, D)``, and Cholesky factors ``(K, D, D)``."""

    log_weights: Tensor
    means: Tensor
    scale_trils: Tensor


def textbook(fitted: Fitted, size: Size) -> Variant:
    """Make the variant by such EM."""

    def prepare(inputs: Inputs, _: bool) -> Call:
        def call() -> tuple[Any, ...]:
            return (fitted(inputs, size),)

        return call

    return Variant(TEXTBOOK, prepare, backward=False)


def of_noise(inputs: Inputs, size: Size) -> float:
    """Fit Gaussians beside a uniform component (Banfield & Raftery 1993)."""
    x, means = inputs["x"], inputs["means"]
    k, d = means.shape
    weight, of_box = 0.1, -(x.amax(0) - x.amin(0)).log().sum()
    units = torch.eye(d).expand(k, d, d)
    p = Gaussians(torch.full((k,), (1.0 - weight) / k).log(), means, units)
    reached = math.nan
    for _ in range(size["i"]):
        of_noise = (math.log(weight) + of_box).expand(len(x), 1)
        shares, reached = e_step(torch.cat([by_loop(x, *p), of_noise], 1))
        weight = shares[:, -1].mean().item()
        p = _m_step(x, shares[:, :-1])
    return reached


def of_labels(inputs: Inputs, size: Size) -> float:
    """Fit Gaussians to points of which some are known to be of their component.

    Nigam, McCallum, Thrun & Mitchell (2000): the responsibilities of these are given. The start is
    by k-means from the means of these on (Basu, Banerjee & Mooney 2002).
    """
    x, labels, k = inputs["x"], inputs["labels"], size["k"]
    known = labels >= 0
    centres = torch.stack([x[labels == number].mean(0) for number in range(k)])
    p = _m_step(x, _one_hot(torch.where(known, labels, _clusters(x, k, centres)), k, x))
    evidence = torch.where(known[:, None], _one_hot(labels.clamp_min(0), k, x).log(), 0.0)
    reached = math.nan
    for _ in range(size["i"]):
        shares, reached = e_step(by_loop(x, *p) + evidence)
        p = _m_step(x, shares)
    return reached


def of_student_t(inputs: Inputs, size: Size) -> float:
    """Fit Student t components with degrees of freedom of their own (Peel & McLachlan 2000)."""
    x, k, d = inputs["x"], size["k"], size["d"]
    p = _m_step(x, _one_hot(_clusters(x, k), k, x))
    degrees, reached = torch.full((k,), _DEGREES), math.nan
    for _ in range(size["i"]):
        log_det = p.scale_trils.diagonal(dim1=1, dim2=2).log().sum(1)
        gaussian = by_loop(x, torch.zeros(k), p.means, p.scale_trils)
        distance = -2.0 * (gaussian + log_det) - d * LOG_2PI
        half = 0.5 * degrees
        constant = torch.lgamma(half + 0.5 * d) - torch.lgamma(half) - log_det
        constant = constant - 0.5 * d * (math.pi * degrees).log() + p.log_weights
        joint = constant - (half + 0.5 * d) * torch.log1p(distance / degrees)
        shares, reached = e_step(joint)
        rate = 0.5 * (degrees + distance)
        scale = (half + 0.5 * d) / rate
        log_scale = torch.digamma(half + 0.5 * d) - rate.log()
        counts = shares.sum(0)
        p = _m_step(x, shares * scale, counts)
        degrees = _degrees((shares * (log_scale - scale)).sum(0) / counts)
    return reached


def e_step(joint: Tensor) -> tuple[Tensor, float]:
    """Give the responsibilities, and the mean log-likelihood."""
    log_prob = torch.logsumexp(joint, 1, keepdim=True)
    return (joint - log_prob).exp(), log_prob.double().mean().item()


def _m_step(x: Tensor, shares: Tensor, counts: Tensor | None = None) -> Gaussians:
    """Give the moments; ``counts`` are those of the points, where the shares' sums are not."""
    sums = shares.sum(0)
    counts = sums if counts is None else counts
    means = shares.T @ x / sums[:, None]
    covariances = []
    for share, mean, count in zip(shares.T, means, counts, strict=True):
        gaps = x - mean
        covariance = (share[:, None] * gaps).T @ gaps / count
        covariances.append(covariance + _REGULARIZATION * torch.eye(x.shape[1]))
    scale_trils = torch.linalg.cholesky(torch.stack(covariances))
    return Gaussians((counts / len(x)).log(), means, scale_trils)


def _degrees(mean_log: Tensor) -> Tensor:
    """Solve log(nu/2) - psi(nu/2) + 1 + mean(E[log u] - E[u]) = 0 for each component."""

    def slope(degrees: float, mean: float) -> float:
        half = 0.5 * degrees
        return math.log(half) - float(special.digamma(half)) + 1.0 + mean

    found = []
    for mean in mean_log.tolist():
        low, high = _BRACKET
        inside = slope(low, mean) > 0 > slope(high, mean)
        end = low if slope(low, mean) <= 0 else high
        found.append(optimize.brentq(slope, low, high, args=(mean,)) if inside else end)
    return torch.tensor(found)


def _clusters(x: Tensor, k: int, centres: Tensor | None = None) -> Tensor:
    """Give the clusters of k-means, from centres where there are some."""
    init: Any = "k-means++" if centres is None else centres.numpy()
    # scikit-learn's signature shows its defaults only, strings.
    kmeans = KMeans(k, init=init, n_init=1, random_state=0)  # type: ignore[arg-type]
    return torch.from_numpy(kmeans.fit(x.numpy()).labels_).long()


def _one_hot(labels: Tensor, k: int, like: Tensor) -> Tensor:
    return torch.nn.functional.one_hot(labels, k).to(like)
