# SPDX-License-Identifier: MIT
"""Shapes of data that a mixture's start is tried on: mixtures of Gaussians, and points of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

Random = np.random.Generator


@dataclass(frozen=True)
class Truth:
    """What points are drawn from, and what is fitted to them.

    Attributes
    ----------
    weights, means, covariances
        ``(K,)``, ``(K, D)``, ``(K, D, D)``.
    points
        N.
    covariance_type
        Of the mixture that is fitted.
    outliers
        How many of the points are anywhere instead, in three times the range of the others.
    """

    weights: np.ndarray
    means: np.ndarray
    covariances: np.ndarray
    points: int
    covariance_type: str = "full"
    outliers: int = 0

    def draw(self, random: Random) -> np.ndarray:
        """Draw the points ``(N, D)``."""
        chosen = random.choice(len(self.weights), self.points, p=self.weights)
        standard = random.standard_normal((self.points, self.means.shape[1], 1))
        x = self.means[chosen] + (np.linalg.cholesky(self.covariances)[chosen] @ standard)[..., 0]
        low, high = x.min(0), x.max(0)
        middle, reach = (low + high) / 2, 1.5 * (high - low)
        anywhere = random.uniform(middle - reach, middle + reach, (self.outliers, len(low)))
        x[: self.outliers] = anywhere
        return x

    def precisions(self) -> np.ndarray:
        """Precisions in the shape that the estimator takes them in."""
        variances = np.diagonal(self.covariances, axis1=1, axis2=2)
        return {
            "full": lambda: np.linalg.inv(self.covariances),
            "tied": lambda: np.linalg.inv(self.covariances.mean(0)),
            "diag": lambda: 1.0 / variances,
            "spherical": lambda: 1.0 / variances.mean(1),
        }[self.covariance_type]()


def _truth(means: list[list[float]] | np.ndarray, covariances: np.ndarray, points: int,
           weights: list[float] | None = None, **more: str | int) -> Truth:  # fmt: skip
    places = np.asarray(means, dtype=float)
    k, d = places.shape
    even = np.full(k, 1.0 / k) if weights is None else np.asarray(weights)
    return Truth(even, places, np.broadcast_to(covariances, (k, d, d)), points, **more)  # type: ignore[arg-type]


def _long(angle: float, length: float, width: float) -> np.ndarray:
    """Covariance of an ellipse in the plane."""
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return turn @ np.diag([length**2, width**2]) @ turn.T


def _turned(random: Random, deviations: np.ndarray) -> np.ndarray:
    """Covariance of such standard deviations along axes drawn at random."""
    axes = np.linalg.qr(random.standard_normal((len(deviations),) * 2))[0]
    return axes @ np.diag(deviations**2) @ axes.T


def _parallel(random: Random) -> Truth:
    return _truth([[0, 3 * i] for i in range(4)], _long(0, 12, 0.7), 1000)


def _crossing(random: Random) -> Truth:
    angles = np.pi / 3 * np.arange(3)
    return _truth([[0, 0], [1, 0], [0, 1]], np.stack([_long(a, 8, 0.5) for a in angles]), 1500)


def _unequal_sizes(random: Random) -> Truth:
    places = [[0, 0], [5, 1], [-4, 4], [1, -5], [5, 5.5]]
    return _truth(places, np.eye(2), 2000, [0.6, 0.2, 0.1, 0.06, 0.04])


def _nested(random: Random) -> Truth:
    spheres = np.stack([variance * np.eye(2) for variance in (36.0, 0.25, 1.0)])
    return _truth([[0, 0], [0, 0], [5, 2]], spheres, 1500, [0.5, 0.25, 0.25])


def _many(random: Random) -> Truth:
    grid = 7.0 * np.array([[i, j] for i in range(6) for j in range(5)])
    places = grid + random.uniform(-1.5, 1.5, grid.shape)
    ellipses = [_long(random.uniform(0, np.pi), 1.5, 0.6) for _ in grid]
    return _truth(places, np.stack(ellipses), 3000)


def _noise_dimensions(random: Random) -> Truth:
    places = np.zeros((4, 10))
    places[:, :2] = [[0, 0], [0, 5], [5, 0], [5, 5]]
    return _truth(places, np.diag([1.0] * 2 + [36.0] * 8), 2000)


def _orientations(random: Random) -> Truth:
    places = random.uniform(-6, 6, (6, 3))
    shapes = [_turned(random, np.array([4.0, 1.0, 0.3])) for _ in places]
    return _truth(places, np.stack(shapes), 2000)


def _high_dimensional(random: Random) -> Truth:
    places = 1.2 * random.standard_normal((6, 20))
    shapes = [_turned(random, random.uniform(0.5, 2.0, 20)) for _ in places]
    return _truth(places, np.stack(shapes), 3000)


def _overlapping(random: Random) -> Truth:
    shapes = np.stack([_long(a, 1.6, 0.8) for a in (0.0, 1.0, 2.0, 2.6)])
    return _truth([[0, 0], [2.5, 0], [0, 2.5], [3, 3]], shapes, 3000)


def _outliers(random: Random) -> Truth:
    return _truth(
        [[-6, 0], [0, 0], [6, 0], [0, 7]],
        np.stack([_long(a, 2.5, 0.5) for a in (1.5, 0.3, -1.2, 0.0)]), 1500, outliers=30,
    )  # fmt: skip


def _unequal_scales(random: Random) -> Truth:
    units = np.diag([1.0, 1000.0, 0.01])
    places = random.uniform(-5, 5, (5, 3)) @ units
    shapes = [s**2 * units @ _turned(random, np.array([1.5, 1.0, 0.5])) @ units
              for s in (0.3, 0.5, 0.8, 1.0, 1.5)]  # fmt: skip
    return _truth(places, np.stack(shapes), 2000)


def _many_diagonal(random: Random) -> Truth:
    places = 3.0 * random.standard_normal((40, 8))
    shapes = [np.diag(random.uniform(0.3, 1.5, 8) ** 2) for _ in places]
    return _truth(places, np.stack(shapes), 3000, covariance_type="diag")


def _pancakes(random: Random) -> Truth:
    flat = _turned(random, np.array([6.0, 6.0, 6.0, 6.0, 0.5]))
    thin = np.linalg.eigh(flat)[1][:, 0]
    return _truth(np.outer(np.arange(4) * 3.0, thin), flat, 1500, covariance_type="tied")


def _round(random: Random) -> Truth:
    places = random.uniform(-8, 8, (10, 2))
    widths = random.uniform(0.3, 1.6, 10)
    shapes = widths[:, None, None] ** 2 * np.eye(2)
    return _truth(places, shapes, 2000, covariance_type="spherical")


# The start was chosen on the former; the latter were looked at when it was done.
DESIGN: dict[str, Callable[[Random], Truth]] = {
    "long, parallel": _parallel,
    "long, crossing": _crossing,
    "unequal sizes": _unequal_sizes,
    "nested": _nested,
    "many, 30": _many,
    "noise dimensions": _noise_dimensions,
}
HELD_BACK: dict[str, Callable[[Random], Truth]] = {
    "orientations": _orientations,
    "high-dimensional": _high_dimensional,
    "overlapping": _overlapping,
    "outliers": _outliers,
    "unequal scales": _unequal_scales,
    "many, 40, diag": _many_diagonal,
    "pancakes, tied": _pancakes,
    "round, spherical": _round,
}
SHAPES = {**DESIGN, **HELD_BACK}


def drawn(name: str) -> tuple[Truth, np.ndarray]:
    """Give a shape and its points, which are the same every time."""
    random = np.random.default_rng([20, list(SHAPES).index(name)])
    truth = SHAPES[name](random)
    return truth, truth.draw(random)
