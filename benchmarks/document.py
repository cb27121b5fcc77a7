# SPDX-License-Identifier: MIT
"""Results as a Markdown document with plots beside it; nothing in it is written by hand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from benchmarks import figures, tables
from benchmarks.device import DEVICES, GPU
from benchmarks.results import Results
from benchmarks.tables import Grid
from benchmarks.targets import claims
from pyvae.cli.files import write_picture

_HEADING = """\
# Benchmarks

Written by `python -m benchmarks` from one file of results; nothing here is written by hand.

{machine}

## How it is measured

- Every variant of a case takes turns within one run, so that the machine's noise meets all alike.
  A turn is a call, or as many calls as fill ten milliseconds, after calls that are not timed.
  Times are medians of the turns, and ± is half the distance between their quartiles.
- Points are of N(0, I), as the means of the components are. Where a size says *clusters*, they are
  drawn from the mixture itself: as users have them, and most responsibilities are next to nothing.
- Forward + backward gives the gradients of the summed results to all arguments.
- Compiling is not timed. Threads of every library: {threads}. All in float32, without TF32.
- A variant that would write a tensor of {largest} GiB or more is left out, and the notes say so.
- The error is the largest over all results, relative to max(1, |value|), and over all gradients,
  relative to the largest of their tensor, against the same in float64 over all points.
- Peak memory is by how much one warm call raises the peak of {memory}; its results count.
- sgemm is torch's product of two matrices of 4096 x 4096, taking turns with the large mixtures;
  copy is torch's copy of 256 MiB, whose bytes count as read and as written.{limits}
- The eager *formula* is the op as its users write it, without care for weights of zero; *reference*
  is pyvae's own in plain torch, with that care. *GEMM form* expands (x - μ)² into matrix products.
  scikit-learn's time for statistics is that of its E step and M step.
- *Subnormals flushed* is a peer on threads that set subnormal numbers to zero; where clusters are
  apart, many responsibilities are such.
- A fit is a whole one, with its start, which its table names. Its error is by how much the mean
  log-likelihood is below that of pyvae's fit in float64, relative: from starts of their own two
  libraries may find two optima. *Textbook EM* is EM as papers write it, in plain torch.
- Mixtures of products (fit_bernoulli, fit_categorical, fit_table) are fitted in float64, by pyvae
  and by StepMix; so are Student t distributions by studenttmixture.
"""
_LIMITS = """
- multiply-adds is a kernel of these alone, from registers to registers. A limit's share is the time
  that it would take by itself, beside the time that was measured: of arithmetic, 4NKD operations
  of a mixture, or of memory, every argument read once and every result written once. Most pairs of
  clusters are only bounded, in bfloat16: they may take less than the arithmetic of all in float32.
- compile is `torch.compile`, without CUDA graphs unless it says so.
- JAX's memory is not torch's, and is not told. A fit's points are on the card from the start."""


def write(results: Results, path: Path, kind: str = "png") -> list[Path]:
    """Write the document and its plots; gives the files written, the document first."""
    folder = path.with_suffix("")
    folder.mkdir(parents=True, exist_ok=True)
    drawn = figures.draw(results)
    pictures = {name: folder / f"{name}.{kind}" for name in drawn}
    for name, figure in drawn.items():
        write_picture(pictures[name], figure)
    path.write_text("\n".join(_lines(results, pictures)) + "\n", encoding="utf-8")
    return [path, *pictures.values()]


def _lines(results: Results, pictures: Mapping[str, Path]) -> Iterator[str]:
    device = DEVICES[results.device]
    yield _HEADING.format(
        machine=_machine(results),
        threads=results.threads,
        memory=device.memory,
        largest=device.memory_limit >> 30,
        limits=_LIMITS if device is GPU else "",
    )
    yield "## Targets\n"
    yield from _markdown(tables.targets(results, claims(results.device)))
    shares = tables.limits(results)
    if shares.rows:
        yield f"## {shares.title}\n"
        yield from _markdown(shares)
    yield "## At a glance\n"
    for name, picture in pictures.items():
        yield f"![{figures.TITLES[name]}]({picture.parent.name}/{picture.name})\n"
    for op in dict.fromkeys(case.op for case in results.cases):
        yield f"## {op}\n"
        yield "Milliseconds; in parentheses how many times pyvae's time that is.\n"
        yield from _markdown(tables.times(results, op))
        quality = tables.accuracy_and_memory(results, op)
        if quality.rows:
            yield "Largest error against float64, and peak memory:\n"
            yield from _markdown(quality)


def _machine(results: Results) -> str:
    facts, software = results.machine, results.software
    versions = ", ".join(f"{name} {version}" for name, version in software.items())
    quick = " Measured in haste (`--quick`): no record." * results.quick
    return (
        f"{facts['processor']} ({facts['instruction_set']}, {facts['system']}), "
        f"{results.threads} threads. {versions}.{quick}"
    )


def _markdown(grid: Grid) -> Iterator[str]:
    if grid.rows:
        yield f"| {' | '.join(grid.columns)} |"
        yield "|---" * len(grid.columns) + "|"
        for row in grid.rows:
            yield f"| {' | '.join(row)} |"
        yield ""
    for note in grid.notes:
        yield f"- {note}"
    if grid.notes:
        yield ""
