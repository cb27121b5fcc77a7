# SPDX-License-Identifier: MIT
"""Invariant coordinates are those along which clusters are apart, in any units."""

from __future__ import annotations

import pytest
import torch

from pyvae.mixture.covariance import COVARIANCES
from pyvae.mixture.invariant_coordinates import invariant_scale

MIXING = torch.randn(5, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def _points() -> torch.Tensor:
    """Two clusters apart along the first coordinate, amid wide noise."""
    x = torch.randn(2000, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    x[:, 1:] *= 10.0
    x[:1000, 0] += 8.0
    return x


@pytest.mark.parametrize("kind", ["full", "tied", "diag", "tied_diag"])
def test_distances_are_along_what_tells_clusters_apart(kind: str) -> None:
    x, weight = _points(), torch.ones(2000, dtype=torch.float64)
    scale = invariant_scale(COVARIANCES[kind], x, weight)
    assert scale is not None
    y = torch.linalg.solve(scale, x.mT).mT
    between = (y[:1000].mean(0) - y[1000:].mean(0)).square().sum()
    assert between > 2.0 * y[:1000].var(0).sum()
    assert (x[:1000].mean(0) - x[1000:].mean(0)).square().sum() < 0.5 * x[:1000].var(0).sum()


def test_units_change_nothing() -> None:
    x, weight = _points(), torch.ones(2000, dtype=torch.float64)
    distances = []
    for each in (x, x @ MIXING + 7.0):
        scale = invariant_scale(COVARIANCES["full"], each, weight)
        assert scale is not None
        y = torch.linalg.solve(scale, each[:50].mT).mT
        distances.append(torch.cdist(y, y))
    torch.testing.assert_close(*distances, rtol=1e-6, atol=1e-6)


def test_weights_are_repetitions() -> None:
    x = _points()[::10]
    counts = torch.arange(200) % 3
    weighted = invariant_scale(COVARIANCES["diag"], x, counts.double())
    every = x.repeat_interleave(counts, 0)
    repeated = invariant_scale(COVARIANCES["diag"], every, torch.ones(len(every)).double())
    torch.testing.assert_close(weighted, repeated)


def test_where_there_is_no_telling() -> None:
    x, one = _points(), torch.ones(2000, dtype=torch.float64)
    assert invariant_scale(COVARIANCES["spherical"], x, one) is None
    assert invariant_scale(COVARIANCES["full"], x[:19], one[:19]) is None
    for kind in ("full", "diag"):
        assert invariant_scale(COVARIANCES[kind], torch.zeros_like(x), one) is None
        x[:, 3] = 1.0
        scale = invariant_scale(COVARIANCES[kind], x, one)
        assert scale is not None
        assert torch.linalg.inv(scale).isfinite().all()
