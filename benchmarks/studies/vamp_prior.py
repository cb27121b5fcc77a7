# SPDX-License-Identifier: MIT
"""What a VampPrior adds to a training step, beside the pass of the encoder that it needs."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from itertools import product
from typing import Annotated

import torch
import typer

from pyvae.cli import manners
from pyvae.models import VAE, VampPrior

app = manners.application()
_WARM_UP = 10  # rounds that are not timed


def stepper(model: VAE, x: torch.Tensor) -> Callable[[], None]:
    """One step of training."""
    optimizer = torch.optim.Adam(model.parameters(), fused=True)

    def step() -> None:
        optimizer.zero_grad()
        (-model.elbo(x).total.mean()).backward()
        optimizer.step()

    return step


def encoder_pass(model: VAE) -> Callable[[], None]:
    """Forward and backward of the encoder alone, over the pseudo-inputs."""
    assert model.vamp_prior is not None
    inputs = model.vamp_prior.pseudo_inputs

    def step() -> None:
        mean, logvar = model.encode(inputs)
        (mean.sum() + logvar.sum()).backward()

    return step


def medians(calls: list[Callable[[], None]], rounds: int) -> list[float]:
    """Milliseconds of calls that take turns."""
    seconds: list[list[float]] = [[] for _ in calls]
    for turn in range(rounds + _WARM_UP):
        for call, found in zip(calls, seconds, strict=True):
            started = time.perf_counter()
            call()
            if turn >= _WARM_UP:
                found.append(time.perf_counter() - started)
    return [1e3 * statistics.median(found) for found in seconds]


@app.command()
def main(
    batch: Annotated[int, typer.Option(min=1, help="Examples a step.")] = 128,
    features: Annotated[int, typer.Option(min=1, help="Of an example.")] = 784,
    latent_dim: Annotated[int, typer.Option(min=1, help="Dimensions of the latent space.")] = 40,
    pseudo_inputs: Annotated[int, typer.Option(min=1, help="Of the VampPrior.")] = 500,
    hidden: Annotated[
        list[int] | None,
        typer.Option(
            min=1, help="Width of two hidden layers, repeatable; 256, 300 and 1024 if left out."
        ),
    ] = None,
    threads: Annotated[
        list[int] | None, typer.Option(min=1, help="Of torch, repeatable; 1 and 2 if left out.")
    ] = None,
    rounds: Annotated[int, typer.Option(min=1, help="Of which the medians are taken.")] = 150,
) -> None:
    """Time a training step with a VampPrior beside one without, and print a Markdown table.

    The steps take turns within one run. The ratio is that of the VampPrior's step to a step with
    N(0, I) and one pass of the encoder, forward and backward, over the pseudo-inputs.
    """
    print(f"batch {batch}, D={features}, L={latent_dim}, K={pseudo_inputs}, medians of {rounds}")
    print("| hidden | threads | N(0, I) | encoder over u | VampPrior | ratio |")
    print("|---|---|---|---|---|---|")
    for count, width in product(threads or (1, 2), hidden or (256, 300, 1024)):
        torch.set_num_threads(count)
        torch.manual_seed(0)
        x, layers = torch.rand(batch, features), (width, width)
        prior = VampPrior(torch.rand(pseudo_inputs, features))
        vamp = VAE(features, latent_dim, hidden=layers, prior=prior)
        plain = VAE(features, latent_dim, hidden=layers)
        calls = [stepper(plain, x), encoder_pass(vamp), stepper(vamp, x)]
        normal, encoder, whole = medians(calls, rounds)
        print(
            f"| {layers} | {count} | {normal:.2f} ms | {encoder:.2f} ms | {whole:.2f} ms | "
            f"{whole / (normal + encoder):.3f} |", flush=True,
        )  # fmt: skip


if __name__ == "__main__":
    manners.main(app, "python -m benchmarks.studies.vamp_prior")
