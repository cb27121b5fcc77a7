# SPDX-License-Identifier: MIT
# pyright: reportMissingImports=false
"""What a mixture prior takes of scvi-tools' training step: theirs, and on our ops."""

from __future__ import annotations

import contextlib
import copy
import statistics
import time
import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Annotated, Any

import numpy as np
import torch
import typer

import pyvae
from pyvae.cli import manners

app = manners.application()
Context = Callable[[], AbstractContextManager[Any]]


def stepper(module: Any, batch: Any, context: Context) -> Callable[[], float]:
    """One step of training; its loss."""
    optimizer = torch.optim.Adam(module.parameters(), lr=1e-3)

    def step() -> float:
        with context():
            optimizer.zero_grad()
            loss = module(batch)[2].loss
            loss.backward()
            optimizer.step()
        return loss.item()

    return step


def minima(theirs: Callable[[], float], ours: Callable[[], float], rounds: int) -> str:
    """A row's cells: milliseconds of steps that take turns, and how far the losses are apart.

    Of the processor, all threads together: what others do on the machine shows least there.
    """
    seconds: tuple[list[float], list[float]] = ([], [])
    apart = 0.0
    for turn in range(rounds):
        losses = []
        for step, found in zip((theirs, ours), seconds, strict=True):
            torch.manual_seed(turn)
            started = time.process_time()
            losses.append(step())
            found.append(time.process_time() - started)
        apart = max(apart, abs(losses[1] / losses[0] - 1.0))
    cells = [f"{1e3 * min(s):.1f} ({1e3 * statistics.median(s):.1f}) ms" for s in seconds]
    return " | ".join([*cells, f"{min(seconds[0]) / min(seconds[1]):.1f}x", f"{apart:.0e}"])


def cytovi(components: int, cells: int, features: int) -> Any:
    """A CytoVI of its defaults, whose module writes torch's mixture."""
    import scvi
    from anndata import AnnData

    data = AnnData(np.random.default_rng(0).uniform(size=(cells, features)).astype("f"))
    data.layers["scaled"] = data.X
    scvi.external.CYTOVI.setup_anndata(data, layer="scaled")
    return scvi.external.CYTOVI(data, prior_mixture_k=components)


def sysvi(components: int, cells: int, features: int) -> Any:
    """A SysVI of its defaults, whose VampPrior is a module."""
    import scvi
    from anndata import AnnData

    data = AnnData(np.random.default_rng(0).normal(size=(cells, features)).astype("f"))
    data.obs["batch"] = np.array(["a", "b"] * (cells // 2))
    scvi.external.SysVI.setup_anndata(data, batch_key="batch")
    return scvi.external.SysVI(data, prior="vamp", n_prior_components=components)


@app.command()
def main(
    batch: Annotated[int, typer.Option(min=2, help="Cells a step.")] = 128,
    features: Annotated[int, typer.Option(min=1, help="Of a cell.")] = 40,
    components: Annotated[
        list[int] | None, typer.Option(min=1, help="Of the prior, repeatable; 20 and 100.")
    ] = None,
    threads: Annotated[int, typer.Option(min=1, help="Of torch.")] = 1,
    rounds: Annotated[int, typer.Option(min=1, help="Steps of each.")] = 20,
) -> None:
    """Time training steps of CytoVI and SysVI, and print a Markdown table.

    The steps of theirs and ours take turns within one run, from equal parameters and with equal
    random numbers. Least processor times, medians in brackets, and the largest relative difference
    of losses.
    """
    from pyvae.integrations.scvi import fuse_priors

    warnings.simplefilter("ignore")  # they are scvi-tools' own
    torch.set_num_threads(threads)
    print(f"batch {batch}, {features} features, {threads} threads, {rounds} steps of each")
    print("| model | K | scvi-tools | pyvae | ratio | losses apart |")
    print("|---|---|---|---|---|---|")
    for make in (cytovi, sysvi):
        for k in components or (20, 100):
            torch.manual_seed(0)
            model = make(k, 2 * batch, features)
            loader = model._make_data_loader(model.adata, batch_size=batch)
            rows, theirs = next(iter(loader)), model.module.train()
            ours = copy.deepcopy(theirs)
            context: Context = pyvae.patch_torch_distributions
            if make is sysvi:
                fuse_priors(ours)
                context = contextlib.nullcontext
            steps = stepper(theirs, rows, contextlib.nullcontext), stepper(ours, rows, context)
            print(f"| {make.__name__} | {k} | {minima(*steps, rounds)} |", flush=True)


if __name__ == "__main__":
    manners.main(app, "python -m benchmarks.studies.scvi_priors")
