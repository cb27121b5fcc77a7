# SPDX-License-Identifier: MIT
"""Whole fits of a mixture at the sizes of the suite: pyvae's, and on the processor its peers'."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from benchmarks.cases import Case
from benchmarks.fit_kinds import KINDS
from benchmarks.results import FORWARD
from benchmarks.variants import PYVAE, Inputs, Variant
from tests.ops.draws import Size, sizes_of

# By device: points, components, coordinates; iterations, where they are told; and factors.
FITS = {
    "cpu": {
        "fit_diag": sizes_of("nkdi", (65536, 256, 64, 20), (65536, 256, 64, 100)),
        "fit_full": sizes_of("nkdi", (100_000, 16, 32, 20), (100_000, 16, 32, 100)),
        "fit_default": sizes_of("nkd", (20_000, 16, 16)),
        "fit_low_rank": sizes_of("nkdir", (20_000, 1, 512, 20, 16), (8192, 32, 1536, 5, 16)),
        "fit_bayesian_diag": sizes_of("nkdi", (65536, 64, 64, 10)),
        "fit_bayesian_full": sizes_of("nkdi", (100_000, 16, 32, 10)),
        "fit_student_t": sizes_of("nkdi", (20_000, 8, 16, 20)),
        "fit_noise": sizes_of("nkdi", (20_000, 8, 16, 20)),
        "fit_labelled": sizes_of("nkdi", (20_000, 8, 16, 20)),
        "fit_bernoulli": sizes_of("nkdi", (5000, 10, 784, 10)),
        "fit_categorical": sizes_of("nkdi", (20_000, 10, 32, 10)),
        "fit_table": sizes_of("nkdi", (20_000, 10, 30, 10)),
    },
    "cuda": {
        "fit_spherical": sizes_of("nkdi", (2_000_000, 32, 64, 20)),
        "fit_diag": sizes_of("nkdi", (1_000_000, 64, 32, 20)),
        "fit_full": sizes_of("nkdi", (1_000_000, 16, 32, 20)),
    },
}


@dataclass(frozen=True)
class Fit(Case):
    """A whole fit; its result is the mean log-likelihood, in nats.

    Of a Bayesian mixture it is the bound on that of all points.
    """

    @property
    def directions(self) -> tuple[str, ...]:
        """One pass: a fit has no gradients."""
        return (FORWARD,)

    def draw(self, device: str = "cpu") -> Inputs:
        """Draw the points, and what else is known of them."""
        drawn = KINDS[self.op].draw(self.size, torch.Generator().manual_seed(0))
        return {name: tensor.to(device) for name, tensor in drawn.items()}

    def truth(self, inputs: Inputs, backward: bool) -> tuple[Any, ...]:
        """Give pyvae's in float64."""
        doubled = {**inputs, "x": inputs["x"].double()}
        return (KINDS[self.op].fitted(doubled, self.size),)

    def error(self, got: Sequence[Any], want: Sequence[Any], backward: bool) -> float:
        """Tell by how much a log-likelihood is below the exact one's, relative; above is zero."""
        (value,), (exact,) = got, want
        return max(0.0, (exact - value) / max(1.0, abs(exact)))


def fit(op: str, size: Size, device: str = "cpu") -> Fit:
    """Make the case of a fit."""
    kind = KINDS[op]
    ours = Variant(PYVAE, lambda inputs, _: lambda: (kind.fitted(inputs, size),), backward=False)
    return Fit(op, size, (ours, *(kind.peers(size) if device == "cpu" else ())))
