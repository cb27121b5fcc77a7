# SPDX-License-Identifier: MIT
"""Which optimum a fit finds, over seeds of the start: pyvae's and scikit-learn's."""

from __future__ import annotations

import statistics
from typing import Annotated

import torch
import typer

from benchmarks.fit_kinds import OF_BOTH, by
from benchmarks.fits import FITS, fit
from benchmarks.tables import spaced
from pyvae.cli import manners

WAYS = {"pyvae": (0, "kmeans"), "pyvae, short_em": (0, "short_em"), "scikit-learn": (1, "kmeans")}
app = manners.application()


@app.command()
def main(
    seeds: Annotated[int, typer.Option(min=1, help="Starts of each fit.")] = 5,
    iterations: Annotated[int, typer.Option(min=1, help="Of each fit.")] = 20,
    threads: Annotated[int, typer.Option(min=1, help="Of torch.")] = 2,
) -> None:
    """Fit mixtures from several starts, and print a Markdown table of bounds, in nats.

    The data and sizes are those of the suite's fits, which have the times; starts are by k-means
    where no other is named. From equal parameters both libraries give equal fits, so what differs
    is chance and the start.
    """
    torch.set_num_threads(threads)
    print(f"| fit | N, K, D, iterations | library | mean of {seeds} | each |")
    print("|---|---|---|---|---|")
    for op in [op for op in FITS["cpu"] if op in OF_BOTH]:
        case = fit(op, {**FITS["cpu"][op][0], "i": iterations})
        inputs, (*estimators, kind) = case.draw(), OF_BOTH[op]
        for name, (library, start) in WAYS.items():
            options = {"covariance_type": kind, "init_params": start}
            found = [
                by(estimators[library], random_state=seed, **options)(inputs, case.size)
                for seed in range(seeds)
            ]
            each = ", ".join(f"{value:.3f}" for value in found)
            row = [op, spaced(case.label), name, f"{statistics.mean(found):.3f}", each]
            print(f"| {' | '.join(row)} |", flush=True)


if __name__ == "__main__":
    manners.main(app, "python -m benchmarks.studies.fit_optima")
