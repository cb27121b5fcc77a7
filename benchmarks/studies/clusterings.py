# SPDX-License-Identifier: MIT
"""What else clusters images, by seed: pixels, codes, and a GM-VAE that looks for no clusters."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Annotated, Any

import numpy as np
import torch
import typer
from sklearn.cluster import KMeans

from benchmarks.studies.views import LATENT
from pyvae.cli import manners
from pyvae.data import Data, load
from pyvae.errors import WrongValue
from pyvae.mixture import GaussianMixture
from pyvae.models import GMVAE, VAE
from pyvae.training import Trainer
from pyvae.training.metrics import clustering_metrics

app = manners.application()
Clusters = Callable[[Data, int, int, dict[str, Any]], Any]


def rows(data: Data) -> np.ndarray:
    """Give the examples in rows."""
    return np.asarray(data.rows(slice(0, len(data))))


def kmeans(data: Data, clusters: int, seed: int, _: dict[str, Any]) -> Any:
    """Cluster pixels by k-means."""
    # Its signature shows its defaults only, strings.
    found = KMeans(clusters, n_init=1, random_state=seed)  # type: ignore[arg-type]
    return found.fit_predict(rows(data))


def mixture(data: Data, clusters: int, seed: int, _: dict[str, Any]) -> Any:
    """Cluster pixels by a Gaussian mixture, diagonal, with a floor under the variances."""
    found = GaussianMixture(clusters, covariance_type="diag", reg_covar=1e-3, random_state=seed)
    return found.fit_predict(rows(data))


def codes(data: Data, clusters: int, seed: int, settings: dict[str, Any]) -> Any:
    """Cluster the codes of a VAE by a Gaussian mixture of full covariances."""
    torch.manual_seed(seed)
    model = VAE(data.num_features, LATENT)
    Trainer(seed=seed, **settings).fit(model, data)
    with torch.no_grad():
        x = model.encode(torch.from_numpy(rows(data)))[0]
    return GaussianMixture(clusters, random_state=seed).fit_predict(x.numpy())


def trained(data: Data, clusters: int, seed: int, settings: dict[str, Any]) -> Any:
    """Cluster by a GM-VAE whose mixture starts from the codes of pretrained networks."""
    torch.manual_seed(seed)
    model = GMVAE(data.num_features, LATENT, num_components=clusters)
    before = {"initialization": "em", "pretrain_epochs": max(1, settings["epochs"] // 2)}
    Trainer(seed=seed, **before, **settings).fit(model, data)
    return model.predict(torch.from_numpy(rows(data)))


WAYS: dict[str, Clusters] = {
    "k-means on pixels": kmeans,
    "GaussianMixture on pixels": mixture,
    "VAE, then GaussianMixture on its codes": codes,
    "GM-VAE from pretrained codes (`--initialization em`)": trained,
}


@app.command()
def main(
    data: Annotated[str, typer.Argument(help="Images with labels, as `pyvae train --data`.")],
    clusters: Annotated[int, typer.Option(min=2, help="Asked for.")] = 10,
    first: Annotated[int, typer.Option(min=0, help="Of the seeds.")] = 0,
    last: Annotated[int, typer.Option(min=0, help="Of the seeds.")] = 2,
    epochs: Annotated[int, typer.Option(min=1, help="Of the networks.")] = 20,
    threads: Annotated[int, typer.Option(min=1, help="Of torch.")] = 2,
) -> None:
    """Print a Markdown table of accuracies, a row a way and a column a seed.

    Labels are used for the scores alone.
    """
    if first > last:
        raise WrongValue(f"--first {first} comes after --last {last}")
    torch.set_num_threads(threads)
    given = load(data)
    if given.labels is None:
        raise WrongValue(f"{data} has no labels to score by")
    seeds = range(first, last + 1)
    settings = {"epochs": epochs, "warmup_epochs": 5, "batch_size": 256, "progress": "silent"}
    print(
        f"| | {' | '.join(map(str, seeds))} | mean | seconds each |\n|{'---|' * (len(seeds) + 3)}"
    )
    for name, way in WAYS.items():
        began, found = time.perf_counter(), []
        for seed in seeds:
            labels = torch.as_tensor(way(given, clusters, seed, settings))
            found.append(clustering_metrics(given.labels, labels)["clustering_accuracy"])
        cells = [f"{accuracy:.4f}" for accuracy in (*found, statistics.mean(found))]
        each = (time.perf_counter() - began) / len(seeds)
        print(f"| {name} | {' | '.join(cells)} | {each:.0f} |", flush=True)


if __name__ == "__main__":
    manners.main(app, "python -m benchmarks.studies.clusterings")
