# SPDX-License-Identifier: MIT
"""EM is coordinate ascent on one free energy.

400 points of three Gaussians, a mixture of three with full covariances that starts at three points
drawn at random. F is taken after every E step and after every M step: no step lowers it, after an
E step it is log p(x), and after an M step it is below log p(x) by KL(q || p(z | x)), for the
posterior has moved.
"""

from __future__ import annotations

import numpy as np
import torch
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray
from torch import Tensor

from experiments.finding import Finding
from pyvae.mixture.covariance import COVARIANCES, Parameters
from pyvae.mixture.gaussian_em import GaussianEM
from pyvae.mixture.points import Points
from pyvae.plots.style import color, dress, legend_above, new_figure

ITERATIONS = 40


def points(count: int = 400) -> Tensor:
    """Three oblong clusters that overlap."""
    generator = torch.Generator().manual_seed(2)
    means = torch.tensor([[0.0, 0.0], [3.0, 1.0], [1.0, 3.5]], dtype=torch.float64)
    factors = torch.tensor(
        [[[1.2, 0.0], [0.8, 0.5]], [[0.6, 0.0], [-0.4, 1.0]], [[1.0, 0.0], [0.0, 0.6]]],
        dtype=torch.float64,
    )
    z = torch.randint(3, (count,), generator=generator)
    noise = torch.randn(count, 2, 1, generator=generator, dtype=torch.float64)
    return means[z] + (factors[z] @ noise)[..., 0]


def steps(x: Tensor, iterations: int = ITERATIONS) -> NDArray:
    """F after each E step and each M step, and log p(x) there: ``(2 iterations, 2)``, by points."""
    start = Parameters(
        torch.full((3,), 1 / 3, dtype=torch.float64),
        x[:3].clone(),
        torch.cov(x.T).expand(3, 2, 2).clone(),
    )
    model = GaussianEM(COVARIANCES["full"], start)
    data = Points(x, None, torch.zeros(2, dtype=torch.float64))
    found = []
    q = model.e_step(data)
    for _ in range(iterations):
        found.append((model.free_energy(q), model.log_likelihood(q)))
        model.m_step(q)
        after = model.free_energy(q)
        q = model.e_step(data)
        found.append((after, model.log_likelihood(q)))
    return np.array(found) / len(x)


def run() -> Finding:
    """Run EM step by step."""
    x = points()
    free_energy, log_p = steps(x).T
    at = np.arange(len(free_energy)) / 2
    figure = new_figure(
        9.6, 4.2, "Expectation-maximisation, step by step",
        "F = E_q[log p(x, z)] + H(q), per point. Right: what each M step gains, and the E step "
        "after it, which is KL(q‖p(z|x)) = log p(x) − F after the M step.",
    )  # fmt: skip
    left, right = figure.subplots(1, 2)
    first = slice(0, 25)
    dress(left, "the free energy", "iteration", "nats a point")
    left.plot(at[first], log_p[first], color=color(0), linewidth=1.4, label="log p(x)")
    left.plot(at[first], free_energy[first], color=color(6), linewidth=1.2, label="F")
    left.plot(at[first][::2], free_energy[first][::2], "o", color=color(6), markersize=4.5,
              label="after E")  # fmt: skip
    left.plot(at[first][1::2], free_energy[first][1::2], "s", color=color(6), markersize=4,
              markerfacecolor="white", label="after M")  # fmt: skip
    legend_above(left)
    dress(right, "what each step gains", "iteration", "nats a point")
    gaps, gains = (log_p - free_energy)[1::2], free_energy[1::2] - free_energy[:-1:2]
    right.semilogy(at[1::2], gains, color=color(4), linewidth=1.4, label="M step")
    right.semilogy(at[1::2], gaps, color=color(6), linewidth=1.4, label="E step")
    legend_above(right)
    for axes in (left, right):
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    changes = np.diff(free_energy)
    rows = [
        ("log p(x), nats a point: at the start, at the end", f"{log_p[0]:.4f}, {log_p[-1]:.4f}"),
        ("largest fall of F over a step", f"{max(0.0, -changes.min()):.1e}"),
        (
            "largest difference of F and log p(x) after E",
            f"{np.abs(log_p - free_energy)[::2].max():.1e}",
        ),
        ("least of log p(x) - F after M", f"{gaps.min():.1e}"),
    ]
    return Finding(figure, ("measured", ""), rows)
