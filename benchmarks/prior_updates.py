# SPDX-License-Identifier: MIT
"""The mixture moved by gradients and by stepwise EM, on digits and MNIST.

Run as ``python benchmarks/prior_updates.py [MNIST_FOLDER]``; without a folder, digits only. Labels
are used for the score alone.
"""

from __future__ import annotations

import statistics
import sys
import time
from typing import Any

import torch

from pyvae.data import Data, digits, load
from pyvae.models import GMVAE
from pyvae.training import Trainer
from pyvae.training.batches import Batches
from pyvae.training.metrics import clustering_metrics
from pyvae.training.monitor import latent_figures

UPDATES: dict[str, dict[str, Any]] = {
    "gradient": {"prior_update": "gradient"},
    "em, 0.1": {"prior_update": "em", "prior_lr": 0.1},
    "em, 0.02": {"prior_update": "em", "prior_lr": 0.02},
    "em, 0.005": {"prior_update": "em", "prior_lr": 0.005},
}
MNIST = {"pretrain_epochs": 10, "epochs": 20, "warmup_epochs": 5, "batch_size": 256}


def trained(data: Data, seed: int, **settings: Any) -> list[float]:
    """Train one model; return bound, accuracy, NMI, ARI, components in use, and seconds."""
    torch.manual_seed(seed)
    model = GMVAE(data.num_features, 10, num_components=10)
    started = time.perf_counter()
    history = Trainer(seed=seed, progress="silent", **settings).fit(model, data)
    seconds = time.perf_counter() - started
    assert data.labels is not None
    x = data.rows(slice(0, len(data)))
    scores = clustering_metrics(data.labels, model.predict(x)).values()
    used = latent_figures(model, Batches(data).in_order(10_000), torch.device("cpu"))
    return [history[-1]["bound"], *scores, used["effective_components"], seconds]


def table(data: Data, seeds: range, **settings: Any) -> None:
    """Print the means over seeds, a row an update."""
    print(f"\n{data.name}, {len(seeds)} seed(s)\n")
    print("| update, lr | bound, nats | accuracy | NMI | ARI | components | seconds |")
    print("|---|---|---|---|---|---|---|")
    for name, update in UPDATES.items():
        rows = [trained(data, seed, **settings, **update) for seed in seeds]
        bound, *scores, used, seconds = (statistics.mean(c) for c in zip(*rows, strict=True))
        cells = " | ".join(f"{score:.3f}" for score in scores)
        print(f"| {name} | {bound:.2f} | {cells} | {used:.1f} | {seconds:.0f} |", flush=True)


def main(folder: str | None = None) -> None:
    """Train all and print the tables."""
    torch.set_num_threads(1)
    table(digits(), range(3))
    if folder is not None:
        table(load(folder), range(1), **MNIST)


if __name__ == "__main__":
    main(*sys.argv[1:])
