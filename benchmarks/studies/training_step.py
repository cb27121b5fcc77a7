# SPDX-License-Identifier: MIT
"""What the mixture terms take of a GM-VAE's training step: our op's, and the eager formula's."""

from __future__ import annotations

import statistics
import time
from typing import Annotated
from unittest import mock

import torch
import typer

from pyvae import ops
from pyvae.cli import manners
from pyvae.models import GMVAE, gmvae
from pyvae.ops import reference

app = manners.application()


def timed(function, seconds: list[float]):
    """Append how long each call of ``function`` takes."""

    def call(*args, **kwargs):
        started = time.perf_counter()
        result = function(*args, **kwargs)
        seconds.append(time.perf_counter() - started)
        return result

    return call


def step(model: GMVAE, optimizer: torch.optim.Optimizer, x: torch.Tensor) -> None:
    """One step of training."""
    optimizer.zero_grad()
    (-model.elbo(x).weighted(1.0).mean()).backward()
    optimizer.step()


def terms(function, model: GMVAE, w: torch.Tensor) -> None:
    """The mixture terms alone, forward and backward, at the model's shapes."""
    mixture = (model.component_means, model.component_logvars)
    result = function(w, model.log_weights, *mixture)
    (result[0] - result[1]).sum().backward()


@app.command()
def main(
    batch: Annotated[int, typer.Option(min=1, help="Examples a step.")] = 128,
    features: Annotated[int, typer.Option(min=1, help="Of an example.")] = 64,
    latent_dim: Annotated[int, typer.Option(min=1, help="Dimensions of the latent space.")] = 10,
    components: Annotated[int, typer.Option(min=1, help="Of the mixture.")] = 10,
    steps: Annotated[int, typer.Option(min=1, help="Of each variant.")] = 200,
    threads: Annotated[
        int | None, typer.Option(min=1, help="Of torch; as many as it takes if left out.")
    ] = None,
) -> None:
    """Time a training step and the mixture terms in it, by our op and by the eager formula.

    Both alternate within one run, so that the machine's noise meets them alike; the step is that of
    the default model on digits.
    """
    if threads is not None:
        torch.set_num_threads(threads)
    torch.manual_seed(0)
    x = torch.rand(batch, features)
    w = torch.randn(batch, latent_dim, requires_grad=True)
    variants = {"pyvae": ops.mixture_elbo_terms, "eager": reference.mixture_elbo_terms}
    wholes: dict[str, list[float]] = {name: [] for name in variants}
    parts: dict[str, list[float]] = {name: [] for name in variants}
    models = {name: GMVAE(features, latent_dim, num_components=components) for name in variants}
    optimizers = {n: torch.optim.Adam(m.parameters(), fused=True) for n, m in models.items()}
    for _ in range(steps):
        for name, function in variants.items():
            with mock.patch.object(gmvae, "mixture_elbo_terms", function):
                timed(step, wholes[name])(models[name], optimizers[name], x)
            timed(terms, parts[name])(function, models[name], w)
    threads = torch.get_num_threads()
    print(f"batch {batch}, D={latent_dim}, K={components}, {threads} threads, medians")
    for name in variants:
        whole, part = statistics.median(wholes[name]), statistics.median(parts[name])
        print(f"{name}: step {1e3 * whole:.2f} ms, terms {1e3 * part:.2f} ms, {part / whole:.0%}")


if __name__ == "__main__":
    manners.main(app, "python -m benchmarks.studies.training_step")
