# SPDX-License-Identifier: MIT
"""Does a large beta make latent dimensions correlated? No, less so.

A beta-VAE with ten latent dimensions on digits, for beta from 1/32 to 4. What is measured is the
aggregate posterior q(w), the mean of q(w | x) over the data: the correlations of its dimensions,
and its total correlation KL(q(w) || prod_l q(w_l)), by a Gaussian of its moments, by sampling under
all posteriors, and by minibatch-weighted sampling. The prior has independent dimensions, and beta
weighs the pull towards it. The price is what q(w | x) tells of x: dimensions fall silent, and
reconstructions get worse.

Minibatch-weighted sampling is biased upwards, by (L - 1) log N where all posteriors of the N
examples are the same; it is given less that.
"""

from __future__ import annotations

import math
import statistics

import torch
from matplotlib.axes import Axes
from matplotlib.ticker import NullLocator
from torch import Tensor

from experiments.finding import Finding
from pyvae.data import digits
from pyvae.inference import (
    gaussian_total_correlation,
    latent_correlation,
    total_correlation,
)
from pyvae.models import VAE
from pyvae.plots.style import FAINT, color, dress, legend_above, new_figure
from pyvae.training import Trainer
from pyvae.training.metrics import active_units

BETAS = (1 / 32, 1 / 16, 1 / 8, 1 / 4, 1 / 2, 1.0, 2.0, 4.0)
LATENT, BATCH, SEEDS = 10, 128, 2


def measure(beta: float, seed: int, x: Tensor, epochs: int = 60) -> dict[str, float]:
    """Train one model, and measure its latent dimensions."""
    torch.manual_seed(seed)
    model = VAE(64, LATENT, hidden=(128,), beta=beta)
    Trainer(epochs=epochs, lr=2e-3, progress="silent", seed=seed).fit(model, x)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        mean, logvar = model.encode(x)
        bound = model.elbo(x, num_samples=10, generator=generator)
    correlation = latent_correlation(mean, logvar)
    apart = correlation[~torch.eye(LATENT, dtype=torch.bool)].abs()
    order = torch.randperm(len(x), generator=generator)
    by_batch = [
        total_correlation(
            mean[rows], logvar[rows], method="minibatch", dataset_size=len(x), generator=generator
        )
        for rows in order.split(BATCH)
        if len(rows) == BATCH
    ]
    return {
        "mean": apart.mean().item(),
        "largest": apart.max().item(),
        "gaussian": gaussian_total_correlation(mean, logvar),
        "aggregate": total_correlation(mean, logvar, num_samples=4000, generator=generator),
        "minibatch": statistics.mean(by_batch) - (LATENT - 1) * math.log(len(x)),
        "active": active_units(mean),
        "kl": bound.kl.mean().item(),
        "reconstruction": bound.reconstruction.mean().item(),
    }


def run() -> Finding:
    """Train a model a beta and seed."""
    x = digits().x
    found: list[dict[str, float]] = []
    for beta in BETAS:
        results = [measure(beta, seed, x) for seed in range(SEEDS)]
        found.append({k: statistics.mean(r[k] for r in results) for k in results[0]})
    figure = new_figure(
        12.0, 4.1, "Latent dimensions over β",
        f"β-VAE of {LATENT} latent dimensions on digits, means over {SEEDS} seeds. Minibatch: "
        f"weighted sampling in batches of {BATCH}, less (L − 1) log {len(x)}.",
    )  # fmt: skip
    left, middle, right = figure.subplots(1, 3)
    _lines(left, "correlation of the dimensions", "|correlation|", found,
           {"largest": "largest", "mean": "mean"})  # fmt: skip
    _lines(middle, "total correlation", "nats", found,
           {"aggregate": "all posteriors", "minibatch": "minibatch", "gaussian": "Gaussian"}
           )  # fmt: skip
    units = right.twinx()
    dress(units, "", "", "units").grid(False)
    marks = units.semilogx(BETAS, [row["active"] for row in found], "s--", color=color(6),
                           markersize=4, label="active units (right)")  # fmt: skip
    _lines(right, "what q(w|x) tells", "nats", found, {"kl": "KL(q‖p(w))"})
    legend_above(right, [*right.lines, *marks])
    top = right.get_ylim()[1]
    right.set_ylim(-0.04 * top, top)
    units.set_ylim(-0.04 * (LATENT + 0.5), LATENT + 0.5)
    units.spines["right"].set(visible=True, color=FAINT)
    units.spines[["left", "bottom"]].set_visible(False)
    columns = (
        "beta", "mean and largest \\|correlation\\|", "total correlation: all posteriors",
        "Gaussian", "minibatch", "active units", "KL(q‖p(w))", "reconstruction",
    )  # fmt: skip
    rows = [
        (
            f"{beta:.4g}", f"{row['mean']:.3f}, {row['largest']:.3f}",
            *(f"{round(row[n], 3) + 0.0:.3f}" for n in ("aggregate", "gaussian", "minibatch")),
            f"{row['active']:.1f}", f"{row['kl']:.2f}", f"{row['reconstruction']:.2f}",
        )
        for beta, row in zip(BETAS, found, strict=True)
    ]  # fmt: skip
    return Finding(figure, columns, rows)


def _lines(
    axes: Axes, title: str, unit: str, found: list[dict[str, float]], names: dict[str, str]
) -> None:
    dress(axes, title, "β", unit)
    for index, (name, label) in enumerate(names.items()):
        values = [row[name] for row in found]
        axes.semilogx(BETAS, values, f"{'os^'[index]}-", color=color((0, 6, 4)[index]),
                      markersize=4, label=label)  # fmt: skip
    axes.set_xticks(BETAS, ["1/32", "1/16", "1/8", "1/4", "1/2", "1", "2", "4"])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_ylim(min(0.0, axes.get_ylim()[0]), None)
    legend_above(axes)
