# SPDX-License-Identifier: MIT
"""Does reparameterisation pass the gradient to the encoder? Yes.

w = mean(x) + sigma(x) noise is a function of the encoder's outputs, so the reconstruction has a
gradient in them; a sample that is drawn and taken as given has none, and the encoder would learn
from the prior's part alone. The score function's estimate needs no such path. Its mean is the same
gradient; its variance is three to five orders of magnitude larger with one sample, and with the
mean of the example's other samples as a baseline between forty times larger and hardly so: there
is less to be gained by the decoder's slope where q has become narrow. Digits, a VAE with ten latent
dimensions, one batch of 64 held fixed for the variances; the encoder's gradient as one vector.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator
from torch import Tensor

from experiments.finding import Finding
from pyvae.data import digits
from pyvae.inference import score_function_bound
from pyvae.models import VAE
from pyvae.plots.style import color, dress, new_figure

COUNTS = (1, 2, 4, 8, 16, 32)
DRAWS, EPOCHS = 200, 60
Bound = Callable[[VAE, Tensor, int], Tensor]


def reparameterised(model: VAE, x: Tensor, samples: int) -> Tensor:
    """The bound as every model has it."""
    return model.elbo(x, num_samples=samples).total


ESTIMATORS: dict[str, Bound] = {
    "reparameterised": reparameterised,
    "score function": score_function_bound,
}


def encoder_gradient(model: VAE, loss: Tensor) -> Tensor:
    """The gradient of a loss in all of the encoder's parameters, as one vector."""
    parameters = list(model.encoder.parameters())
    found = torch.autograd.grad(loss, parameters, allow_unused=True, retain_graph=True)
    pairs = zip(found, parameters, strict=True)
    return torch.cat(
        [torch.zeros_like(p).flatten() if g is None else g.flatten() for g, p in pairs]
    )


def paths(model: VAE, x: Tensor) -> dict[str, float]:
    """Norms of the encoder's gradient of the reconstruction, with the path through w or without."""
    mean, logvar = model.encode(x)
    w = mean + torch.exp(0.5 * logvar) * torch.randn_like(mean)
    found = {}
    for name, sample in (("through w", w), ("w taken as given", w.detach())):
        reconstruction = model.likelihood(sample).log_prob(x).mean()
        found[name] = encoder_gradient(model, reconstruction + 0.0 * mean.sum()).norm().item()
    return found


def variances(model: VAE, x: Tensor, bound: Bound, samples: int) -> tuple[float, Tensor]:
    """Variance of the gradient, summed over its entries, and its mean."""
    draws = torch.stack(
        [encoder_gradient(model, -bound(model, x, samples).mean()) for _ in range(DRAWS)]
    )
    return draws.var(0).sum().item(), draws.mean(0)


def trained(
    bound: Bound, x: Tensor, samples: int = 8, epochs: int = EPOCHS
) -> tuple[VAE, list[float]]:
    """Train a VAE by an estimator; give its bound by epochs, taken by one measure."""
    torch.manual_seed(0)
    model = VAE(64, 10, hidden=(128,))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    curve = []
    for epoch in range(epochs):
        order = torch.randperm(len(x), generator=torch.Generator().manual_seed(epoch))
        for rows in order.split(128):
            optimizer.zero_grad()
            (-bound(model, x[rows], samples).mean()).backward()
            optimizer.step()
        with torch.no_grad():
            curve.append(model.elbo(x, generator=torch.Generator().manual_seed(0)).total.mean())
    return model, [value.item() for value in curve]


def run() -> Finding:
    """Measure both estimators at the start and after training, and train by both."""
    x = digits().x
    curves = {}
    models = {"at the start": trained(reparameterised, x, epochs=0)[0]}
    for samples in (8, 1):
        for name, bound in ESTIMATORS.items():
            model, curve = trained(bound, x, samples)
            curves[f"{name}, {samples} sample{'s' * (samples > 1)}"] = curve
            models.setdefault("after training", model)
    found: dict[str, dict[str, list[float]]] = {}
    rows = []
    for state, model in models.items():
        torch.manual_seed(1)
        for path, norm in paths(model, x[:64]).items():
            rows.append((state, f"norm of the reconstruction's gradient, {path}", f"{norm:.3g}"))
        found[state] = {}
        means = []
        for name, bound in ESTIMATORS.items():
            results = [variances(model, x[:64], bound, count) for count in COUNTS]
            found[state][name] = [variance for variance, _ in results]
            means.append(results[-1])
        (a, first), (b, second) = means
        error = ((a + b) / DRAWS) ** 0.5
        cosine = torch.cosine_similarity(first, second, dim=0).item()
        rows += [
            (state, "cosine of the two mean gradients, 32 samples", f"{cosine:.3f}"),
            (
                state,
                "distance of those means over its standard error",
                f"{(first - second).norm().item() / error:.2f}",
            ),
            *(
                (
                    state,
                    f"variance of the score function's over the reparameterised, samples: {count}",
                    f"{b / a:,.1f}",
                )
                for count, a, b in zip(COUNTS, *found[state].values(), strict=True)
                if count in (1, 2, 8, 32)
            ),
        ]
    for name, curve in curves.items():
        rows.append(("after training", f"bound, trained by {name}", f"{curve[-1]:.2f}"))
    return Finding(_draw(found, curves), ("when", "measured", ""), rows)


def _draw(found: dict[str, dict[str, list[float]]], curves: dict[str, list[float]]) -> Figure:
    figure = new_figure(
        9.6, 4.2, "The encoder's gradient, by two estimators",
        f"Left: of the gradient's covariance over {DRAWS} draws of the noise, one batch; the score "
        f"function with the leave-one-out baseline where there is more than one sample. Right: "
        "Adam, equal steps; the model after training is that of 8 reparameterised samples.",
    )  # fmt: skip
    left, right = figure.subplots(1, 2)
    dress(left, "variance of the gradient", "samples an example", "trace of the covariance")
    for state, style in zip(found, ("--", "-"), strict=True):
        for index, (name, values) in enumerate(found[state].items()):
            left.loglog(COUNTS, values, style, marker="os"[index], markersize=3.5,
                        color=color((0, 6)[index]), label=f"{name}, {state}")  # fmt: skip
    left.set_xticks(COUNTS, [str(count) for count in COUNTS])
    left.xaxis.set_minor_locator(NullLocator())
    left.legend(fontsize=7.5, frameon=False, loc="upper right", handlelength=3.2)
    dress(right, "training by either", "epoch", "bound, nats an example")
    for index, (name, values) in enumerate(curves.items()):
        right.plot(range(1, len(values) + 1), values, ("-", ":")[index // 2],
                   color=color((0, 6)[index % 2]), label=name)  # fmt: skip
    right.legend(fontsize=7.5, frameon=False, loc="lower right")
    return figure
