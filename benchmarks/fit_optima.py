# SPDX-License-Identifier: MIT
"""Which optimum a fit finds, over seeds of the start: pyvae's and scikit-learn's.

Run as ``python benchmarks/fit_optima.py``. The data and sizes are those of the fits of ``pyvae
bench``, which has the times; from equal parameters both give equal fits, so what differs is chance
and the start.
"""

from __future__ import annotations

import statistics
import warnings
from typing import Any

import sklearn.mixture
import torch
from sklearn.exceptions import ConvergenceWarning

from pyvae.bench.draw import draw
from pyvae.bench.sizes import FITS, label
from pyvae.mixture import GaussianMixture

SEEDS = 5
LIBRARIES = {"pyvae": GaussianMixture, "scikit-learn": sklearn.mixture.GaussianMixture}


def reached(estimator: Any, op: str, size: dict[str, int], seed: int) -> float:
    """Mean log-likelihood of a fit, in nats a point."""
    x = draw(op, size)["x"].numpy()
    mixture = estimator(
        size["k"],
        covariance_type=op.removeprefix("fit_"),
        max_iter=size["i"],
        tol=0.0,
        random_state=seed,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return float(mixture.fit(x).lower_bound_)


def main() -> None:
    """Fit, and print a Markdown table."""
    torch.set_num_threads(2)
    print(
        f"| fit | N, K, D, iterations | library | mean of {SEEDS} | each |\n|---|---|---|---|---|"
    )
    for op, sizes in FITS.items():
        for name, estimator in LIBRARIES.items():
            found = [reached(estimator, op, dict(sizes[0]), seed) for seed in range(SEEDS)]
            each = ", ".join(f"{value:.3f}" for value in found)
            size = label(sizes[0]).replace("x", ", ")
            print(f"| {op} | {size} | {name} | {statistics.mean(found):.3f} | {each} |", flush=True)


if __name__ == "__main__":
    main()
