# SPDX-License-Identifier: MIT
"""Does a VAE give an easy exact posterior? No.

The encoder gives q(w | x), the best Gaussian it has learnt, by the bound. The posterior p(w | x) of
the trained decoder is another density, known where latent dimensions are so few that a grid can
hold it; here two, of a VAE on digits, at 60 of them. The bound falls short of log p(x) by
KL(q || p(w | x)), which is checked example by example; samples of q, weighed, estimate the
posterior's moments, with an effective sample size that says how well.
"""

from __future__ import annotations

import numpy as np
import torch
from matplotlib.axes import Axes
from numpy.typing import NDArray
from torch import Tensor

from experiments.finding import Finding
from pyvae.data import digits
from pyvae.inference import GridPosterior, posterior_estimate, posterior_on_grid
from pyvae.models import VAE
from pyvae.plots.style import FAINT, color, dress, new_figure
from pyvae.training import Trainer

LIMITS, POINTS = [(-5.5, 5.5)] * 2, 221
LEVELS = (0.01, 0.03, 0.1, 0.3, 0.6, 1.0)  # of the maximum
SHADES = ("#e9e9e9", "#c8c8c8", "#a2a2a2", "#767676", "#444444")


def trained(epochs: int = 150) -> tuple[VAE, Tensor]:
    """A VAE of two latent dimensions, and examples."""
    x = digits().x
    torch.manual_seed(0)
    model = VAE(64, 2, hidden=(128,))
    Trainer(epochs=epochs, lr=2e-3, progress="silent").fit(model, x)
    return model.double(), x[::30].double()


def bounds(model: VAE, x: Tensor, samples: int = 20_000) -> tuple[Tensor, Tensor]:
    """The bound of each example by sampling, and its standard error."""
    torch.manual_seed(0)
    with torch.no_grad():
        parts = torch.stack([model.elbo(x, num_samples=samples // 20).total for _ in range(20)])
    return parts.mean(0), parts.std(0) / len(parts) ** 0.5


def run() -> Finding:
    """Train, and hold q against the posterior."""
    model, x = trained()
    grid = posterior_on_grid(model, x, LIMITS, POINTS)
    bound, error = bounds(model, x)
    gap = grid.log_likelihood - bound
    estimate = posterior_estimate(model, x, 1000)
    shares = torch.softmax(grid.log_density, 1)
    mean = shares @ grid.points
    spread = (shares @ grid.points.square() - mean.square()).sqrt()
    order = grid.kl.argsort()
    shown = {"least": order[0], "median": order[len(order) // 2], "largest": order[-1]}
    figure = new_figure(
        12.5, 3.7, "The posterior of a VAE, and what its encoder says of it",
        "Shaded: p(w|x) of the decoder, on a grid, from 1, 3, 10, 30 and 60% of its maximum. "
        "Line: 2σ of q(w|x). "
        "Right: log p(x) from the grid less the bound by sampling, against KL(q‖p(w|x)) from it.",
    )  # fmt: skip
    *panels, right = figure.subplots(1, 4)
    for axes, (name, n) in zip(panels, shown.items(), strict=True):
        title = f"{name} divergence: {grid.kl[n]:.3f} nats"
        _contours(axes, title, model, x[n : n + 1], grid, int(n))
    dress(right, "the bound's gap", "KL(q‖p(w|x)), nats", "log p(x) − bound, nats")
    right.axline((0, 0), slope=1, color=FAINT, linewidth=1.0)
    right.plot(grid.kl, gap, "o", color=color(0), markersize=4)
    distance = ((estimate.mean - mean) / spread).abs().amax(1)
    of_encoder = ((model.encode(x)[0].detach() - mean) / spread).abs().amax(1)
    rows = [
        ("log p(x), by the grid", f"{grid.log_likelihood.mean():.3f}", ""),
        ("bound", f"{bound.mean():.3f}", ""),
        ("KL(q‖p(w\\|x))", f"{grid.kl.mean():.3f}", f"{grid.kl.min():.3f} to {grid.kl.max():.3f}"),
        (
            "\\|gap less divergence\\|, over its standard error",
            f"{((gap - grid.kl) / error).abs().mean():.2f}",
            f"at most {((gap - grid.kl) / error).abs().max():.2f}",
        ),
        (
            "effective sample size of 1,000",
            f"{estimate.effective_sample_size.mean():.0f}",
            f"at least {estimate.effective_sample_size.min():.0f}",
        ),
        (
            "distance of q's mean from the posterior's, in its deviations",
            f"{of_encoder.mean():.3f}",
            f"at most {of_encoder.max():.3f}",
        ),
        (
            "the same of the estimate from 1,000 samples",
            f"{distance.mean():.3f}",
            f"at most {distance.max():.3f}",
        ),
    ]
    return Finding(figure, ("measured over 60 digits", "mean", "range"), rows)


def _contours(axes: Axes, title: str, model: VAE, x: Tensor, grid: GridPosterior, n: int) -> None:
    dress(axes, title, "w₁", "w₂")
    points = grid.points.reshape(POINTS, POINTS, 2).numpy()
    density: NDArray = grid.log_density[n].exp().reshape(POINTS, POINTS).numpy()
    levels = density.max() * np.array(LEVELS)
    axes.contourf(points[..., 0], points[..., 1], density, levels=levels, colors=SHADES)
    axes.contour(points[..., 0], points[..., 1], density, levels=levels[:1], colors=[FAINT],
                 linewidths=0.7)  # fmt: skip
    mean, logvar = (part[0].detach().numpy() for part in model.encode(x))
    angle = np.linspace(0, 2 * np.pi, 200)
    ellipse = mean + 2.0 * np.exp(0.5 * logvar) * np.stack([np.cos(angle), np.sin(angle)], 1)
    axes.plot(*ellipse.T, color=color(6), linewidth=1.6)
    inside = points[density > levels[0]]
    low = np.minimum(inside.min(0), ellipse.min(0)) - 0.1
    high = np.maximum(inside.max(0), ellipse.max(0)) + 0.1
    centre, reach = (low + high) / 2, (high - low).max() / 2
    axes.set_xlim(centre[0] - reach, centre[0] + reach)
    axes.set_ylim(centre[1] - reach, centre[1] + reach)
    axes.set_aspect("equal")
