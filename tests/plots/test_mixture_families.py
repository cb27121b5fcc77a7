# SPDX-License-Identifier: MIT
"""Mixtures with noise, with tails, and of independent columns."""

from __future__ import annotations

import numpy as np
import pytest

from pyvae import plots

from .conftest import overlaps, png, texts

PLACES = np.array([[0.0, 0.0], [6.0, 0.0]])


def test_noise_is_crosses(rng):
    x = np.concatenate([rng.normal(size=(40, 2)), rng.normal(size=(40, 2)) + PLACES[1],
                        rng.uniform(-9, 9, (10, 2))])  # fmt: skip
    components = np.repeat([0, 1, -1], [40, 40, 10])
    shown = (np.array([0.4, 0.5]), PLACES, np.tile(np.eye(2), (2, 1, 1)))
    figure = plots.mixture(x, components, *shown)
    assert "Crosses: noise." in " ".join(texts(figure))
    assert sorted(len(np.asarray(c.get_offsets())) for c in figure.axes[0].collections) == [
        10,
        40,
        40,
    ]
    assert not overlaps(figure)
    assert "noise" not in " ".join(texts(plots.mixture(x[:80], components[:80], *shown)))
    assert png(plots.mixture(x, np.full(90, -1), *shown))


def test_curves_on_the_line_are_those_of_the_family(rng):
    """Each sums to its weight over a line long enough, and the noise lies below them all."""
    x, one = rng.normal(size=(300, 1)), np.ones((1, 1))
    for degrees in (None, np.array([3.0])):
        figure = plots.mixture(
            x, np.zeros(300, int), np.ones(1), 0 * one, one[None], noise_density=0.25,
            degrees_of_freedom=degrees,
        )  # fmt: skip
        curve, total = (np.asarray(line.get_ydata(), float) for line in figure.axes[0].lines)
        np.testing.assert_allclose(total - 0.25, curve, atol=1e-12)
        peak = 0.3989 if degrees is None else 0.3676  # of N(0, 1), and of t with 3
        assert np.max(curve) == pytest.approx(peak, abs=1e-3)
        title = "1 Gaussian fitted" if degrees is None else "1 Student t distribution fitted"
        assert any(title in text for text in texts(figure))


@pytest.mark.parametrize("count", [1, 7, 60])
def test_profiles(rng, count):
    weights = np.full(count, 1 / count)
    means, shares = rng.normal(size=(count, 2)), rng.random((count, 5))
    figure = plots.component_profiles(
        weights, means=means, mean_names=["age", "size"], probabilities=shares,
        probability_names=["smokes", *(f"town: {c}" for c in "ABCD")],
    )  # fmt: skip
    assert {"age", "town: D", "standardised mean"} <= set(texts(figure))
    assert not overlaps(figure)
    np.testing.assert_array_equal(figure.axes[1].images[0].get_array(), shares)
    assert png(plots.component_profiles(weights, probabilities=np.tile(shares, (1, 30))))


def test_profiles_of_nothing_are_an_error():
    with pytest.raises(ValueError, match=r"of K = 2 weights, got none"):
        plots.component_profiles(np.ones(2))
    with pytest.raises(ValueError, match=r"got \(3, 1\)"):
        plots.component_profiles(np.ones(2), means=np.ones((3, 1)))
