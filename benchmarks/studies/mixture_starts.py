# SPDX-License-Identifier: MIT
"""Which optimum a mixture's fit finds from each kind of start, over shapes of data and seeds."""

from __future__ import annotations

import csv
import statistics
import time
import warnings
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
import torch
import typer

from benchmarks.mixture_shapes import HELD_BACK, SHAPES, drawn
from pyvae.cli import manners
from pyvae.errors import WrongValue
from pyvae.mixture import GaussianMixture

STARTS = ("short_em", "kmeans", "k-means++", "random", "random_from_data")  # scikit-learn's last
_NEAR = 1e-3  # nats a point
_TRUTH = "truth"
_ON: dict[str, Any] = {"warm_start": True, "tol": 1e-6, "max_iter": 1000}
app = manners.application()


class Row(NamedTuple):
    """One fit: the optimum it leads to, in nats a point, and the processor's time it took."""

    shape: str
    start: str
    seed: int
    bound: float
    milliseconds: float


def row(shape: str, start: str, seed: int) -> Row:
    """Fit as the estimator does by default, timed; then to the end, for the optimum."""
    truth, x = drawn(shape)
    given: dict[str, Any] = (
        {
            "weights_init": truth.weights,
            "means_init": truth.means,
            "precisions_init": truth.precisions(),
        }
        if start == _TRUTH
        else {"init_params": start}
    )
    kind, k = truth.covariance_type, len(truth.weights)
    mixture = GaussianMixture(k, covariance_type=kind, random_state=seed, **given)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        begin = time.process_time()
        mixture.fit(x)
        taken = time.process_time() - begin
        mixture.set_params(**_ON).fit(x)
    return Row(shape, start, seed, float(mixture.lower_bound_), 1e3 * taken)


def read(path: Path) -> list[Row]:
    """Read the rows that a file has, of shapes that there are."""
    if not path.exists():
        return []
    with path.open(newline="") as file:
        found = [Row(a, b, int(c), float(d), float(e)) for a, b, c, d, e in csv.reader(file)]
    return [each for each in found if each.shape in SHAPES]


def table(rows: Iterable[Row]) -> str:
    """Give the shares of fits near the best optimum, and mean times, as Markdown."""
    by_shape: dict[str, dict[str, list[Row]]] = defaultdict(lambda: defaultdict(list))
    for each in rows:
        by_shape[each.shape][each.start].append(each)
    lines = [f"| | {' | '.join(STARTS)} |", f"|---{'|---' * len(STARTS)}|"]
    everything: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for shape, starts in by_shape.items():
        best = max(each.bound for fits in starts.values() for each in fits)
        cells = []
        for start in STARTS:
            fits = starts.get(start, [])
            if not fits:
                cells.append("")
                continue
            share = statistics.mean(each.bound > best - _NEAR for each in fits)
            taken = statistics.mean(each.milliseconds for each in fits)
            everything[start].append((share, taken))
            cells.append(f"{share:.2f}, {taken:.0f} ms")
        name = f"*{shape}*" if shape in HELD_BACK else shape
        lines.append(f"| {name} | {' | '.join(cells)} |")
    means = (np.mean(everything[start], 0) if everything[start] else None for start in STARTS)
    cells = ["" if each is None else f"**{each[0]:.2f}**, {each[1]:.0f} ms" for each in means]
    lines.append(f"| **mean** | {' | '.join(cells)} |")
    return "\n".join(lines)


def picture(rows: list[Row], path: Path) -> None:
    """Draw how far below the best optimum each fit ended, a panel a shape."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    shapes = list(dict.fromkeys(each.shape for each in rows))
    columns = min(5, len(shapes))
    lines = -(-len(shapes) // columns)
    figure, grid = plt.subplots(
        lines, columns, figsize=(2.3 * columns, 2.2 * lines), squeeze=False, layout="constrained"
    )
    for axes, shape in zip(grid.flat, shapes, strict=False):
        here = [each for each in rows if each.shape == shape]
        best = max(each.bound for each in here)
        for start in STARTS:
            below = sorted(max(best - each.bound, 1e-6) for each in here if each.start == start)
            shares = np.arange(1, len(below) + 1) / max(1, len(below))
            axes.step([1e-6, *below, 100.0], [0.0, *shares, 1.0], where="post", label=start,
                      linewidth=2.0 if start == STARTS[0] else 1.0)  # fmt: skip
        axes.axvline(_NEAR, color="0.8", linewidth=0.8, zorder=0)
        axes.set(xscale="log", xlim=(1e-5, 5.0), ylim=(0.0, 1.03))
        axes.set_title(shape, fontsize=9)
        axes.tick_params(labelsize=7)
    for axes in list(grid.flat)[len(shapes) :]:
        axes.set_axis_off()
    handles, labels = grid.flat[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=len(STARTS), fontsize=8)
    figure.supxlabel("nats a point below the best optimum", fontsize=9)
    figure.supylabel("share of fits", fontsize=9)
    figure.savefig(path, dpi=110)
    plt.close(figure)


@app.command()
def main(
    shapes: Annotated[list[str] | None, typer.Option(help="Repeatable; all if left out.")] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Starts of each kind, on each shape.")] = 50,
    output: Annotated[
        Path, typer.Option(help="A CSV of all fits; those that it has are not made again.")
    ] = Path("mixture_starts.csv"),
    image: Annotated[
        Path | None, typer.Option("--picture", help="A PNG of the fits' distances from the best.")
    ] = None,
    threads: Annotated[int, typer.Option(min=1, help="Of torch.")] = 1,
) -> None:
    """Fit mixtures from every kind of start, and print a Markdown table.

    A cell has the share of fits whose optimum is within 0.001 nats a point of the best of all and
    of a fit from the truth, and the mean time of start and fit with the estimator's other defaults.
    Each shape's points are the same for all seeds, which are those of the starts. Shapes in italics
    had no part in the choice of the start.
    """
    chosen = shapes or list(SHAPES)
    for name in chosen:
        if name not in SHAPES:
            raise WrongValue(f"--shapes {name!r}; expected one of {', '.join(SHAPES)}")
    torch.set_num_threads(threads)
    known = {(each.shape, each.start, each.seed): each for each in read(output)}
    wanted = [(name, _TRUTH, 0) for name in chosen]
    wanted += [(n, start, seed) for n in chosen for seed in range(seeds) for start in STARTS]
    with output.open("a", newline="") as file:
        for each in wanted:
            if each not in known:
                known[each] = row(*each)
                csv.writer(file).writerow(known[each])
                file.flush()
    rows = [known[each] for each in wanted]
    print(table(rows))
    if image is not None:
        picture(rows, image)


if __name__ == "__main__":
    manners.main(app, "python -m benchmarks.studies.mixture_starts")
