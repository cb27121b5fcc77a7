# SPDX-License-Identifier: MIT
"""Where the factors of a component start: the principal components of its points."""

from __future__ import annotations

import numpy as np
import torch
from sklearn.utils.extmath import randomized_svd
from torch import Tensor

_LEAST = 1e-6  # share of the mean noise that no coordinate's is below


def principal_factors(
    gaps: Tensor, share: Tensor, squares: Tensor, rank: int, random: np.random.RandomState
) -> tuple[Tensor, Tensor]:
    """Give loadings ``(D, r)`` and the noise's variances ``(D,)``, above zero, of some points.

    As probabilistic principal components have them, but with a variance of its own for the noise of
    each coordinate: the variance of r directions beyond the mean of all others'. Of points that
    span fewer, the rest are random and small, as a factor of zero would stay zero.

    Parameters
    ----------
    gaps
        Points about their mean, ``(n, D)``.
    share
        How often each counts, ``(n,)``.
    squares
        sum_n share_n gaps_n^2, ``(D,)``.
    rank
        r < D.
    random
        Of the singular value decomposition of n rows, in which no D x D matrix is made.

    References
    ----------
    Tipping & Bishop (1999), "Probabilistic principal component analysis"; Halko, Martinsson &
    Tropp (2011), "Finding structure with randomness", for the decomposition.
    """
    d, count = gaps.shape[1], share.sum().clamp_min(torch.finfo(share.dtype).tiny)
    variances = squares / count
    mean, size = variances.mean(), min(rank, len(gaps))
    loadings = torch.from_numpy(random.standard_normal((d, rank))).to(gaps) * (mean / d).sqrt()
    if mean > 0:
        rows = (gaps * (share / count).sqrt()[:, None]).cpu().numpy()
        _, values, directions = randomized_svd(rows, size, random_state=random)
        found = torch.from_numpy(values.copy()).to(gaps).square()
        rest = (variances.sum() - found.sum()).clamp_min(0.0) / (d - rank)
        beyond = (found - rest).clamp_min(0.0)
        principal = torch.from_numpy(directions.copy()).to(gaps).mT * beyond.sqrt()
        kept = (beyond > 0).nonzero()[:, 0]
        loadings[:, kept] = principal[:, kept]
    noise = variances - loadings.square().sum(1)
    floor = torch.where(mean > 0, _LEAST * mean, 1.0)
    return loadings, torch.maximum(noise, floor)
