# SPDX-License-Identifier: MIT
"""Clusters by the information that views share, by seed: what labels say of them afterwards."""

from __future__ import annotations

import math
import statistics
import time
from typing import Annotated

import numpy as np
import torch
import typer

from pyvae.cli import manners
from pyvae.clustering import InvariantClustering
from pyvae.data import Data, load
from pyvae.errors import WrongValue
from pyvae.training.metrics import clustering_metrics

app = manners.application()


def images(data: Data) -> np.ndarray:
    """Give square images ``(N, S, S)`` of rows of their pixels."""
    x = np.asarray(data.rows(slice(0, len(data))))
    side = math.isqrt(x[0].size)
    if side**2 != x[0].size:
        raise WrongValue(f"rows of {x[0].size} numbers are no square images")
    return x.reshape(-1, side, side)


@app.command()
def main(
    data: Annotated[str, typer.Argument(help="Images with labels, as `pyvae train --data`.")],
    clusters: Annotated[int, typer.Option(min=2, help="Asked for.")] = 10,
    first: Annotated[int, typer.Option(min=0, help="Of the seeds.")] = 0,
    last: Annotated[int, typer.Option(min=0, help="Of the seeds.")] = 2,
    restarts: Annotated[int, typer.Option(min=1, help="Runs a seed, all of them shown.")] = 1,
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
    print("| seed | information, nats | of every run | accuracy | NMI | ARI | seconds |")
    print("|---|---|---|---|---|---|---|")
    for seed in range(first, last + 1):
        started = time.perf_counter()
        found = InvariantClustering(clusters, n_init=restarts, random_state=seed).fit(x)
        seconds = time.perf_counter() - started
        scores = list(clustering_metrics(given.labels, torch.as_tensor(found.labels_)).values())
        accuracies.append(scores[0])
        every = ", ".join(f"{each.information:.4f}" for each in found.restarts_)
        cells = " | ".join(f"{score:.4f}" for score in scores)
        print(
            f"| {seed} | {found.information_:.4f} | {every} | {cells} | {seconds:.0f} |", flush=True
        )
    spread = statistics.stdev(accuracies) if len(accuracies) > 1 else math.nan
    print(
        f"\naccuracy: mean {statistics.mean(accuracies):.4f}, worst {min(accuracies):.4f}, ", end=""
    )
    print(f"standard deviation {spread:.4f}")


if __name__ == "__main__":
    manners.main(app, "python -m benchmarks.studies.views")
