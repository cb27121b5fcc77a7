# SPDX-License-Identifier: MIT
"""The start of a mixture: right on clusters that are apart, sane on points that are not."""

from __future__ import annotations

import pytest
import torch
from threadpoolctl import threadpool_limits

from pyvae.mixture import initial_mixture

MEANS = torch.tensor([[0.0, 0.0], [8.0, 0.0], [0.0, 8.0]], dtype=torch.float64)
SCALES = torch.tensor([0.5, 1.0, 0.25], dtype=torch.float64)
COUNTS = (500, 300, 200)


def clusters(offset: float = 0.0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.cat(
        [
            offset + mean + scale * torch.randn(n, 2, generator=generator, dtype=torch.float64)
            for mean, scale, n in zip(MEANS, SCALES, COUNTS, strict=True)
        ]
    )


@pytest.mark.parametrize("method", ["kmeans", "em"])
@pytest.mark.parametrize("covariance", ["isotropic", "diagonal"])
@pytest.mark.parametrize("offset", [0.0, 1e4])
def test_clusters_that_are_apart_are_found(method, covariance, offset):
    weights, means, logvars = initial_mixture(
        clusters(offset), 3, method=method, covariance=covariance
    )
    order = torch.cdist(means - offset, MEANS).argmin(0)
    assert sorted(order.tolist()) == [0, 1, 2]
    torch.testing.assert_close(means[order] - offset, MEANS, atol=0.2, rtol=0)
    torch.testing.assert_close(weights[order], torch.tensor(COUNTS).double() / 1000)
    widths = 1 if covariance == "isotropic" else 2
    expected = SCALES.log().mul(2).unsqueeze(1).expand(3, widths)
    torch.testing.assert_close(logvars[order], expected, atol=0.35, rtol=0)


def test_seeding_takes_points_and_their_clusters():
    points = clusters()
    weights, means, logvars = initial_mixture(points, 3, method="kmeans++")
    assert weights.sum() == pytest.approx(1)
    assert means.shape == (3, 2)
    assert logvars.shape == (3, 1)


def test_same_seed_same_bits_on_any_number_of_threads():
    points = torch.randn(3000, 5, generator=torch.Generator().manual_seed(1))
    with threadpool_limits(limits=1):
        first = initial_mixture(points, 7, seed=3)
    with threadpool_limits(limits=2):
        second = initial_mixture(points, 7, seed=3)
    for a, b in zip(first, second, strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("method", ["kmeans++", "kmeans", "em"])
@pytest.mark.parametrize("covariance", ["isotropic", "diagonal"])
def test_copies_and_single_points_keep_variances_above_zero(method, covariance):
    copies = torch.ones(10, 3)
    lonely = torch.cat([torch.zeros(10, 3), 100 * torch.eye(3)])
    for points in (copies, lonely):
        mixture = initial_mixture(points, 4, method=method, covariance=covariance)
        for tensor in mixture:
            assert torch.isfinite(tensor).all()
        assert mixture.weights.sum() == pytest.approx(1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"points": torch.zeros(2, 2)}, "2 points are too few for 3 components"),
        ({"points": torch.zeros(5)}, r"points have shape \(5,\); expected \(N, L\)"),
        ({"points": torch.tensor([[0.0], [float("nan")], [1.0]])}, "point 1 .* is not finite"),
        ({"num_components": 0}, "num_components=0"),
        ({"restarts": 0}, "restarts=0"),
        ({"method": "magic"}, "method is 'magic'; expected one of"),
        ({"covariance": "full"}, "covariance is 'full'; expected one of"),
    ],
)
def test_mistakes_are_named(change, message):
    arguments = {"points": clusters(), "num_components": 3} | change
    with pytest.raises(ValueError, match=message):
        initial_mixture(**arguments)
