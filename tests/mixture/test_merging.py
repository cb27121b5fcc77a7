# SPDX-License-Identifier: MIT
"""Merges lose least, and keep the sums of all points."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor

from pyvae.mixture.covariance import COVARIANCES
from pyvae.mixture.merging import merged
from pyvae.mixture.sums import Sums
from tests.mixture.drawing import KINDS, clusters


def _sums(kind: str, x: Tensor, labels: Tensor) -> Sums:
    """Sums of clusters about their means."""
    covariance = COVARIANCES[kind]
    parts = [x[labels == k] for k in labels.unique()]
    means = torch.stack([part.mean(0) for part in parts])
    second = torch.stack(
        [
            covariance.second(part - mean, part.new_ones(len(part)))
            for part, mean in zip(parts, means, strict=True)
        ]
    )
    second = second.sum(0, keepdim=True) if covariance.pooled else second
    counts = torch.tensor([len(part) for part in parts], dtype=torch.float64)
    zero = torch.zeros((), dtype=torch.float64)
    return Sums(zero, counts.sum(), counts, torch.zeros_like(means), second, means)


def _joined(labels: Tensor, i: int, j: int) -> Tensor:
    return torch.where(labels == j, i, labels)


def _volume(kind: str, sums: Sums) -> Tensor:
    covariance, d = COVARIANCES[kind], sums.first.shape[1]
    return (sums.counts * covariance.log_determinant(covariance.covariances(sums), d)).sum()


@pytest.mark.parametrize("kind", KINDS)
def test_the_pair_that_loses_least(kind: str) -> None:
    """By the likelihood of clusters, of all pairs; and the sums are those of the clusters joined.

    Two clusters of the five are halves of one, which that holds for of one covariance as well.
    """
    x = torch.from_numpy(clusters(60))
    labels = torch.arange(3).repeat_interleave(60)
    labels[1:60:2], labels[-20:] = 3, 4
    x[-20:] += 9.0
    sums = _sums(kind, x, labels)
    pairs = list(itertools.combinations(range(5), 2))
    best = min(pairs, key=lambda pair: _volume(kind, _sums(kind, x, _joined(labels, *pair))).item())
    want = _sums(kind, x, _joined(labels, *best))
    found = merged(COVARIANCES[kind], sums, 4)
    order, wanted = (s.reference[:, 0].argsort() for s in (found, want))
    for name in ("counts", "reference", "second"):
        mine, theirs = getattr(found, name), getattr(want, name)
        if len(mine) == 4:
            mine, theirs = mine[order], theirs[wanted]
        torch.testing.assert_close(mine, theirs, msg=name)


@pytest.mark.parametrize("kind", KINDS)
def test_down_to_one(kind: str) -> None:
    x = torch.from_numpy(clusters(50))
    whole = _sums(kind, x, torch.zeros(150, dtype=torch.int64))
    labels = torch.arange(150) % 12
    found = merged(COVARIANCES[kind], _sums(kind, x, labels), 1)
    for name in ("counts", "reference", "second"):
        torch.testing.assert_close(getattr(found, name), getattr(whole, name), msg=name)


def test_none_to_merge() -> None:
    sums = _sums("full", torch.from_numpy(clusters(50)), torch.arange(150) % 3)
    found = merged(COVARIANCES["full"], sums, 3)
    torch.testing.assert_close(found.counts, sums.counts)
    assert len(merged(COVARIANCES["full"], sums, 5).counts) == 3
