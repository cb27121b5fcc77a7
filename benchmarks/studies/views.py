# SPDX-License-Identifier: MIT
"""Clusters by the information that views share, and a GM-VAE from there, by seed."""

from __future__ import annotations

import math
import statistics
import time
from typing import Annotated

import numpy as np
import torch
import typer

from pyvae.cli import manners
from pyvae.clustering import InvariantClustering, NeighborGraphClustering
from pyvae.data import Data, load
from pyvae.errors import WrongValue
from pyvae.models import GMVAE, AnchoredEncoder
from pyvae.training import Trainer
from pyvae.training.metrics import clustering_metrics

app = manners.application()
LATENT = 10
PLAIN = {"pretrain_epochs": 0, "warmup_epochs": 0, "initialization": "none"}


def images(data: Data) -> np.ndarray:
    """Give square images ``(N, S, S)`` of rows of their pixels."""
    x = np.asarray(data.rows(slice(0, len(data))))
    side = math.isqrt(x[0].size)
    if side**2 != x[0].size:
        raise WrongValue(f"rows of {x[0].size} numbers are no square images")
    return x.reshape(-1, side, side)


def from_there(
    data: Data,
    found: InvariantClustering | NeighborGraphClustering,
    seed: int,
    epochs: int,
    batch_size: int = 256,
) -> list[float]:
    """Train a GM-VAE that begins at the clusters; return its bound, in nats, and its accuracy."""
    torch.manual_seed(seed)
    k = found.n_clusters
    encoder = AnchoredEncoder(found.classifier_, data.num_features, k, LATENT)
    model = GMVAE(data.num_features, LATENT, num_components=k, encoder=encoder)
    model.set_mixture(None, encoder.anchors.detach(), torch.zeros_like(model.component_logvars))
    trainer = Trainer(seed=seed, progress="silent", epochs=epochs, batch_size=batch_size, **PLAIN)
    history = trainer.fit(model, data)
    assert data.labels is not None
    clusters = model.predict(data.rows(slice(0, len(data))))
    accuracy = clustering_metrics(data.labels, clusters)["clustering_accuracy"]
    return [history[-1]["bound"], accuracy]


@app.command()
def main(
    data: Annotated[str, typer.Argument(help="Images with labels, as `pyvae train --data`.")],
    clusters: Annotated[int, typer.Option(min=2, help="Asked for.")] = 10,
    first: Annotated[int, typer.Option(min=0, help="Of the seeds.")] = 0,
    last: Annotated[int, typer.Option(min=0, help="Of the seeds.")] = 2,
    restarts: Annotated[int, typer.Option(min=1, help="Runs a seed, all of them shown.")] = 1,
    epochs: Annotated[int, typer.Option(min=0, help="Of a GM-VAE; 0 trains none.")] = 40,
    threads: Annotated[int, typer.Option(min=1, help="Of torch.")] = 2,
) -> None:
    """Fit with the estimator's defaults, and print a Markdown table, a row a seed.

    Labels are used for the scores alone.
    """
    if first > last:
        raise WrongValue(f"--first {first} comes after --last {last}")
    torch.set_num_threads(threads)
    given = load(data)
    if given.labels is None:
        raise WrongValue(f"{data} has no labels to score by")
    x, accuracies = images(given), []
    print("| seed | of every run: information, nats | accuracy, NMI, ARI | seconds ", end="")
    print("| GM-VAE: bound, nats; accuracy | seconds |\n|---|---|---|---|---|---|")
    for seed in range(first, last + 1):
        began = time.perf_counter()
        found = InvariantClustering(clusters, n_init=restarts, random_state=seed).fit(x)
        clustered = time.perf_counter()
        scores = list(clustering_metrics(given.labels, torch.as_tensor(found.labels_)).values())
        accuracies.append(scores[0])
        every = ", ".join(f"{each.information:.4f}" for each in found.restarts_)
        bound, accuracy = from_there(given, found, seed, epochs) if epochs else [math.nan] * 2
        cells = [
            str(seed), every, ", ".join(f"{score:.4f}" for score in scores),
            f"{clustered - began:.0f}", f"{bound:.2f}; {accuracy:.4f}",
            f"{time.perf_counter() - clustered:.0f}",
        ]  # fmt: skip
        print(f"| {' | '.join(cells)} |", flush=True)
    spread = statistics.stdev(accuracies) if len(accuracies) > 1 else math.nan
    print(
        f"\naccuracy: mean {statistics.mean(accuracies):.4f}, worst {min(accuracies):.4f}, ", end=""
    )
    print(f"standard deviation {spread:.4f}")


if __name__ == "__main__":
    manners.main(app, "python -m benchmarks.studies.views")
