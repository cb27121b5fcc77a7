# SPDX-License-Identifier: MIT
"""Clusters by the information that views share, and a GM-VAE from there, by seed."""

from __future__ import annotations

import statistics
import time
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
import torch
import typer

from pyvae.cli import manners
from pyvae.clustering import InvariantClustering
from pyvae.data import Data, load
from pyvae.errors import WrongValue
from pyvae.models import GMVAE
from pyvae.training import Trainer, evaluate
from pyvae.training.metrics import clustering_metrics

app = manners.application()
LATENT = 10  # as `pyvae train` has it
COLUMNS = (
    "seed", "I(K; K'), nats", "accuracy", "NMI", "ARI", "seconds", "GM-VAE: accuracy",
    "bound, training", "bound, test", "log p(x), test", "components in use", "seconds",
)  # fmt: skip
_OF_CLUSTERS = 6  # of these columns


class Found(NamedTuple):
    """What a seed gave: of its clusters, and of the GM-VAE from there."""

    information: float
    accuracy: float
    model_accuracy: float | None
    cells: tuple[str, ...]


def parts(source: str) -> list[Data]:
    """Load the data to be trained on, and behind them a part for tests where there is one."""
    train = load(source)
    try:
        found = [train, load(source, split="test")]
    except (WrongValue, FileNotFoundError):
        found = [train]
    if any(part.labels is None for part in found):
        raise WrongValue(f"{source} has no labels to score by")
    if train.image_shape is None:
        raise WrongValue(f"{source} holds no images")
    return found


def images(data: Data) -> np.ndarray:
    """Give the examples as images ``(N, ...)``."""
    assert data.image_shape is not None
    return np.asarray(data.rows(slice(0, len(data)))).reshape(-1, *data.image_shape)


def scores(predict: Any, data: list[Data], *, flat: bool) -> list[float]:
    """Score the clusters of all parts together: accuracy, NMI and ARI."""
    clusters = [
        torch.as_tensor(predict(part.rows(slice(0, len(part))) if flat else images(part)))
        for part in data
    ]
    labels = [part.labels for part in data if part.labels is not None]
    return list(clustering_metrics(torch.cat(labels), torch.cat(clusters)).values())


def one(data: list[Data], clusters: int, seed: int, restarts: int, settings: Any) -> Found:
    """Find clusters in the first part by the defaults, train a GM-VAE from there, score both."""
    began = time.perf_counter()
    found = InvariantClustering(clusters, n_init=restarts, random_state=seed).fit(images(data[0]))
    clustered = time.perf_counter()
    of_clusters = scores(found.predict, data, flat=False)
    cells = (
        str(seed), f"{found.information_:.4f}", *(f"{score:.4f}" for score in of_clusters),
        f"{clustered - began:.0f}",
    )  # fmt: skip
    if settings.get("epochs") == 0:
        return Found(found.information_, of_clusters[0], None, cells)
    torch.manual_seed(seed)
    model = GMVAE(data[0].num_features, LATENT, num_components=clusters)
    start = time.perf_counter()
    Trainer(seed=seed, progress="silent", initialization=found, **settings).fit(model, data[0])
    trained = time.perf_counter()
    of_model = scores(model.predict, data, flat=True)
    figures = [evaluate(model, part, compare=False, seed=seed) for part in data]
    last = figures[-1] if len(data) > 1 else dict.fromkeys(figures[0], float("nan"))
    cells += (
        f"{of_model[0]:.4f}", f"{figures[0]['bound']:.2f}", f"{last['bound']:.2f}",
        f"{last['log_likelihood']:.2f}", f"{figures[0]['effective_components']:.2f}",
        f"{trained - start:.0f}",
    )  # fmt: skip
    return Found(found.information_, of_clusters[0], of_model[0], cells)


def summary(found: list[Found]) -> str:
    """Say what the seeds give together, and what keeping the best of three by information loses."""
    lines = []
    of_models = [f.model_accuracy for f in found if f.model_accuracy is not None]
    for name, values in {"clusters": [f.accuracy for f in found], "GM-VAE": of_models}.items():
        if not values:
            continue
        spread = statistics.stdev(values) if len(values) > 1 else 0.0
        lines.append(
            f"{name}: accuracy, mean {statistics.mean(values):.4f}, worst {min(values):.4f}, "
            f"standard deviation {spread:.4f}"
        )
    threes = [found[i : i + 3] for i in range(0, len(found) - 2, 3)]
    if threes:
        lost = [
            max(each.accuracy for each in three) - max(three, key=lambda f: f.information).accuracy
            for three in threes
        ]
        lines.append(
            f"of three in a row, the one of highest I(K; K') is below the best by "
            f"{max(lost):.4f} at most"
        )
    return "\n".join(lines)


@app.command()
def main(
    data: Annotated[str, typer.Argument(help="Images with labels, as `pyvae train --data`.")],
    clusters: Annotated[int, typer.Option(min=2, help="Asked for.")] = 10,
    first: Annotated[int, typer.Option(min=0, help="Of the seeds.")] = 0,
    last: Annotated[int, typer.Option(min=0, help="Of the seeds.")] = 2,
    restarts: Annotated[int, typer.Option(min=1, help="Runs a seed; one is kept.")] = 1,
    epochs: Annotated[
        int | None,
        typer.Option(min=0, help="Of the GM-VAE; the trainer's if left out; 0 trains none."),
    ] = None,
    threads: Annotated[int, typer.Option(min=1, help="Of torch.")] = 2,
    output: Annotated[
        Path | None, typer.Option(help="A file that the table goes to as well, row by row.")
    ] = None,
) -> None:
    """Fit with the defaults, and print a Markdown table, a row a seed.

    Labels are used for the scores alone. Scores are of all examples, of both parts where the data
    have one for tests; that part is not trained on.
    """
    if first > last:
        raise WrongValue(f"--first {first} comes after --last {last}")
    torch.set_num_threads(threads)
    given = parts(data)

    def tell(line: str) -> None:
        print(line, flush=True)
        if output is not None:
            with output.open("a") as file:
                file.write(line + "\n")

    columns = COLUMNS[:_OF_CLUSTERS] if epochs == 0 else COLUMNS
    tell(f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}")
    settings = {} if epochs is None else {"epochs": epochs}
    found = []
    for seed in range(first, last + 1):
        found.append(one(given, clusters, seed, restarts, settings))
        tell(f"| {' | '.join(found[-1].cells)} |")
    tell("\n" + summary(found))


if __name__ == "__main__":
    manners.main(app, "python -m benchmarks.studies.views")
