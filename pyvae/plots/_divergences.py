# SPDX-License-Identifier: MIT
"""The two directions of the KL divergence, drawn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from .style import FAINT, FILL, INK, color, dress, new_figure, number

_INCLUSIVE, _EXCLUSIVE = color(0), color(6)
_WIDE, _NARROW = 3.2, 1.6  # where both fits agree, the narrow line lies on the wide one


class Fit(NamedTuple):
    """A Gaussian and its divergence, in nats.

    Attributes
    ----------
    mean, sigma
        Of the Gaussian.
    divergence
        In the direction that it was fitted by.
    """

    mean: float
    sigma: float
    divergence: float


class FittedTarget(NamedTuple):
    """A mixture on the line, and what both directions make of it; the best optimum first.

    Attributes
    ----------
    title
        Of the panel.
    weights, means, sigmas
        Of the mixture.
    inclusive
        The one optimum of KL(p || q).
    exclusive
        The optima of KL(q || p).
    """

    title: str
    weights: Sequence[float]
    means: Sequence[float]
    sigmas: Sequence[float]
    inclusive: Fit
    exclusive: Sequence[Fit]


class Sweep(NamedTuple):
    """Means and deviations of the fits over the distance of the modes.

    Attributes
    ----------
    distances
        Of the modes, ``(S,)``.
    inclusive
        Mean and deviation, ``(S, 2)``.
    exclusive
        The same of each optimum, ``(S, O, 2)``; NaN where it is not one.
    best
        Whether an optimum has the least divergence, ``(S, O)``.
    """

    distances: NDArray
    inclusive: NDArray
    exclusive: NDArray
    best: NDArray


def kl_directions(targets: Sequence[FittedTarget], sweep: Sweep) -> Figure:
    """Draw targets with their inclusive and exclusive fits, and how these part with the modes.

    The last panel has the mean of every optimum over the distance of the modes, with one standard
    deviation either side.

    Parameters
    ----------
    targets
        A panel each.
    sweep
        Of the last panel.

    Returns
    -------
    The figure; it belongs to no pyplot state.
    """
    caption = (
        "Inclusive: the q of least KL(p‖q), which has p's moments. Exclusive: of least KL(q‖p); "
        "dotted, its further local optima. Right: means, and of the best one standard deviation "
        "either side, for two equal modes of standard deviation 1."
    )
    width = 3.9 * (len(targets) + 1)
    figure = new_figure(width, 4.3, "A Gaussian fitted to a mixture of two", caption)
    *panels, last = figure.subplots(1, len(targets) + 1)
    for axes, target in zip(panels, targets, strict=True):
        _target(axes, target)
    _sweep(last, sweep)
    return figure


def _target(axes: Axes, target: FittedTarget) -> None:
    dress(axes, target.title, "x", "density")
    reach = 3.2 * max(target.sigmas)
    x = np.linspace(min(target.means) - reach, max(target.means) + reach, 800)
    w, m, s = (np.asarray(values) for values in target[1:4])
    density = (w * _normal(x[:, None], m, s)).sum(1)
    axes.fill_between(x, density, color=FILL, label="target p")
    inclusive = target.inclusive
    axes.plot(
        x, _normal(x, inclusive.mean, inclusive.sigma), color=_INCLUSIVE, linewidth=_WIDE,
        label=f"inclusive: {_text(inclusive, 'KL(p‖q)')}",
    )  # fmt: skip
    least = min((fit.divergence for fit in target.exclusive), default=0.0)
    for fit in target.exclusive:
        axes.plot(
            x, _normal(x, fit.mean, fit.sigma), color=_EXCLUSIVE, linewidth=_NARROW,
            linestyle="-" if fit.divergence <= least + 1e-6 else ":",
            label=f"exclusive: {_text(fit, 'KL(q‖p)')}",
        )  # fmt: skip
    axes.set_xlim(x[0], x[-1])
    entries = 2 + len(target.exclusive)
    axes.set_ylim(0, axes.get_ylim()[1] / (1 - 0.115 * entries))
    axes.legend(loc="upper left", fontsize=7.2, frameon=False, handlelength=1.4)


def _sweep(axes: Axes, sweep: Sweep) -> None:
    dress(axes, "as the modes part", "distance of the modes", "mean ± standard deviation")
    at = sweep.distances
    for sign in (-0.5, 0.5):
        axes.plot(at, sign * at, color=FAINT, linewidth=1.0, linestyle="--")
    axes.text(0.6 * at[-1], 0.3 * at[-1], "modes ", color=INK, fontsize=8, ha="right", va="bottom")
    _band(axes, at, sweep.inclusive, _INCLUSIVE, _WIDE, "inclusive")
    for optimum in range(sweep.exclusive.shape[1]):
        fits = sweep.exclusive[:, optimum]
        axes.plot(at, fits[:, 0], color=_EXCLUSIVE, linewidth=1.3, linestyle=":")
        least = np.where(sweep.best[:, optimum, None], fits, np.nan)
        _band(axes, at, least, _EXCLUSIVE, _NARROW, "exclusive" if optimum == 0 else None)
    axes.set_xlim(at[0], at[-1])
    axes.legend(loc="upper left", fontsize=7.2, frameon=False, handlelength=1.4)


def _band(
    axes: Axes, at: NDArray, fits: NDArray, tint: str, width: float, label: str | None
) -> None:
    mean, sigma = fits.T
    axes.plot(at, mean, color=tint, linewidth=width, label=label)
    axes.fill_between(at, mean - sigma, mean + sigma, color=tint, alpha=0.15, linewidth=0)


def _normal(x: NDArray, mean: float | NDArray, sigma: float | NDArray) -> NDArray:
    return np.exp(-0.5 * ((x - mean) / sigma) ** 2) / (sigma * np.sqrt(2 * np.pi))


def _text(fit: Fit, divergence: str) -> str:
    return (
        f"μ {number(fit.mean, 3)}, σ {number(fit.sigma, 3)}\n{divergence} = "
        f"{number(fit.divergence, 4)} nats"
    )
