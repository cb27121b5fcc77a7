# SPDX-License-Identifier: MIT
"""The mixture moved by gradients and by stepwise EM, on digits and MNIST."""

from __future__ import annotations

import statistics
import time
from typing import Annotated, Any

import torch
import typer

from pyvae.cli import manners
from pyvae.data import Data, digits, load
from pyvae.models import GMVAE
from pyvae.training import Trainer
from pyvae.training.batches import Batches
from pyvae.training.metrics import clustering_metrics
from pyvae.training.monitor import latent_figures

app = manners.application()
MNIST = {"pretrain_epochs": 10, "epochs": 20, "warmup_epochs": 5, "batch_size": 256}


def trained(data: Data, seed: int, **settings: Any) -> list[float]:
    """Train one model; return bound, accuracy, NMI, ARI, components in use, and seconds."""
    torch.manual_seed(seed)
    model = GMVAE(data.num_features, 10, num_components=10)
    started = time.perf_counter()
    trainer = Trainer(seed=seed, progress="silent", initialization="em", **settings)
    history = trainer.fit(model, data)
    seconds = time.perf_counter() - started
    assert data.labels is not None
    x = data.rows(slice(0, len(data)))
    scores = clustering_metrics(data.labels, model.predict(x)).values()
    used = latent_figures(model, Batches(data).in_order(10_000), torch.device("cpu"))
    return [history[-1]["bound"], *scores, used["effective_components"], seconds]


def table(data: Data, seeds: int, rates: list[float], **settings: Any) -> None:
    """Print the means over seeds, a row an update."""
    updates: dict[str, dict[str, Any]] = {"gradient": {"prior_update": "gradient"}}
    updates |= {f"em, {rate:g}": {"prior_update": "em", "prior_lr": rate} for rate in rates}
    print(f"\n{data.name}, {seeds} seed(s)\n")
    print("| update, lr | bound, nats | accuracy | NMI | ARI | components | seconds |")
    print("|---|---|---|---|---|---|---|")
    for name, update in updates.items():
        rows = [trained(data, seed, **settings, **update) for seed in range(seeds)]
        bound, *scores, used, seconds = (statistics.mean(c) for c in zip(*rows, strict=True))
        cells = " | ".join(f"{score:.3f}" for score in scores)
        print(f"| {name} | {bound:.2f} | {cells} | {used:.1f} | {seconds:.0f} |", flush=True)


@app.command()
def main(
    mnist: Annotated[
        str | None,
        typer.Option(metavar="FOLDER", help="MNIST's IDX files; digits alone if left out."),
    ] = None,
    rate: Annotated[
        list[float] | None,
        typer.Option(
            min=1e-6, max=1.0, help="Of stepwise EM, repeatable; 0.1, 0.02 and 0.005 if left out."
        ),
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Models a row, on digits.")] = 3,
    mnist_seeds: Annotated[int, typer.Option(min=1, help="Models a row, on MNIST.")] = 1,
    threads: Annotated[int, typer.Option(min=1, help="Of torch.")] = 1,
) -> None:
    """Train with the mixture moved by gradients and by stepwise EM, and print Markdown tables.

    Labels are used for the score alone.
    """
    torch.set_num_threads(threads)
    rates = rate or [0.1, 0.02, 0.005]
    others = None if mnist is None else load(mnist)
    table(digits(), seeds, rates)
    if others is not None:
        table(others, mnist_seeds, rates, **MNIST)


if __name__ == "__main__":
    manners.main(app, "python -m benchmarks.studies.prior_updates")
