# SPDX-License-Identifier: MIT
"""Pictures of a trained model, of a mixture, and of timings: arrays in, a matplotlib Figure out.

No pyplot and no global state, so they can be drawn from threads, servers and tests alike; save one
with ``figure.savefig(path)``.
"""

from __future__ import annotations

from ._benchmarks import growth, ratios, roofline
from ._confusion import confusion
from ._divergences import Fit, FittedTarget, Sweep, kl_directions
from ._examples import component_samples, reconstructions
from ._history import history
from ._latent import latent_space
from ._mixture import information_criterion, mixture

__all__ = [
    "Fit",
    "FittedTarget",
    "Sweep",
    "component_samples",
    "confusion",
    "growth",
    "history",
    "information_criterion",
    "kl_directions",
    "latent_space",
    "mixture",
    "ratios",
    "reconstructions",
    "roofline",
]
