# SPDX-License-Identifier: MIT
"""A table of mixed columns, and a fit to it, for the tests of mixtures of products."""

from __future__ import annotations

from typing import Any

import numpy as np

from pyvae.mixture import TableMixture

K = 3
FAMILIES = {0: "gaussian", 1: "bernoulli", 2: "categorical", 3: "categorical", 4: "gaussian",
            5: "bernoulli"}  # fmt: skip


def table(count: int = 200, missing: float = 0.0, seed: int = 0) -> np.ndarray:
    """Three clusters in columns of ``FAMILIES``, of 3 and 4 categories."""
    random = np.random.default_rng(seed)
    z = random.integers(0, K, count)
    x = np.stack(
        [
            random.normal(2.0 * z, 0.5),
            random.random(count) < np.array([0.1, 0.5, 0.9])[z],
            (z + (random.random(count) < 0.3)) % 3,
            random.integers(0, 4, count),
            random.normal(1e3 - z, 1.0),
            random.random(count) < np.array([0.8, 0.2, 0.2])[z],
        ],
        1,
    )
    x[random.random(x.shape) < missing] = np.nan
    return x


def fitted(x: np.ndarray, **options: Any) -> TableMixture:
    options = {"random_state": 0, "missing_values": "marginalize", "tol": 1e-9, "max_iter": 2000,
               "columns": FAMILIES} | options  # fmt: skip
    weight = options.pop("sample_weight", None)
    return TableMixture(K, **options).fit(x, sample_weight=weight)
