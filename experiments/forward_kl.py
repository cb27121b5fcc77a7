# SPDX-License-Identifier: MIT
"""What the forward KL divergence is good for, and what it costs.

The model is fixed: w ~ N(0, 4), x | w ~ N(w^2 / 2, 0.3^2), so that p(w | x) has two modes where x
is not small; only the encoder, a Gaussian q(w | x), is trained, on data of the model's own.

*For it.* It covers both modes: importance sampling from it finds all of p(x), where the encoder
that the bound trained misses half of it, log 2 nats, and nothing warns of that, for its effective
sample size is high. And it needs no derivative of the decoder: where that is rounded to steps, the
reparameterised gradient of the reconstruction is zero and that encoder learns the prior, while the
forward KL is learnt as before. (So is the bound by the score function.)

*Against it.* By self-normalised importance sampling it is biased towards the proposal, which is the
encoder itself: with 16 samples this one settles on a mode and does not find the other again, with
64 it covers both. Weights degenerate as latent dimensions grow. A wide q is a wasteful proposal.
And it is no bound: what lowers KL(p || q) here lowers the bound, by which decoder and prior are
trained, so that the two networks of a wake-sleep algorithm have no common objective.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from matplotlib.axes import Axes
from matplotlib.ticker import NullLocator
from torch import Tensor, nn

from experiments.finding import Finding
from pyvae.inference import (
    posterior_estimate,
    posterior_on_grid,
    score_function_bound,
    sleep_loss,
    wake_loss,
)
from pyvae.models import GMVAE, VAE
from pyvae.models.posterior import log_prob_at
from pyvae.plots.style import FAINT, FILL, color, dress, new_figure

LIMITS, POINTS = [(-16.0, 16.0)], 8001
SCALE, SPREAD = 0.3, 2.0
ENCODERS = {  # objective and samples an example
    "bound, reparameterised": ("elbo", 16),
    "bound, score function": ("score", 16),
    "forward KL, wake, 16 samples": ("wake", 16),
    "forward KL, wake, 64 samples": ("wake", 64),
    "forward KL, sleep": ("sleep", 1),
}


class Parabola(nn.Module):
    """x = w^2 / 2, or the whole number nearest to it, which has no derivative."""

    def __init__(self, *, rounded: bool) -> None:
        super().__init__()
        self.rounded = rounded

    def forward(self, w: Tensor) -> tuple[Tensor, Tensor]:
        """Give mean and raw scale."""
        mean = 0.5 * w.square()
        mean = mean.round() if self.rounded else mean
        return mean, torch.full_like(mean, math.log(math.expm1(SCALE - 0.05)))


def model_of(rounded: bool = False) -> GMVAE:
    """The fixed model, with an encoder to be trained."""
    torch.manual_seed(0)
    model = GMVAE(
        1, 1, num_components=1, likelihood="gaussian", standardize=False, hidden=(64, 64),
        decoder=Parabola(rounded=rounded),
    )  # fmt: skip
    model.set_mixture(None, torch.zeros(1, 1), torch.full((1, 1), 2.0 * math.log(SPREAD)))
    return model


def losses(model: GMVAE, x: Tensor, samples: int) -> dict[str, Callable[[], Tensor]]:
    """What each objective minimises, by example."""
    return {
        "elbo": lambda: -model.elbo(x, num_samples=samples).total,
        "score": lambda: -score_function_bound(model, x, samples),
        "wake": lambda: wake_loss(model, x, samples),
        "sleep": lambda: sleep_loss(model, len(x)),
    }


def trained(objective: str, samples: int, rounded: bool = False, steps: int = 1500) -> GMVAE:
    """Train the encoder on the model's own data."""
    model = model_of(rounded)
    optimizer = torch.optim.Adam(model.encoder.parameters(), lr=3e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(steps):
        with torch.no_grad():
            x = model.likelihood(model.sample_prior(128)).sample()
        optimizer.zero_grad()
        losses(model, x, samples)[objective]().mean().backward()
        optimizer.step()
        schedule.step()
    return model.eval()


def figures(model: GMVAE) -> dict[str, float]:
    """How an encoder does on data of the model: means over 64 examples with two modes."""
    torch.manual_seed(1)
    w = model.sample_prior(1000)
    x = model.likelihood(w[w.abs()[:, 0] > 2.0][:64]).sample()
    grid = posterior_on_grid(model, x, LIMITS, POINTS)
    cell = (LIMITS[0][1] - LIMITS[0][0]) / (POINTS - 1)
    mean, logvar = (part.double() for part in model.encode(x))
    log_q = log_prob_at(grid.points[:, None], mean, logvar).T
    near = (grid.points[:, 0] - mean).abs() < 2.0 * torch.exp(0.5 * logvar)
    p = grid.log_density.exp() * cell
    inclusive = torch.where(p > 0, p * (grid.log_density - log_q), 0.0).sum(1)
    estimate = posterior_estimate(model, x, 1000)
    return {
        "exclusive": grid.kl.mean().item(),
        "inclusive": inclusive.mean().item(),
        "covered": (p * near).sum(1).mean().item(),
        "bound": (grid.log_likelihood - grid.kl).mean().item(),
        "missed": (estimate.log_likelihood - grid.log_likelihood).mean().item(),
        "size": estimate.effective_sample_size.mean().item() / 1000,
    }


class SameForAll(nn.Module):
    """An encoder that says the same Gaussian of every row, with parameters of its own for each."""

    def __init__(self, rows: int, mean: float, scale: float, dimensions: int = 1) -> None:
        super().__init__()
        self.mean = nn.Parameter(torch.full((rows, dimensions), mean))
        self.register_buffer("logvar", torch.full((rows, dimensions), 2.0 * math.log(scale)))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Give mean and log-variance."""
        return self.mean, self.logvar


class Noisy(nn.Module):
    """x = w + 0.5 noise."""

    def forward(self, w: Tensor) -> tuple[Tensor, Tensor]:
        """Give mean and raw scale."""
        return w, torch.full_like(w, math.log(math.expm1(0.5 - 0.05)))


def bias(samples: int, repeats: int = 20_000) -> float:
    """Bias of the wake phase's estimate of E[w | x], which its gradient in q's mean is made of.

    q is N(1, 2^2) and x = 2, so that both modes, at +-2, are in reach and one is nearer. The
    gradient is -(E[w | x] - 1) / 2^2, and E[w | x] is 0.
    """
    model = model_of()
    model.encoder = encoder = SameForAll(repeats, mean=1.0, scale=2.0)
    torch.manual_seed(samples)
    wake_loss(model, torch.full((repeats, 1), 2.0), samples).sum().backward()
    assert encoder.mean.grad is not None
    return abs((1.0 - 4.0 * encoder.mean.grad.double()).mean().item())


def share_of_samples(dimensions: int, rows: int = 200) -> float:
    """Effective sample size over the number of samples, from the prior, where x = w + 0.5 noise."""
    encoder = SameForAll(rows, mean=0.0, scale=1.0, dimensions=dimensions)
    model = VAE(
        dimensions, dimensions, likelihood="gaussian", standardize=False, encoder=encoder,
        decoder=Noisy(),
    )  # fmt: skip
    torch.manual_seed(0)
    x = model.likelihood(model.sample_prior(rows)).sample()
    return posterior_estimate(model, x, 1000).effective_sample_size.mean().item() / 1000


def run() -> Finding:
    """Train the encoders, and measure what they and the estimator are worth."""
    models = {
        (name, rounded): trained(*arguments, rounded)
        for rounded in (False, True)
        for name, arguments in ENCODERS.items()
    }
    found = {key: figures(model) for key, model in models.items()}
    figure = new_figure(
        12.0, 4.2, "A Gaussian encoder of a posterior with two modes",
        "Left: p(w|x) at x = 2, and q(w|x) by what its encoder was trained on. Middle: how far "
        "the self-normalised estimate of E[w|x] is drawn to the mean of the proposal, N(1, 2²) "
        "(dashed: 1/S). Right: 1,000 samples of the prior of L dimensions, x = w + noise of 0.5 "
        "(dashed: one of them).",
    )  # fmt: skip
    left, middle, right = figure.subplots(1, 3, width_ratios=(1.5, 1.0, 1.0))
    _densities(left, {name: models[name, False] for name in ENCODERS})
    dress(middle, "bias of the wake phase", "samples", "bias of the estimate of E[w|x]")
    counts = [1, 2, 4, 8, 16, 32, 64, 128, 256]
    middle.loglog(counts, [bias(count) for count in counts], "o-", color=color(4), markersize=4)
    middle.loglog(counts, [1.0 / count for count in counts], "--", color=FAINT, linewidth=1.0)
    dress(right, "weights degenerate", "latent dimensions", "effective share of the samples")
    dimensions = [1, 2, 4, 8, 16, 32]
    right.loglog(dimensions, [share_of_samples(d) for d in dimensions], "o-", color=color(4),
                 markersize=4)  # fmt: skip
    for axes, ticks in ((middle, counts[::2]), (right, dimensions)):
        axes.set_xticks(ticks, [str(tick) for tick in ticks])
        axes.xaxis.set_minor_locator(NullLocator())
    right.axhline(1e-3, color=FAINT, linewidth=1.0, linestyle="--")
    rows = [
        (
            "rounded" if rounded else "smooth", name, f"{f['exclusive']:.3f}",
            f"{f['inclusive']:.3f}", f"{f['covered']:.3f}", f"{f['bound']:.3f}",
            f"{f['missed']:+.3f}", f"{f['size']:.3f}",
        )
        for (name, rounded), f in found.items()
    ]  # fmt: skip
    columns = (
        "decoder", "encoder trained on", "KL(q‖p)", "KL(p‖q)", "mass of p within 2 sigma", "bound",
        "log p(x) by 1,000 samples, less the exact", "effective share of them",
    )  # fmt: skip
    return Finding(figure, columns, rows)


def _densities(axes: Axes, models: dict[str, GMVAE]) -> None:
    dress(axes, "posterior and encoders at x = 2", "w", "density")
    x = torch.full((1, 1), 2.0)
    grid = posterior_on_grid(next(iter(models.values())), x, LIMITS, POINTS)
    shown = grid.points[:, 0].abs() < 6
    w, p = grid.points[shown, 0], grid.log_density[0, shown].exp()
    axes.fill_between(w, p, color=FILL, label="p(w|x)")
    for index, (name, model) in enumerate(models.items()):
        mean, logvar = (part.double() for part in model.encode(x))
        q = torch.distributions.Normal(mean[0], torch.exp(0.5 * logvar[0])).log_prob(w).exp()
        style, tint = (("-", 6), ("--", 1), (":", 4), ("-", 0), ("--", 9))[index]
        axes.plot(w, q.detach(), style, color=color(tint), linewidth=1.7, label=name)
    axes.set_ylim(0, 1.75 * axes.get_ylim()[1])
    axes.legend(loc="upper left", fontsize=7.5, frameon=False)
