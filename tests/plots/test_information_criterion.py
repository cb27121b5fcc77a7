# SPDX-License-Identifier: MIT
"""A criterion over numbers of components: a line a type of covariance, the least marked."""

from __future__ import annotations

import numpy as np

from pyvae import plots


def test_one_line() -> None:
    figure = plots.information_criterion([1, 2, 4], [30.0, 10.0, 20.0], "BIC")
    (axes,) = figure.axes
    line, mark = axes.lines
    np.testing.assert_array_equal(line.get_xydata(), [[1, 30], [2, 10], [4, 20]])
    np.testing.assert_array_equal(mark.get_xydata(), [[2, 10]])
    assert axes.texts[0].get_text() == "2 components"
    assert axes.get_legend() is None


def test_a_line_for_each_type() -> None:
    """In the order of the numbers; a fit that failed leaves a gap."""
    counts, values = [2, 1, 3, 1, 2, 3], [5.0, 9.0, np.nan, 8.0, 4.0, 6.0]
    kinds = ["full"] * 3 + ["a$b$"] * 3
    figure = plots.information_criterion(counts, values, "ICL", kinds)
    (axes,) = figure.axes
    first, second, mark = axes.lines
    np.testing.assert_array_equal(first.get_xydata(), [[1, 9], [2, 5], [3, np.nan]])
    np.testing.assert_array_equal(second.get_xydata(), [[1, 8], [2, 4], [3, 6]])
    np.testing.assert_array_equal(mark.get_xydata(), [[2, 4]])
    assert axes.texts[0].get_text() == r"a\$b\$, 2 components"
    legend = axes.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["full", r"a\$b\$"]
    figure.canvas.draw()


def test_types_are_told_apart() -> None:
    """By colour and by marker, as many as there are types of covariance."""
    figure = plots.information_criterion([1] * 6, range(6), "BIC", list("abcdef"))
    lines = figure.axes[0].lines[:6]
    assert len({line.get_color() for line in lines}) == 6
    assert len({line.get_marker() for line in lines}) == 6
