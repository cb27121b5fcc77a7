# SPDX-License-Identifier: MIT
"""Pictures of a trained model and of a mixture: arrays in, a matplotlib Figure out.

No pyplot and no global state, so they can be drawn from threads, servers and tests alike; save one
with ``figure.savefig(path)``. ``style`` is the look that they share, for pictures of one's own.
"""

from __future__ import annotations

from ._confusion import confusion
from ._divergences import Fit, FittedTarget, Sweep, kl_directions
from ._examples import component_samples, reconstructions
from ._history import history
from ._latent import latent_space
from ._merges import merges
from ._mixture import information_criterion, mixture
from ._profiles import component_profiles

__all__ = [
    "Fit",
    "FittedTarget",
    "Sweep",
    "component_profiles",
    "component_samples",
    "confusion",
    "history",
    "information_criterion",
    "kl_directions",
    "latent_space",
    "merges",
    "mixture",
    "reconstructions",
]
