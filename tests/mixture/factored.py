# SPDX-License-Identifier: MIT
"""Parameters of mixtures of factor analysers, points of them, and fits."""

from __future__ import annotations

import warnings

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning

from pyvae.mixture import GaussianMixture
from pyvae.mixture.covariance import LowRank, Parameters


def drawn(k: int = 2, d: int = 6, r: int = 2, seed: int = 0) -> tuple[LowRank, Parameters]:
    """A kind, and parameters of it."""
    generator = torch.Generator().manual_seed(seed)
    like = {"generator": generator, "dtype": torch.float64}
    weights, means = torch.rand(k, **like) + 0.2, 2.0 * torch.randn(k, d, **like)
    noise = torch.rand(k, d, 1, **like) + 0.2
    covariances = torch.cat([torch.randn(k, d, r, **like), noise], 2)
    return LowRank(r), Parameters(weights / weights.sum(), means, covariances)


def dense(kind: LowRank, p: Parameters) -> Parameters:
    return p._replace(covariances=kind.matrices(p.covariances, *p.means.shape))


def factored(count: int = 400, d: int = 8, r: int = 2, seed: int = 0) -> np.ndarray:
    """Points of two clusters with factors of their own."""
    random = np.random.default_rng(seed)
    parts = [
        random.normal(size=(count // 2, r)) @ random.normal(size=(r, d))
        + random.uniform(0.3, 0.8, d) * random.normal(size=(count // 2, d))
        + place
        for place in (-2.0, 2.0)
    ]
    return np.concatenate(parts)


def fitted(x: np.ndarray, k: int = 2, rank: int = 2, **options: object) -> GaussianMixture:
    options = {"reg_covar": 0.0, "random_state": 0, "max_iter": 300, **options}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # of so many iterations
        return GaussianMixture(k, covariance_type="low_rank", rank=rank, **options).fit(x)


def with_gaps(x: np.ndarray, share: float = 0.2) -> np.ndarray:
    x = x.copy()
    x[np.random.default_rng(1).uniform(size=x.shape) < share] = np.nan
    x[0] = np.nan
    return x
