# SPDX-License-Identifier: MIT
"""Tables: no line joins features, which have no order, and each has its name."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.collections import LineCollection

from pyvae import plots

from .conftest import overlaps, png, texts

SHOWN = r"a name of \$5 to \$6 that…"
NAMES = ["alcohol", "a name of $5 to $6 that is far too long", "two\nlines", "hue"]


@pytest.mark.parametrize("features", [1, 13, 200])
@pytest.mark.parametrize("count", [1, 50])
def test_reconstructions(rng, features, count):
    x = rng.normal(size=(count, features)) * 10.0 ** np.arange(features).clip(max=4)
    figure = plots.reconstructions(x, x + 0.01)
    assert "reconstruction" in " ".join(texts(figure))
    assert not overlaps(figure)


def test_reconstructions_state_the_variance_explained(rng):
    x = rng.normal(size=(100, 4))
    said = " ".join(texts(plots.reconstructions(x, np.tile(x.mean(0), (100, 1)))))
    assert "Variance explained: 0%" in said
    assert "Variance explained: 100%" in " ".join(texts(plots.reconstructions(x, x)))


def _joined(figure) -> list:
    """Curves and segments that go from one feature, a row of a panel, to another."""
    found = []
    for axes in figure.axes:
        for line in axes.lines:
            if line.get_linestyle() != "None" and axes.get_title("left") != "all features":
                found.append(line)
        for lines in (c for c in axes.collections if isinstance(c, LineCollection)):
            found += [s for s in lines.get_segments() if np.ptp(s[:, 1])]
    return found


@pytest.mark.parametrize("features", [4, 30])
def test_nothing_is_drawn_from_feature_to_feature(rng, features):
    x = rng.normal(size=(6, features))
    assert not _joined(plots.reconstructions(x, x + 0.1))
    samples = rng.normal(size=(3, 5, features))
    assert not _joined(plots.component_samples(samples, means=samples.mean(1)))


def test_every_feature_stands_at_its_name(rng):
    x = rng.normal(size=(6, 4))
    drawn = [
        plots.reconstructions(x, x, feature_names=NAMES),
        plots.component_samples(x[None], feature_names=NAMES),
        plots.component_samples(np.tile(x[:1], (30, 2, 1)), feature_names=NAMES),
    ]
    for figure in drawn:
        said = texts(figure)
        assert {"alcohol", "two lines", "hue", SHOWN} <= set(said)
        assert not overlaps(figure)
    example = next(a for a in drawn[0].axes if a.get_title("left") == "example 2")
    original = next(line for line in example.lines if line.get_label() == "original")
    np.testing.assert_array_equal(original.get_xdata(), x[2])
    np.testing.assert_array_equal(original.get_ydata(), [0, 1, 2, 3])


def test_samples_are_dots_about_their_feature(rng):
    samples = rng.normal(size=(2, 7, 3))
    figure = plots.component_samples(samples, means=samples.mean(1))
    dots, mean = figure.axes[1].lines
    np.testing.assert_array_equal(dots.get_xdata(), samples[1].ravel())
    np.testing.assert_array_equal(np.round(dots.get_ydata()), np.tile([0, 1, 2], 7))
    np.testing.assert_array_equal(mean.get_xdata(), samples[1].mean(0))


def test_a_heat_map_holds_every_value(rng):
    samples = rng.normal(size=(2, 3, 30))
    figure = plots.component_samples(samples, means=samples.mean(1))
    shown = np.ma.filled(figure.axes[0].images[0].get_array(), np.nan)
    expected = [np.vstack([s.mean(0), s.mean(0), s, np.full(30, np.nan)]) for s in samples]
    np.testing.assert_allclose(shown, np.concatenate(expected)[:-1])


@pytest.mark.parametrize("num_components", [1, 21, 300])
def test_components_of_tables_have_room(rng, num_components):
    samples = rng.normal(size=(num_components, 4, 30))
    shares = np.full(num_components, 1 / num_components)
    figure = plots.component_samples(samples, means=samples[:, 0], shares=shares)
    assert not overlaps(figure)
    assert figure.get_figheight() < 14


@pytest.mark.parametrize("dimensions", [1, 2, 4])
def test_a_mixture_names_its_axes(rng, dimensions):
    x = rng.normal(size=(50, dimensions)) * [1.0, 1000.0, 1.0, 1.0][:dimensions]
    figure = plots.mixture(
        x, np.zeros(50, int), np.ones(1), x.mean(0)[None], np.cov(x.T).reshape(1, dimensions, -1),
        feature_names=NAMES[:dimensions],
    )  # fmt: skip
    (axes,) = figure.axes
    if dimensions == 4:
        said = " ".join(texts(figure)).replace("\n", " ")
        assert "standardised features" in said
        assert "Strongest in 1: " in said
    else:
        assert axes.get_xlabel() == "alcohol"
        assert axes.get_ylabel() == ("density" if dimensions == 1 else SHOWN)
    assert axes.get_aspect() == ("auto" if dimensions < 4 else 1.0)
    assert not overlaps(figure)
    assert png(figure)


@pytest.mark.parametrize(
    ("names", "message"),
    [(["a", "b"], "each of 3 features, got 2 of them"), ("abc", "got 'abc'")],
)
def test_names_that_do_not_fit(rng, names, message):
    x = rng.normal(size=(5, 3))
    for draw in (
        lambda: plots.reconstructions(x, x, feature_names=names),
        lambda: plots.component_samples(x[None], feature_names=names),
        lambda: plots.mixture(
            x, np.zeros(5, int), np.ones(1), x[:1], np.eye(3)[None], feature_names=names
        ),
    ):
        with pytest.raises(ValueError, match=message):
            draw()
