# SPDX-License-Identifier: MIT
"""The default recipe on scikit-learn's digits, a row a seed.

Run as ``python benchmarks/digits_seeds.py [FIRST LAST]``; the seeds are 0 to 4 without arguments.

Labels are used for the score alone.
"""

from __future__ import annotations

import statistics
import sys
import time

import torch

from pyvae.data import digits
from pyvae.models import GMVAE
from pyvae.training import Trainer
from pyvae.training.metrics import clustering_metrics


def main(first: int = 0, last: int = 4) -> None:
    """Train a model a seed and print a Markdown table."""
    torch.set_num_threads(1)  # these matrices are too small for a second thread to pay
    data = digits()
    assert data.labels is not None
    print("| seed | accuracy | NMI | ARI | bound, nats | seconds |\n|---|---|---|---|---|---|")
    scores = []
    for seed in range(first, last + 1):
        torch.manual_seed(seed)
        model = GMVAE(data.x.shape[1], 10, num_components=10)
        started = time.perf_counter()
        history = Trainer(seed=seed, progress="silent").fit(model, data)
        seconds = time.perf_counter() - started
        scores.append(list(clustering_metrics(data.labels, model.predict(data.x)).values()))
        cells = " | ".join(f"{score:.3f}" for score in scores[-1])
        print(f"| {seed} | {cells} | {history[-1]['bound']:.2f} | {seconds:.0f} |", flush=True)
    means = " | ".join(f"{statistics.mean(column):.3f}" for column in zip(*scores, strict=True))
    print(f"| mean | {means} | | |")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
