# SPDX-License-Identifier: MIT
"""The default recipe on scikit-learn's digits, a row a seed."""

from __future__ import annotations

import statistics
import time
from typing import Annotated

import torch
import typer

from pyvae.cli import manners
from pyvae.data import digits
from pyvae.models import GMVAE
from pyvae.training import Trainer
from pyvae.training.metrics import clustering_metrics

app = manners.application()


@app.command()
def main(
    first: Annotated[int, typer.Option(min=0, help="Seed of the first row.")] = 0,
    last: Annotated[int, typer.Option(min=0, help="And of the last.")] = 4,
    components: Annotated[int, typer.Option(min=1, help="Of the mixture.")] = 10,
    latent_dim: Annotated[int, typer.Option(min=1, help="Dimensions of the latent space.")] = 10,
    initialization: Annotated[
        str, typer.Option(help="Start of the mixture, as `pyvae train --initialization`.")
    ] = "auto",
    threads: Annotated[
        int, typer.Option(min=1, help="Of torch; the matrices are too small for a second to pay.")
    ] = 1,
) -> None:
    """Train the default recipe on scikit-learn's digits, and print a Markdown table, a row a seed.

    Labels are used for the score alone.
    """
    if first > last:
        raise typer.BadParameter(f"--first {first} comes after --last {last}")
    torch.set_num_threads(threads)
    data = digits()
    assert data.labels is not None
    print("| seed | accuracy | NMI | ARI | bound, nats | seconds |\n|---|---|---|---|---|---|")
    scores = []
    for seed in range(first, last + 1):
        torch.manual_seed(seed)
        model = GMVAE(data.x.shape[1], latent_dim, num_components=components)
        started = time.perf_counter()
        trainer = Trainer(seed=seed, progress="silent", initialization=initialization)
        history = trainer.fit(model, data)
        seconds = time.perf_counter() - started
        scores.append(list(clustering_metrics(data.labels, model.predict(data.x)).values()))
        cells = " | ".join(f"{score:.3f}" for score in scores[-1])
        print(f"| {seed} | {cells} | {history[-1]['bound']:.2f} | {seconds:.0f} |", flush=True)
    means = " | ".join(f"{statistics.mean(column):.3f}" for column in zip(*scores, strict=True))
    print(f"| mean | {means} | | |")


if __name__ == "__main__":
    manners.main(app, "python -m benchmarks.studies.digits_seeds")
