# SPDX-License-Identifier: MIT
"""One mark for each peer, the same in every figure: colour says what runs it, marker its form."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from benchmarks.claims import OWN
from benchmarks.fits import FITS, fit
from benchmarks.peers import PEERS
from pyvae.plots.style import color

_MARKERS = "oDs^vXPphd<>8"


class Mark(NamedTuple):
    """How a peer is drawn."""

    color: str
    marker: str


def marks(names: Iterable[str]) -> dict[str, Mark]:
    """Give every peer its mark: the suite's own, and what else the results hold."""
    known = [variant.name for peers in PEERS.values() for variant in peers.variants]
    fits = [fit(op, sizes[0], on) for on, chosen in FITS.items() for op, sizes in chosen.items()]
    known += [variant.name for case in fits for variant in case.variants]
    # Names of other versions of the suite come last, so that they change no mark.
    everything = dict.fromkeys(n for n in [*known, *sorted(names)] if n not in OWN)
    parts = {name: tuple(name.split(", ", 1)) for name in everything}
    runners = list(dict.fromkeys(first for first, *_ in parts.values()))
    forms = list(dict.fromkeys(tuple(form) for _, *form in parts.values()))
    return {
        name: Mark(color(runners.index(runner)), _MARKERS[forms.index(tuple(form)) % len(_MARKERS)])
        for name, (runner, *form) in parts.items()
    }
