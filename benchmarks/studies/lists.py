# SPDX-License-Identifier: MIT
"""What lists of the components that count give a density's two passes, and what they cost."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any

import torch
import typer
from torch import Tensor

from benchmarks.timing import Effort, Player, take_turns
from pyvae.cli import manners
from tests.ops.cases import MEASURED
from tests.ops.draws import Size, sizes_of

app = manners.application()
SIZES = {
    "mixture_log_prob": sizes_of(
        "nkd", (16384, 512, 64), (65536, 256, 64), (20000, 300, 96), (5000, 2000, 200),
        (8192, 1024, 256),
    ),
    "mixture_log_prob_tril": sizes_of("nkd", (16384, 64, 64)),
}  # fmt: skip
COLUMNS = (
    "op", "N, K, D", "points", "forward", "backward", "ratio", "without a list", "gradients apart"
)  # fmt: skip
EVERY = 0b1111  # the gradients of all four arguments


def inputs(op: str, size: Size, clusters: bool) -> tuple[Tensor, ...]:
    """Draw the arguments of a case of the suite."""
    case = MEASURED[op]
    drawn = case.draw(size, torch.float32)
    return tuple((case.among_clusters(drawn) if clusters else drawn).values())


def measured(op: str, tensors: tuple[Tensor, ...], turns: int) -> tuple[list[float], float, float]:
    """Time the passes; also by how much gradients differ, and the share of points without a list.

    Milliseconds of the forward pass without lists and with them, and of the backward pass.
    """
    plain, listed, back, listed_back = (
        getattr(torch.ops.pyvae, op + name)
        for name in ("", "_listed", "_backward", "_listed_backward")
    )
    upstream = torch.ones(len(tensors[0]))
    log_prob, *lists = listed(*tensors)
    calls: dict[str, Any] = {
        "forward": partial(plain, *tensors),
        "forward, listed": partial(listed, *tensors),
        "backward": partial(back, upstream, *tensors, log_prob, EVERY),
        "backward, listed": partial(listed_back, upstream, *tensors, log_prob, *lists, EVERY),
    }
    without, by_lists = calls["backward"](), calls["backward, listed"]()
    apart = max(
        float((a - b).abs().max() / a.abs().max()) for a, b in zip(without, by_lists, strict=True)
    )
    players = [Player(name, call, estimate=1.0) for name, call in calls.items()]
    take_turns(players, Effort(seconds=0.0, turns=turns))
    none = float((lists[1][:, 0] == -2).float().mean())
    return [1e3 * player.quartiles()[1] for player in players], apart, none


@app.command()
def main(
    turns: Annotated[int, typer.Option(min=1, help="Of each call; the median counts.")] = 15,
    threads: Annotated[int, typer.Option(min=1, help="Of torch.")] = 2,
) -> None:
    """Print a Markdown table of the kernels' milliseconds without lists and with them.

    The ratio is that of both passes to the forward pass without lists. All in float32.
    """
    torch.set_num_threads(threads)
    print(f"{torch.get_num_threads()} threads, {torch.backends.cpu.get_cpu_capability()}\n")
    print(f"| {' | '.join(COLUMNS)} |")
    print("|---" * len(COLUMNS) + "|")
    for op, sizes in SIZES.items():
        for size in sizes:
            for name, clusters in (("N(0, I)", False), ("clusters", True)):
                found, apart, none = measured(op, inputs(op, size, clusters), turns)
                plain, listed, back, listed_back = found
                cells = [
                    op, ", ".join(map(str, size.values())), name, f"{plain:.1f} -> {listed:.1f}",
                    f"{back:.1f} -> {listed_back:.1f}",
                    f"{1 + back / plain:.2f} -> {(listed + listed_back) / plain:.2f}",
                    f"{none:.1%}", f"{apart:.0e}",
                ]  # fmt: skip
                print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    manners.main(app, "python -m benchmarks.studies.lists")
