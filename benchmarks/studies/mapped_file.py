# SPDX-License-Identifier: MIT
"""What an iteration of EM costs over a file larger than memory, beside points in memory."""

from __future__ import annotations

import shutil
import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from sklearn.exceptions import ConvergenceWarning

from pyvae.cli import manners
from pyvae.cli.errors import UserError
from pyvae.mixture import GaussianMixture
from tests.memory import peak_growth

_ROWS = 2**20  # written at a time
app = manners.application()


@contextmanager
def mapped(centres: torch.Tensor, points: int, folder: str) -> Iterator[np.memmap]:
    """Map a file of points about the centres, of variance one; it is removed afterwards."""
    size = 4 * points * centres.shape[1]
    if shutil.disk_usage(folder).free < 1.1 * size:
        raise UserError(f"--folder: {folder} has no room for a file of {size / 1e9:.3g} GB")
    with tempfile.NamedTemporaryFile(dir=folder, prefix="points-", suffix=".bin") as file:
        for start in range(0, points, _ROWS):
            chosen = torch.randint(len(centres), (min(_ROWS, points - start),))
            rows = centres[chosen] + torch.randn(len(chosen), centres.shape[1])
            file.write(rows.numpy().tobytes())
        file.flush()
        shape = (points, centres.shape[1])
        yield np.memmap(file.name, dtype=np.float32, mode="r", shape=shape)


def iterate(centres: torch.Tensor, x: np.ndarray) -> tuple[float, float, float]:
    """Fit for one iteration; give its seconds, those of all cores, and the log-likelihood."""
    mixture = GaussianMixture(
        len(centres), covariance_type="diag", max_iter=1, reseed=False, means_init=centres,
        weights_init=torch.full((len(centres),), 1 / len(centres)),
        precisions_init=torch.ones_like(centres),
    )  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        started, worked = time.perf_counter(), time.process_time()
        mixture.fit(x)
        seconds, work = time.perf_counter() - started, time.process_time() - worked
    return seconds, work, mixture.lower_bound_


@app.command()
def main(
    folder: Annotated[str, typer.Option(help="Where the file is made; it is removed at the end.")],
    points: Annotated[int, typer.Option(min=1, help="In the file.")] = 10_000_000,
    in_memory: Annotated[int, typer.Option(min=1, help="Points of those in memory.")] = 1_000_000,
    features: Annotated[int, typer.Option(min=1, help="Of a point.")] = 32,
    components: Annotated[int, typer.Option(min=1, help="Of the mixture.")] = 1000,
    threads: Annotated[int, typer.Option(min=1, help="Of torch.")] = 2,
) -> None:
    """Print a Markdown table of one iteration over a mapped file, and over points in memory.

    Whole fits of one iteration from a given start, with diagonal covariances in float32: the points
    are looked at once for NaN and once for their mean, too. Those in memory go before and after the
    file. The peak is by how much the fit raises the process's; what that holds of the file counts.
    """
    if not Path(folder).is_dir():
        raise UserError(f"--folder: {folder} is no folder")
    if points < components:
        raise UserError(f"--points {points} are fewer than --components {components}")
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    centres = 2.0 * torch.randn(components, features)
    print(f"N x {features}, K = {components}, {threads} threads\n")
    print(
        "| points | in | time | a point | of all cores | peak beyond the process | nats a point |"
    )
    print("|---|---|---|---|---|---|---|")
    with mapped(centres, points, folder) as source:
        held = np.array(source[:in_memory])
        for where, x in (("memory", held), ("file", source), ("memory", held)):
            found: list[tuple[float, float, float]] = []
            peak = peak_growth(lambda x=x, found=found: found.append(iterate(centres, x)))
            ((seconds, work, reached),) = found
            row = [
                f"{len(x):,}", where, f"{seconds:.3g} s", f"{1e6 * seconds / len(x):.3g} us",
                f"{1e6 * work / len(x):.3g} us", f"{peak / 2**20:,.0f} MiB", f"{reached:.3f}",
            ]  # fmt: skip
            print(f"| {' | '.join(row)} |", flush=True)


if __name__ == "__main__":
    manners.main(app, "python -m benchmarks.studies.mapped_file")
