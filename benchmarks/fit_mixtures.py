# SPDX-License-Identifier: MIT
"""Whole fits of a Gaussian mixture beside scikit-learn's, start included: seconds and likelihood.

Both take equally many iterations in float32. `python benchmarks/fit_mixtures.py [THREADS]`
"""

from __future__ import annotations

import sys
import time
import warnings
from typing import Any

import numpy as np
import sklearn.mixture
import torch
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_limits

from pyvae.mixture import GaussianMixture

# Points, components, dimensions, kind of covariance, iterations.
FITS = (
    (65536, 256, 64, "diag", 20),
    (65536, 256, 64, "diag", 100),
    (100_000, 16, 32, "full", 20),
    (100_000, 16, 32, "full", 100),
)
ROUNDS = 3


def points(n: int, k: int, d: int) -> np.ndarray:
    """Overlapping clusters."""
    random = np.random.default_rng(0)
    centres = 2.0 * random.normal(size=(k, d))
    noise = random.normal(size=(n, d)) * random.uniform(0.5, 1.5, size=d)
    return (centres[random.integers(0, k, n)] + noise).astype(np.float32)


def fit(estimator: type, x: np.ndarray, k: int, kind: str, iterations: int) -> tuple[float, Any]:
    """Seconds of a fit, and what was fitted."""
    mixture = estimator(k, covariance_type=kind, max_iter=iterations, tol=0.0, random_state=0)
    started = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        mixture.fit(x)
    return time.perf_counter() - started, mixture


def main() -> None:
    """Let both take turns, and print the medians."""
    threads = int(sys.argv[1]) if len(sys.argv) > 1 else 2
    torch.set_num_threads(threads)
    print("N, K, D            kind  iterations  pyvae, s  scikit-learn, s  times  nats a point")
    with threadpool_limits(threads):
        for n, k, d, kind, iterations in FITS:
            x = points(n, k, d)
            ours, theirs, bounds = [], [], (0.0, 0.0)
            for _ in range(ROUNDS if iterations < 100 else 1):
                seconds, mine = fit(GaussianMixture, x, k, kind, iterations)
                ours.append(seconds)
                seconds, other = fit(sklearn.mixture.GaussianMixture, x, k, kind, iterations)
                theirs.append(seconds)
                bounds = mine.lower_bound_, float(other.lower_bound_)
            a, b = np.median(ours), np.median(theirs)
            size = f"{n}, {k}, {d}"
            print(
                f"{size:18s} {kind:5s} {iterations:10d} {a:9.2f} {b:16.2f} {b / a:5.1f}x"
                f"  {bounds[0]:.4f} and {bounds[1]:.4f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
