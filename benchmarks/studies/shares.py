# SPDX-License-Identifier: MIT
"""Clusters of unequal size: what is found as half of the classes become rarer."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Annotated, Any

import numpy as np
import torch
import typer

from benchmarks.studies.views import images
from pyvae.cli import manners
from pyvae.clustering import InvariantClustering, NeighborGraphClustering
from pyvae.data import Data, load
from pyvae.errors import WrongValue
from pyvae.training.metrics import clustering_metrics

app = manners.application()
RATIOS = [1.0, 2.0, 5.0, 10.0]


def thinned(data: Data, labels: np.ndarray, ratio: float, seed: int) -> tuple[Data, np.ndarray]:
    """Keep all of half of the classes and one in ``ratio`` of the rest; the seed draws which.

    Classes are cut to the size of the smallest before.
    """
    random = np.random.RandomState(seed)
    classes, counts = np.unique(labels, return_counts=True)
    kept = []
    for i, label in enumerate(random.permutation(classes)):
        size = counts.min() if i < len(classes) / 2 else max(1, round(counts.min() / ratio))
        kept.append(random.permutation(np.flatnonzero(labels == label))[:size])
    chosen = np.sort(np.concatenate(kept))
    return replace(data, stored=data.stored[chosen], labels=None), labels[chosen]


def found_classes(labels: np.ndarray, clusters: np.ndarray) -> int:
    """Count the classes that are the most frequent one of some cluster."""
    return len({int(np.bincount(labels[clusters == k]).argmax()) for k in np.unique(clusters)})


@app.command()
def main(
    data: Annotated[str, typer.Argument(help="Images with labels, as `pyvae train --data`.")],
    ratios: Annotated[
        list[float], typer.Option("--ratio", min=1.0, help="Of sizes; may be repeated.")
    ] = RATIOS,
    balances: Annotated[
        list[float] | None,
        typer.Option("--balance", min=0.0, help="Beside the default; may be repeated."),
    ] = None,
    walks: Annotated[
        list[int] | None,
        typer.Option(
            "--walk", min=1, help="NeighborGraphClustering by walks so long; may be repeated."
        ),
    ] = None,
    runs: Annotated[int, typer.Option(min=1, help="Of InvariantClustering; one is kept.")] = 1,
    first: Annotated[int, typer.Option(min=0, help="Of the seeds.")] = 0,
    last: Annotated[int, typer.Option(min=0, help="Of the seeds.")] = 0,
    threads: Annotated[int, typer.Option(min=1, help="Of torch.")] = 2,
) -> None:
    """Cluster images of which half of the classes are rare, and print a Markdown table.

    By InvariantClustering, unless --walk is given. Labels are used for what is left out and for
    the scores.
    """
    if first > last:
        raise WrongValue(f"--first {first} comes after --last {last}")
    torch.set_num_threads(threads)
    given = load(data)
    if given.labels is None or bool((given.labels < 0).any()):
        raise WrongValue(f"{data} has no labels to score by, or not of all examples")
    if given.image_shape is None:
        raise WrongValue(f"{data} holds no images")
    labels = given.labels.numpy()
    count = len(np.unique(labels))
    print(
        "| | shares | seed | examples | I(K; K'), nats | accuracy | NMI | classes found | seconds |"
    )
    print(f"{'|---' * 9}|")
    for seed in range(first, last + 1):
        ways: dict[str, Any] = {}
        settings: dict[str, dict[str, Any]] = {"default": {}}
        settings |= {f"balance {b:g}": {"balance": b} for b in balances or []}
        for name, own in settings.items():
            for steps in walks or []:
                ways[f"walk {steps}, {name}"] = NeighborGraphClustering(
                    count, walk_length=steps, random_state=seed, **own
                )
            if not walks:
                ways[name] = InvariantClustering(count, n_init=runs, random_state=seed, **own)
        for ratio in ratios:
            part, kinds = thinned(given, labels, ratio, seed)
            for name, way in ways.items():
                began = time.perf_counter()
                clusters = way.fit(images(part)).labels_
                seconds = time.perf_counter() - began
                scores = clustering_metrics(torch.as_tensor(kinds), torch.as_tensor(clusters))
                accuracy, shared, _ = scores.values()
                found = found_classes(kinds, clusters)
                print(
                    f"| {name} | 1:{ratio:g} | {seed} | {len(kinds):,} | {way.information_:.4f} "
                    f"| {accuracy:.4f} | {shared:.4f} | {found} of {count} "
                    f"| {seconds:.0f} |",
                    flush=True,
                )


if __name__ == "__main__":
    manners.main(app, "python -m benchmarks.studies.shares")
