# SPDX-License-Identifier: MIT
"""Clusters of small tables by their neighbours' graph, beside other ways to find them."""

from __future__ import annotations

import statistics
import warnings
from collections.abc import Callable
from typing import Annotated, Any

import numpy as np
import torch
import typer
from sklearn import datasets
from sklearn.cluster import KMeans
from sklearn.mixture import GaussianMixture
from sklearn.preprocessing import StandardScaler

from pyvae.cli import manners
from pyvae.clustering import NeighborGraphClustering
from pyvae.errors import WrongValue
from pyvae.training.metrics import clustering_metrics

app = manners.application()
Way = Callable[[int, int], Any]  # of the number of clusters and a seed
NEIGHBORS = (5, 8, 10, 15)
STARTS: Any = 10
LONG = 16  # steps of a walk


def by_graph(n_neighbors: int, walk_length: int = 1) -> Way:
    """Give the estimator with so many neighbours."""
    return lambda k, seed: NeighborGraphClustering(
        k, n_neighbors=n_neighbors, walk_length=walk_length, random_state=seed
    )


WAYS: dict[str, Way] = {
    "k-means": lambda k, seed: KMeans(k, n_init=STARTS, random_state=seed),
    "Gaussian mixture": lambda k, seed: GaussianMixture(k, n_init=STARTS, random_state=seed),
    **{f"graph, {count}": by_graph(count) for count in NEIGHBORS},
    f"graph, 10, walk of {LONG}": by_graph(10, LONG),
}


def tables() -> dict[str, Any]:
    """Give examples and their labels."""
    blobs: Any = datasets.make_blobs  # whose sizes may be a list, other than its stubs say
    stretched, of_stretched = blobs(500, random_state=170)
    sizes = [300, 100, 60, 40]
    return {
        "wine": datasets.load_wine(return_X_y=True),
        "iris": datasets.load_iris(return_X_y=True),
        "breast cancer": datasets.load_breast_cancer(return_X_y=True),
        "round blobs": blobs(500, 4, centers=5, cluster_std=1.5, random_state=1),
        "stretched blobs": (stretched @ [[0.6, -0.6], [-0.4, 0.8]], of_stretched),
        "blobs of unlike sizes": blobs(sizes, 4, cluster_std=1.5, random_state=3),
        "moons": datasets.make_moons(500, noise=0.1, random_state=0),
        "circles": datasets.make_circles(500, noise=0.05, factor=0.5, random_state=0),
    }


@app.command()
def main(
    first: Annotated[int, typer.Option(min=0, help="Of the seeds.")] = 0,
    last: Annotated[int, typer.Option(min=0, help="Of the seeds.")] = 2,
    threads: Annotated[int, typer.Option(min=1, help="Of torch.")] = 2,
) -> None:
    """Cluster standardised tables, and print a Markdown table of mean accuracies over seeds.

    Labels are used for the scores alone.
    """
    if first > last:
        raise WrongValue(f"--first {first} comes after --last {last}")
    torch.set_num_threads(threads)
    print(f"| | N, D, K | {' | '.join(WAYS)} |\n{'|---' * (len(WAYS) + 2)}|")
    for name, (given, labels) in tables().items():
        x, k = StandardScaler().fit_transform(given), len(np.unique(labels))
        cells = [name, f"{x.shape[0]}, {x.shape[1]}, {k}"]
        for way in WAYS.values():
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of a graph in parts
                found = [way(k, seed).fit_predict(x) for seed in range(first, last + 1)]
            cells.append(f"{statistics.mean(_accuracy(labels, each) for each in found):.3f}")
        print(f"| {' | '.join(cells)} |", flush=True)


def _accuracy(labels: np.ndarray, clusters: np.ndarray) -> float:
    scores = clustering_metrics(torch.from_numpy(labels), torch.from_numpy(clusters))
    return scores["clustering_accuracy"]


if __name__ == "__main__":
    manners.main(app, "python -m benchmarks.studies.small_tables")
