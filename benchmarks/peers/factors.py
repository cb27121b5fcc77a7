# SPDX-License-Identifier: MIT
"""Mixtures of factor analysers elsewhere: scikit-learn's of one component, EM in plain torch."""

from __future__ import annotations

import math
import warnings
from typing import Any

import torch
from sklearn.cluster import KMeans
from sklearn.decomposition import FactorAnalysis
from torch import Tensor

from benchmarks.peers.libraries import by_scikit
from benchmarks.peers.mixtures import LOG_2PI
from benchmarks.peers.textbook import e_step, textbook
from benchmarks.variants import Call, Inputs, Variant
from tests.ops.draws import Size


def peers(size: Size) -> tuple[Variant, ...]:
    """Give who fits such a mixture: of one component scikit-learn, of several nobody but torch."""
    if size["k"] == 1:
        return (by_scikit(lambda inputs: _by_scikit(inputs, size)),)
    return (textbook(_by_textbook, size),)


def products(x: Tensor, directions: Tensor, loadings: Tensor) -> Tensor:
    """The three products of an E step that it cannot do without, of one component."""
    z = x @ directions
    noise = torch.addmm(x, z, loadings.T, alpha=-1.0)
    return noise.T @ z


def _by_scikit(inputs: Inputs, size: Size) -> Call:
    x = inputs["x"].numpy()

    def call() -> tuple[Any, ...]:
        found = FactorAnalysis(size["r"], tol=0.0, max_iter=size["i"], random_state=0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that so few iterations did not converge
            found.fit(x)
        return (float(found.score(x)),)

    return call


def _by_textbook(inputs: Inputs, size: Size) -> float:
    x, reached = inputs["x"], math.nan
    log_weights, means, loadings, noise = _start(x, size["k"], size["r"])
    for _ in range(size["i"]):
        scores = [_scores(x, *each) for each in zip(means, loadings, noise, strict=True)]
        shares, reached = e_step(log_weights + torch.stack(scores, 1))
        for k in range(len(means)):
            found = _m_step(x, shares[:, k], means[k], loadings[k], noise[k])
            means[k], loadings[k], noise[k] = found
        log_weights = shares.mean(0).log()
    return reached


def _start(x: Tensor, k: int, r: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Give the principal components of the clusters of k-means."""
    # scikit-learn's signature shows its defaults only, strings.
    kmeans = KMeans(k, n_init=1, random_state=0)  # type: ignore[arg-type]
    labels = torch.from_numpy(kmeans.fit(x.numpy()).labels_)
    means, loadings, noise, weights = [], [], [], []
    for cluster in range(k):
        part = x[labels == cluster]
        gaps = part - part.mean(0)
        _, values, directions = torch.pca_lowrank(gaps, r, center=False)
        variances = gaps.square().mean(0)
        factors = directions * values / math.sqrt(len(part))
        means.append(part.mean(0))
        loadings.append(factors)
        noise.append((variances - factors.square().sum(1)).clamp_min(1e-6))
        weights.append(len(part) / len(x))
    return (
        torch.tensor(weights).log(),
        torch.stack(means),
        torch.stack(loadings),
        torch.stack(noise),
    )


def _posterior(loadings: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
    """Give beta and M^-1 of Ghahramani & Hinton (1996)."""
    scaled = loadings / noise[:, None]
    covariance = torch.linalg.inv(torch.eye(loadings.shape[1]) + loadings.T @ scaled)
    return scaled @ covariance, covariance


def _scores(x: Tensor, mean: Tensor, loadings: Tensor, noise: Tensor) -> Tensor:
    """Log-densities, by Woodbury's identity."""
    directions, covariance = _posterior(loadings, noise)
    gaps = x - mean
    scaled = gaps / noise
    distance = (gaps * scaled).sum(1) - ((gaps @ directions) * (scaled @ loadings)).sum(1)
    volume = noise.log().sum() - torch.logdet(covariance)
    return -0.5 * (distance + volume + x.shape[1] * LOG_2PI)


def _m_step(
    x: Tensor, share: Tensor, mean: Tensor, loadings: Tensor, noise: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Regress the points on the factors and one (Ghahramani & Hinton 1996, equations 15, 16)."""
    directions, covariance = _posterior(loadings, noise)
    z = (x - mean) @ directions
    count = share.sum()
    factors = torch.cat([z, torch.ones(len(x), 1)], 1)
    weighted = share[:, None] * factors
    inner = factors.T @ weighted
    inner[:-1, :-1] += count * covariance
    outer = x.T @ weighted
    found = torch.linalg.solve(inner, outer.T).T
    left = (share @ x.square() - (found * outer).sum(1)) / count
    return found[:, -1], found[:, :-1], left.clamp_min(0.0) + 1e-6
