# SPDX-License-Identifier: MIT
"""Points of a mixture, and a place to start from, for the tests of fits."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import sklearn.mixture
from sklearn.exceptions import ConvergenceWarning

KINDS = ("full", "tied", "diag", "spherical", "tied_diag", "tied_spherical")
THEIRS = KINDS[:4]  # scikit-learn's


def clusters(count: int = 300, d: int = 4, seed: int = 0) -> np.ndarray:
    """Three overlapping clusters of different widths."""
    random = np.random.default_rng(seed)
    places = ((0.0, 1.0), (3.0, 0.7), (-3.0, 1.5))
    return np.concatenate([random.normal(mean, sigma, (count, d)) for mean, sigma in places])


def same_start(x: np.ndarray, kind: str, k: int = 3, seed: int = 0) -> dict[str, Any]:
    """Constructor arguments of both libraries' estimators that leave no choice of a start."""
    untied = kind if kind in THEIRS else kind.removeprefix("tied_")
    theirs = sklearn.mixture.GaussianMixture(
        k, covariance_type=untied, random_state=seed, max_iter=1
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        theirs.fit(x)
    return {
        "n_components": k,
        "covariance_type": kind,
        "weights_init": theirs.weights_,
        "means_init": theirs.means_,
        "precisions_init": theirs.precisions_ if kind in THEIRS else theirs.precisions_.mean(0),
    }
