# SPDX-License-Identifier: MIT
"""Does a fit by the exclusive KL divergence cover all modes? No.

A Gaussian q is fitted to a mixture p of two. KL(q || p) is infinite where q has mass and p has
none, and says nothing of where p has mass and q has none: it seeks a mode. KL(p || q) is the other
way round, has p's moments, and covers all. One mode is not two: 1/3 N(-1, 1) + 2/3 N(1, 1) has a
single mode, so both fits are near each other there.
"""

from __future__ import annotations

import torch
from torch.distributions import Normal

from experiments.finding import Finding
from pyvae.cli.fit_kl import APART, fitted, mixture, sweep
from pyvae.inference import fit_gaussian
from pyvae.plots import kl_directions

NEAR = ("one mode", (1 / 3, 2 / 3), (-1.0, 1.0), (1.0, 1.0))


def run() -> Finding:
    """Fit both targets in both directions, and over the distance of the modes."""
    figure = kl_directions([fitted(*NEAR), fitted(*APART)], sweep())
    rows = []
    for title, *target in (NEAR, APART):
        p = mixture(*target)
        for direction in ("inclusive", "exclusive"):
            for optimum in fit_gaussian(p, direction).optima:
                q = optimum.distribution
                ends = q.mean + 2.0 * q.stddev * torch.tensor([-1.0, 1.0], dtype=torch.float64)
                rows.append((
                    title, direction, f"{round(q.mean.item(), 4) + 0.0:.4f}",
                    f"{q.stddev.item():.4f}",
                    f"{optimum.divergence:.4f}", f"{covered(target, *ends.tolist()):.3f}",
                ))  # fmt: skip
    columns = ("target", "direction", "mean", "sigma", "divergence", "mass of p within 2 sigma")
    return Finding(figure, columns, rows)


def covered(target: tuple | list, low: float, high: float) -> float:
    """Mass of a mixture between two points."""
    weights, means, sigmas = (torch.tensor(v, dtype=torch.float64) for v in target)
    components = Normal(means, sigmas)
    ends = torch.tensor([low, high], dtype=torch.float64)
    below = components.cdf(ends[:, None]) @ weights
    return (below[1] - below[0]).item()
