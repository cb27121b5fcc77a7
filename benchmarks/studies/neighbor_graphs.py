# SPDX-License-Identifier: MIT
"""Clusters of the digits by their neighbours' graph, by number of neighbours and seed."""

from __future__ import annotations

import statistics
import time
from typing import Annotated, Any

import torch
import typer

from benchmarks.studies.views import from_there, images
from pyvae.cli import manners
from pyvae.clustering import NeighborGraphClustering
from pyvae.data import Data, digits
from pyvae.errors import WrongValue
from pyvae.training.metrics import clustering_metrics

app = manners.application()
BY_DEFAULT = [5, 8, 10, 15]


@app.command()
def main(
    neighbors: Annotated[list[int], typer.Option(min=1, help="Of an example.")] = BY_DEFAULT,
    first: Annotated[int, typer.Option(min=0, help="Of the seeds.")] = 0,
    last: Annotated[int, typer.Option(min=0, help="Of the seeds.")] = 9,
    epochs: Annotated[
        int, typer.Option(min=0, help="Of a GM-VAE; 0 trains none, nor a network.")
    ] = 100,
    batch_size: Annotated[int, typer.Option(min=1, help="Of the GM-VAE.")] = 128,
    threads: Annotated[int, typer.Option(min=1, help="Of torch.")] = 2,
) -> None:
    """Cluster scikit-learn's digits, and print a Markdown table, a row a seed.

    Labels are used for the scores alone.
    """
    if first > last:
        raise WrongValue(f"--first {first} comes after --last {last}")
    torch.set_num_threads(threads)
    data = digits()
    x = images(data)
    steps: dict[str, Any] = {} if epochs else {"n_steps": 0, "n_refining_steps": 0}
    print("| neighbours | seed | information, nats | accuracy of the graph ", end="")
    print("| of the network | of the GM-VAE | its bound, nats " if epochs else "", end="")
    print(f"| seconds |\n{'|---' * (8 if epochs else 5)}|")
    for count in neighbors:
        rows: list[list[float]] = []
        for seed in range(first, last + 1):
            began = time.perf_counter()
            found = NeighborGraphClustering(
                10, n_neighbors=count, random_state=seed, **steps
            ).fit(x)  # fmt: skip
            row = [_accuracy(data, found.graph_labels_)]
            if epochs:
                bound, accuracy = from_there(data, found, seed, epochs, batch_size)
                row += [_accuracy(data, found.labels_), accuracy, bound]
            cells = [f"{value:.4f}" for value in [found.information_, *row]]
            seconds = f"{time.perf_counter() - began:.0f}"
            print(f"| {count} | {seed} | {' | '.join(cells)} | {seconds} |", flush=True)
            rows.append(row)
        for name, of in (("mean", statistics.mean), ("worst", min)):
            cells = [f"{of(column):.4f}" for column in zip(*rows, strict=True)]
            print(f"| {count} | **{name}** | | {' | '.join(cells)} | |", flush=True)


def _accuracy(data: Data, clusters: Any) -> float:
    assert data.labels is not None
    return clustering_metrics(data.labels, torch.as_tensor(clusters))["clustering_accuracy"]


if __name__ == "__main__":
    manners.main(app, "python -m benchmarks.studies.neighbor_graphs")
