# SPDX-License-Identifier: MIT
"""What the suite measures, from the tests' table, the peers and the fits, and a choice of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from benchmarks.cases import Case
from benchmarks.fits import FITS, fit
from benchmarks.rates import COPY, FMA, SGEMM
from benchmarks.variants import ONE_THREAD, PYVAE, Variant, by_position, in_torch
from pyvae.errors import WrongValue
from tests.ops.cases import MEASURED
from tests.ops.draws import Size, sizes_of

# How the time of a density grows with the points, by all threads and by one.
GROWING = "mixture_log_prob"
GROWTH = sizes_of("nkd", *((n, 64, 32) for n in (100_000, 400_000, 1_000_000, 4_000_000)))


def cases(device: str = "cpu") -> tuple[Case, ...]:
    """Give every case of the suite on a device, in the order of the tables."""
    found: list[Case] = []
    for op, entry in MEASURED.items():
        among_clusters = entry.measured_among_clusters(device)
        for size in entry.measured_sizes(device):
            found.append(case_of(op, size, device))
            if size in among_clusters:
                found.append(replace(found[-1], clusters=True))
        if op == GROWING and device == "cpu":
            by_threads = (ours(op), ours(op, ONE_THREAD, threads=1))
            found += [Case(op, size, by_threads) for size in GROWTH]
    found += [fit(op, size, device) for op, sizes in FITS[device].items() for size in sizes]
    return tuple(found)


def case_of(op: str, size: Size, device: str = "cpu") -> Case:
    """Make the case of an op; on a GPU beside all the rates that may limit it."""
    case = Case(op, size)
    joining = [peer for peer in case.peers.variants if peer.joins(size, device)]
    if device == "cuda":
        rates = [rate.variant() for rate in (COPY, FMA, SGEMM)]
        joining = [peer for peer in joining if peer.name not in (COPY.name, SGEMM.name)] + rates
    return replace(case, variants=(ours(op), *joining))


def ours(op: str, name: str = PYVAE, threads: int | None = None) -> Variant:
    """Make the variant of the op itself."""
    entry = MEASURED[op]
    return in_torch(name, by_position(entry, entry.op), threads=threads)


def select(only: Sequence[str], device: str = "cpu") -> tuple[Case, ...]:
    """Give the cases of a device named ``OP`` or ``OP:SIZE``; all where nothing is named.

    Raises
    ------
    ValueError
        If the suite has no such op or size.
    """
    every = cases(device)
    names = dict.fromkeys(case.op for case in every)
    chosen: list[Case] = []
    for name in only:
        op, _, size = name.partition(":")
        if op not in names:
            raise WrongValue(f"--only: no op {op!r} in the suite; it has {', '.join(names)}")
        found = [case for case in every if case.op == op and size in ("", case.label)]
        if not found:
            sizes = ", ".join(case.label for case in every if case.op == op)
            raise WrongValue(f"--only: {op} is not measured at {size!r}; its sizes are {sizes}")
        chosen += [case for case in found if case not in chosen]
    return tuple(chosen) if only else every
