# SPDX-License-Identifier: MIT
"""Components of a Gaussian mixture that are merged, two by two, where that loses least."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from pyvae.mixture.covariance import Moments
from pyvae.mixture.sums import Sums

# Of the second sums of pairs at a time: on a CPU they stay in the cache.
_ELEMENTS, _ELEMENTS_ON_GPU = 2**16, 2**24


def merged(kind: Moments, sums: Sums, k: int, reg_covar: float = 0.0) -> Sums:
    """Merge components where that loses least, until k are left.

    What a pair of covariances S_i and S_j loses is, in nats over all points,

        (N_i + N_j) / 2 log |S_ij| - N_i / 2 log |S_i| - N_j / 2 log |S_j|,

    with S_ij that of both together: no less than the KL divergence from the two to the one. Of one
    covariance S for all it is the like to first order, N_i N_j / (N_i + N_j) g'S^-1 g / 2 of means
    that are g apart. Pairs that are each other's best are merged together, half of all that is to
    be merged at a time. ``reg_covar`` is added to the variances.

    Returns
    -------
    Sums of k components about their means, or of all where there are fewer.

    Raises
    ------
    IllDefined
        If a covariance is not positive definite.

    References
    ----------
    Runnalls (2007), "Kullback-Leibler approach to Gaussian mixture reduction", section V.
    """
    sums = sums.about(kind.weights_and_means(sums)[1])
    losses = _losses(kind, sums, reg_covar, 0, sums.counts.new_empty(0, 0))
    while len(sums.counts) > k:
        first, second = _pairs(losses, (len(sums.counts) - k + 1) // 2)
        alone = torch.ones_like(sums.counts, dtype=torch.bool)
        alone[first], alone[second] = False, False
        rest = alone.nonzero()[:, 0]
        sums = _beside(kind, _some(kind, sums, rest), _joined(kind, sums, first, second))
        losses = _losses(kind, sums, reg_covar, len(rest), losses[rest][:, rest])
    return sums


def _pairs(losses: Tensor, most: int) -> tuple[Tensor, Tensor]:
    """Give the least losses' pairs of which each is the other's best."""
    least, partner = losses.min(1)
    number = torch.arange(len(losses), device=losses.device)
    first = ((partner[partner] == number) & (number < partner)).nonzero()[:, 0]
    first = first[torch.argsort(least[first], stable=True)[:most]]
    return first, partner[first]


def _losses(kind: Moments, sums: Sums, reg_covar: float, known: int, before: Tensor) -> Tensor:
    """Give what each pair loses, ``(K, K)``; among the first ``known`` it is as before."""
    count = len(sums.counts)
    losses = sums.counts.new_full((count, count), math.inf)
    losses[:known, :known] = before
    pairs = torch.triu_indices(count, count, 1)
    first, second = pairs[:, pairs[1] >= known].to(losses.device)
    loss = (_pooled_loss if kind.pooled else _loss)(kind, sums, reg_covar)
    elements = _ELEMENTS if losses.is_cpu else _ELEMENTS_ON_GPU
    step = max(1, elements // max(1, sums.second[0].numel()))
    for i, j in zip(first.split(step), second.split(step), strict=True):
        losses[i, j] = losses[j, i] = 0.5 * loss(i, j)
    return losses


def _loss(kind: Moments, sums: Sums, reg_covar: float) -> Callable[[Tensor, Tensor], Tensor]:
    counted = sums.counts * _volumes(kind, sums, reg_covar)

    def twice(i: Tensor, j: Tensor) -> Tensor:
        together = _joined(kind, sums, i, j)
        return together.counts * _volumes(kind, together, reg_covar) - counted[i] - counted[j]

    return twice


def _pooled_loss(kind: Moments, sums: Sums, reg_covar: float) -> Callable[[Tensor, Tensor], Tensor]:
    roots = kind.aligned(kind.precisions_cholesky(kind.covariances(sums, reg_covar)))

    def twice(i: Tensor, j: Tensor) -> Tensor:
        gaps = _apart(sums, i, j)
        return (gaps @ roots[0] if kind.has_matrices else gaps * roots).square().sum(1)

    return twice


def _volumes(kind: Moments, sums: Sums, reg_covar: float) -> Tensor:
    return kind.log_determinant(kind.covariances(sums, reg_covar), sums.first.shape[1])


def _apart(sums: Sums, i: Tensor, j: Tensor) -> Tensor:
    """Give the gaps of means whose squares joining two components adds to their second sums."""
    n_i, n_j = sums.counts[i], sums.counts[j]
    return (sums.reference[i] - sums.reference[j]) * (n_i * n_j / (n_i + n_j)).sqrt()[:, None]


def _joined(kind: Moments, sums: Sums, i: Tensor, j: Tensor) -> Sums:
    """Give the sums of both of each pair about their means."""
    gaps = _apart(sums, i, j)
    second = kind.scatter(gaps, 1.0, torch.zeros_like(sums.reference[0]))
    second = second + (sums.second if kind.pooled else sums.second[i] + sums.second[j])
    n_i, n_j = sums.counts[i, None], sums.counts[j, None]
    means = (n_i * sums.reference[i] + n_j * sums.reference[j]) / (n_i + n_j)
    counts = sums.counts[i] + sums.counts[j]
    return replace(
        sums, counts=counts, first=torch.zeros_like(means), second=second, reference=means
    )


def _some(kind: Moments, sums: Sums, index: Tensor) -> Sums:
    return replace(
        sums,
        counts=sums.counts[index],
        first=sums.first[index],
        second=sums.second if kind.pooled else sums.second[index],
        reference=sums.reference[index],
    )


def _beside(kind: Moments, some: Sums, others: Sums) -> Sums:
    """Give the components of both; of one second sum for all that of the others."""
    return replace(
        some,
        counts=torch.cat([some.counts, others.counts]),
        first=torch.cat([some.first, others.first]),
        second=others.second if kind.pooled else torch.cat([some.second, others.second]),
        reference=torch.cat([some.reference, others.reference]),
    )
