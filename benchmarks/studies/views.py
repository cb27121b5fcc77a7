# SPDX-License-Identifier: MIT
"""Clusters by the information that views share, run by run, and a GM-VAE from the one kept."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
import torch
import typer

from pyvae.cli import manners
from pyvae.clustering import InvariantClustering
from pyvae.clustering.agreement import central, compared
from pyvae.data import Data, load
from pyvae.errors import WrongValue
from pyvae.models import GMVAE
from pyvae.training import Trainer, evaluate
from pyvae.training.metrics import clustering_metrics

app = manners.application()
LATENT = 10  # as `pyvae train` has it
OF_CLUSTERS = (
    "seed", "what", "I(K; K'), nats", "agreement", "accuracy", "NMI", "ARI", "seconds"
)  # fmt: skip
OF_MODEL = ("bound, training", "bound, test", "log p(x), test", "components in use")


class Run(NamedTuple):
    """What a run of a seed found: its clusters, and the cells of their scores."""

    clustering: InvariantClustering
    accuracy: float
    cells: list[str]


class Found(NamedTuple):
    """Of a seed: accuracies of the run kept, of the best by labels, and of the GM-VAE."""

    kept: float
    best: float
    model: float | None


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


def run(data: list[Data], clusters: int, seed: int, number: int) -> Run:
    """Find clusters in the first part by run ``number``, from 0, of a fit with this seed."""
    random = np.random.RandomState(seed)
    random.randint(2**31 - 1, size=number)  # the seeds of the runs before it
    began = time.perf_counter()
    found = InvariantClustering(clusters, n_init=1, random_state=random).fit(images(data[0]))
    seconds = time.perf_counter() - began
    of_clusters = scores(found.predict, data, flat=False)
    cells = [*(f"{score:.4f}" for score in of_clusters), f"{seconds:.0f}"]
    return Run(found, of_clusters[0], cells)


def which(runs: list[Run]) -> tuple[int, list[float | None]]:
    """Give the number of the run that a fit would have kept, and the runs' agreement."""
    found = [each.clustering for each in runs]
    labels = [np.asarray(each.labels_) for each in found]
    some = compared(len(labels[0]))
    return central([each.restarts_[0] for each in found], lambda i: labels[i][some])


def model_from(
    found: InvariantClustering, data: list[Data], seed: int, settings: Any
) -> tuple[float, list[str]]:
    """Train a GM-VAE from a run's clusters; gives its accuracy, and its row of the table."""
    torch.manual_seed(seed)
    model = GMVAE(data[0].num_features, LATENT, num_components=found.n_clusters)
    began = time.perf_counter()
    Trainer(seed=seed, progress="silent", initialization=found, **settings).fit(model, data[0])
    seconds = time.perf_counter() - began
    of_model = scores(model.predict, data, flat=True)
    figures = [evaluate(model, part, compare=False, seed=seed) for part in data]
    last = figures[-1] if len(data) > 1 else dict.fromkeys(figures[0], float("nan"))
    return of_model[0], [
        str(seed), "GM-VAE", "", "", *(f"{score:.4f}" for score in of_model),
        f"{seconds:.0f}", f"{figures[0]['bound']:.2f}", f"{last['bound']:.2f}",
        f"{last['log_likelihood']:.2f}", f"{figures[0]['effective_components']:.2f}",
    ]  # fmt: skip


def summary(found: list[Found]) -> str:
    """Say what the seeds give together, and what keeping a run without labels loses."""
    lines = []
    of_models = [f.model for f in found if f.model is not None]
    for name, values in {"clusters": [f.kept for f in found], "GM-VAE": of_models}.items():
        if not values:
            continue
        spread = statistics.stdev(values) if len(values) > 1 else 0.0
        lines.append(
            f"{name}: accuracy, mean {statistics.mean(values):.4f}, worst {min(values):.4f}, "
            f"standard deviation {spread:.4f}"
        )
    lost = max(each.best - each.kept for each in found)
    lines.append(f"the run that is kept is below the best of its seed by {lost:.4f} at most")
    return "\n".join(lines)


@app.command()
def main(
    data: Annotated[str, typer.Argument(help="Images with labels, as `pyvae train --data`.")],
    clusters: Annotated[int, typer.Option(min=2, help="Asked for.")] = 10,
    first: Annotated[int, typer.Option(min=0, help="Of the seeds.")] = 0,
    last: Annotated[int, typer.Option(min=0, help="Of the seeds.")] = 2,
    restarts: Annotated[int, typer.Option(min=1, help="Runs a seed; one is kept.")] = 3,
    epochs: Annotated[
        int | None,
        typer.Option(min=0, help="Of the GM-VAE; the trainer's if left out; 0 trains none."),
    ] = None,
    threads: Annotated[int, typer.Option(min=1, help="Of torch.")] = 2,
    output: Annotated[
        Path | None, typer.Option(help="A file that the table goes to as well, row by row.")
    ] = None,
) -> None:
    """Fit with the defaults, and print a Markdown table: a row a run, and one of the GM-VAE.

    Labels are used for the scores alone, not for which run is kept.
    Scores are of all examples, of both parts where the data have one for tests; that part is not
    trained on.
    """
    if first > last:
        raise WrongValue(f"--first {first} comes after --last {last}")
    torch.set_num_threads(threads)
    given = parts(data)
    columns = OF_CLUSTERS if epochs == 0 else OF_CLUSTERS + OF_MODEL

    def tell(cells: Sequence[str]) -> None:
        line = f"| {' | '.join([*cells, *[''] * (len(columns) - len(cells))])} |"
        print(line, flush=True)
        if output is not None:
            with output.open("a") as file:
                file.write(line + "\n")

    tell(columns)
    tell(["---"] * len(columns))
    settings = {} if epochs is None else {"epochs": epochs}
    found = []
    for seed in range(first, last + 1):
        runs = [run(given, clusters, seed, number) for number in range(restarts)]
        number, agreements = which(runs)
        for i, (each, agreement) in enumerate(zip(runs, agreements, strict=True)):
            nats = f"{each.clustering.information_:.4f}"
            agreed = "" if agreement is None else f"{agreement:.3f}"
            tell([str(seed), f"run {i + 1}{', kept' * (i == number)}", nats, agreed, *each.cells])
        kept = runs[number]
        accuracy = None
        if epochs != 0:
            accuracy, cells = model_from(kept.clustering, given, seed, settings)
            tell(cells)
        found.append(Found(kept.accuracy, max(each.accuracy for each in runs), accuracy))
    print("\n" + summary(found))


if __name__ == "__main__":
    manners.main(app, "python -m benchmarks.studies.views")
