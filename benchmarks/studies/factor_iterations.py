# SPDX-License-Identifier: MIT
"""What an iteration of a mixture of factor analysers costs beside its matrix products."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Annotated

import torch
import typer

from benchmarks.peers.factors import products
from pyvae.cli import manners
from pyvae.cli.errors import UserError
from pyvae.mixture.covariance import LowRank, Parameters
from pyvae.mixture.gaussian_em import GaussianEM
from pyvae.mixture.low_rank import factors_of, split
from pyvae.mixture.points import Points

_ROWS = 170  # of a product, so that it stays in a cache as well
app = manners.application()


def drawn(n: int, k: int, d: int, r: int, apart: float) -> tuple[torch.Tensor, Parameters]:
    """Points of K components with factors, so far apart, and the mixture that they are of."""
    torch.manual_seed(0)
    means, loadings = apart * torch.randn(k, d), 0.5 * torch.randn(k, d, r)
    chosen, x = torch.randint(k, (n,)), torch.randn(n, d)
    for component in range(k):
        mine = (chosen == component).nonzero()[:, 0]
        x[mine] += means[component] + torch.randn(len(mine), r) @ loadings[component].T
    covariances = torch.cat([loadings, torch.ones(k, d, 1)], 2).double()
    if not apart:  # nothing tells components: each has a share in every point
        covariances = covariances[:1].expand(k, -1, -1).clone()
    return x, Parameters(torch.full((k,), 1.0 / k).double(), means.double(), covariances)


def least(call: Callable[[], object], turns: int) -> float:
    """Give the seconds of the fastest of so many calls."""
    found = []
    for _ in range(turns):
        start = time.perf_counter()
        call()
        found.append(time.perf_counter() - start)
    return min(found)


def measured(x: torch.Tensor, p: Parameters, rank: int, turns: int) -> list[float]:
    """Give the seconds of an E step, of an M step with F, and of the products of the E step."""
    loadings = split(p.covariances)[0].float()
    directions = factors_of(p.covariances).directions.float()
    model = GaussianEM(LowRank(rank), p, dtype=x.dtype, reg_covar=1e-6)
    held = Points(x, None, torch.zeros(x.shape[1]))
    q = model.e_step(held)

    def m_step() -> None:
        model.m_step(q)
        model.free_energy(q)
        model.parameters = p

    def all_products() -> None:
        for rows in x.split(_ROWS):
            for one, other in zip(directions, loadings, strict=True):
                products(rows, one, other)

    return [least(call, turns) for call in (lambda: model.e_step(held), m_step, all_products)]


@app.command()
def main(
    points: Annotated[int, typer.Option(min=1, help="How many.")] = 50_000,
    features: Annotated[int, typer.Option(min=2, help="Of a point.")] = 1536,
    components: Annotated[int, typer.Option(min=1, help="Of the mixture.")] = 32,
    rank: Annotated[int, typer.Option(min=1, help="Factors of a component.")] = 16,
    turns: Annotated[int, typer.Option(min=1, help="Of which the fastest counts.")] = 3,
    threads: Annotated[int, typer.Option(min=1, help="Of torch.")] = 1,
) -> None:
    """Print a Markdown table of an iteration's seconds and those of three products of its E step.

    In float32, of components that are apart, where a point counts for one, and of components that
    are all the same, where it counts for each.
    """
    if rank >= features:
        raise UserError(f"--rank {rank} is not below --features {features}")
    torch.set_num_threads(threads)
    print(f"N, K, D, r = {points}, {components}, {features}, {rank}; {threads} threads\n")
    print("| components | E step | M step and F | products | iteration beside products |")
    print("|---|---|---|---|---|")
    for name, apart in (("apart", 1.0), ("the same", 0.0)):
        seconds = measured(*drawn(points, components, features, rank, apart), rank, turns)
        ratio = (seconds[0] + seconds[1]) / seconds[2]
        print(f"| {name} | {' | '.join(f'{s:.2f} s' for s in seconds)} | {ratio:.2f}x |")


if __name__ == "__main__":
    manners.main(app, "python -m benchmarks.studies.factor_iterations")
