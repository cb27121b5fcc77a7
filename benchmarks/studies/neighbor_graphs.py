# SPDX-License-Identifier: MIT
"""Clusters of few images by their neighbours' graph, by number of neighbours and seed."""

from __future__ import annotations

import statistics
import time
from dataclasses import replace
from typing import Annotated, Any

import numpy as np
import torch
import typer

from benchmarks.studies.views import LATENT, images
from pyvae.cli import manners
from pyvae.clustering import NeighborGraphClustering
from pyvae.data import Data, load
from pyvae.errors import WrongValue
from pyvae.models import GMVAE
from pyvae.training import Trainer
from pyvae.training.metrics import clustering_metrics

app = manners.application()
BY_DEFAULT = [5, 8, 10, 15]


@app.command()
def main(
    data: Annotated[
        str, typer.Argument(help="Images with labels, as `pyvae train --data`.")
    ] = "digits",
    examples: Annotated[int, typer.Option(min=0, help="Drawn by the seed; 0 are all.")] = 0,
    neighbors: Annotated[list[int], typer.Option(min=1, help="Of an example.")] = BY_DEFAULT,
    first: Annotated[int, typer.Option(min=0, help="Of the seeds.")] = 0,
    last: Annotated[int, typer.Option(min=0, help="Of the seeds.")] = 9,
    epochs: Annotated[
        int, typer.Option(min=0, help="Of a GM-VAE; 0 trains none, nor a network.")
    ] = 100,
    threads: Annotated[int, typer.Option(min=1, help="Of torch.")] = 2,
) -> None:
    """Cluster images of ten kinds, and print a Markdown table, a row a seed.

    Labels are used for the scores alone.
    """
    if first > last:
        raise WrongValue(f"--first {first} comes after --last {last}")
    torch.set_num_threads(threads)
    given = load(data)
    if given.labels is None:
        raise WrongValue(f"{data} has no labels to score by")
    steps: dict[str, Any] = {} if epochs else {"n_steps": 0, "n_refining_steps": 0}
    print("| neighbours | seed | information, nats | accuracy of the graph ", end="")
    print("| of the network | of the GM-VAE | its bound, nats " if epochs else "", end="")
    print(f"| seconds |\n{'|---' * (8 if epochs else 5)}|")
    for count in neighbors:
        rows: list[list[float]] = []
        for seed in range(first, last + 1):
            drawn = _drawn(given, examples, seed) if examples else given
            began = time.perf_counter()
            found = NeighborGraphClustering(
                10, n_neighbors=count, random_state=seed, **steps
            ).fit(images(drawn))  # fmt: skip
            row = [_accuracy(drawn, found.graph_labels_)]
            if epochs:
                torch.manual_seed(seed)
                model = GMVAE(drawn.num_features, LATENT, num_components=10)
                trainer = Trainer(seed=seed, progress="silent", initialization=found, epochs=epochs)
                bound = trainer.fit(model, drawn)[-1]["bound"]
                clusters = model.predict(drawn.rows(slice(0, len(drawn))))
                row += [_accuracy(drawn, found.labels_), _accuracy(drawn, clusters), bound]
            cells = [f"{value:.4f}" for value in [found.information_, *row]]
            seconds = f"{time.perf_counter() - began:.0f}"
            print(f"| {count} | {seed} | {' | '.join(cells)} | {seconds} |", flush=True)
            rows.append(row)
        for name, of in (("mean", statistics.mean), ("worst", min)):
            cells = [f"{of(column):.4f}" for column in zip(*rows, strict=True)]
            print(f"| {count} | **{name}** | | {' | '.join(cells)} | |", flush=True)


def _drawn(data: Data, count: int, seed: int) -> Data:
    if count > len(data):
        raise WrongValue(f"--examples {count} are more than the {len(data)} of {data.name}")
    assert data.labels is not None
    chosen = np.random.RandomState(seed).permutation(len(data))[:count]
    return replace(data, stored=data.stored[chosen], labels=data.labels[torch.from_numpy(chosen)])


def _accuracy(data: Data, clusters: Any) -> float:
    assert data.labels is not None
    return clustering_metrics(data.labels, torch.as_tensor(clusters))["clustering_accuracy"]


if __name__ == "__main__":
    manners.main(app, "python -m benchmarks.studies.neighbor_graphs")
