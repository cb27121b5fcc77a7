# SPDX-License-Identifier: MIT
"""Whole fits of a mixture, from k-means: pyvae's, and on the processor scikit-learn's.

Of a mixture of factor analysers scikit-learn has that of one component; of more the peer is EM as
it is written in papers.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import sklearn.mixture
import torch

from benchmarks.cases import Case
from benchmarks.peers import factors
from benchmarks.peers.libraries import by_scikit
from benchmarks.results import FORWARD
from benchmarks.variants import PYVAE, Call, Inputs, Variant
from pyvae.mixture import BayesianGaussianMixture, GaussianMixture
from tests.ops.draws import Size, sizes_of

# By device: points, components, coordinates, iterations; and factors.
FITS = {
    "cpu": {
        "fit_diag": sizes_of("nkdi", (65536, 256, 64, 20), (65536, 256, 64, 100)),
        "fit_full": sizes_of("nkdi", (100_000, 16, 32, 20), (100_000, 16, 32, 100)),
        "fit_low_rank": sizes_of("nkdir", (20_000, 1, 512, 20, 16), (8192, 32, 1536, 5, 16)),
        "fit_bayesian_diag": sizes_of("nkdi", (65536, 64, 64, 10)),
        "fit_bayesian_full": sizes_of("nkdi", (100_000, 16, 32, 10)),
    },
    "cuda": {
        "fit_spherical": sizes_of("nkdi", (2_000_000, 32, 64, 20)),
        "fit_diag": sizes_of("nkdi", (1_000_000, 64, 32, 20)),
        "fit_full": sizes_of("nkdi", (1_000_000, 16, 32, 20)),
    },
}
_BAYESIAN = "fit_bayesian_"


def estimators(op: str) -> tuple[Any, Any]:
    """Give pyvae's estimator of such a fit, and scikit-learn's."""
    if op.startswith(_BAYESIAN):
        return BayesianGaussianMixture, sklearn.mixture.BayesianGaussianMixture
    return GaussianMixture, sklearn.mixture.GaussianMixture


@dataclass(frozen=True)
class Fit(Case):
    """A fit of so many iterations; its result is the mean log-likelihood, in nats.

    Of a Bayesian mixture it is the bound on that of all points.
    """

    @property
    def directions(self) -> tuple[str, ...]:
        """One pass: a fit has no gradients."""
        return (FORWARD,)

    def draw(self, device: str = "cpu") -> Inputs:
        """Draw points of as many clusters, which overlap."""
        generator = torch.Generator().manual_seed(0)
        shape, count = (self.size["n"], self.size["d"]), self.size["k"]
        centres = 2.0 * torch.randn(count, shape[1], generator=generator)
        spread = 0.5 + torch.rand(shape[1], generator=generator)
        chosen = torch.randint(count, shape[:1], generator=generator)
        x = centres[chosen] + spread * torch.randn(shape, generator=generator)
        return {"x": x.to(device)}

    def truth(self, inputs: Inputs, backward: bool) -> tuple[Any, ...]:
        """Give pyvae's in float64."""
        x = _points({"x": inputs["x"].double()})
        return (reached(estimators(self.op)[0], self.op, self.size, x),)

    def error(self, got: Sequence[Any], want: Sequence[Any], backward: bool) -> float:
        """Tell by how much a log-likelihood is below the exact one's, relative; above is zero."""
        (value,), (exact,) = got, want
        return max(0.0, (exact - value) / max(1.0, abs(exact)))


def _points(inputs: Inputs) -> np.ndarray | torch.Tensor:
    """Give them as the estimators of a device take them."""
    x = inputs["x"]
    return x.numpy() if x.is_cpu else x


def fit(op: str, size: Size, device: str = "cpu") -> Fit:
    """Make the case of a fit."""

    def prepare(estimator: Any, inputs: Inputs) -> Call:
        x = _points(inputs)
        return lambda: (reached(estimator, op, size, x),)

    own, scikits = estimators(op)
    ours = Variant(PYVAE, lambda inputs, _: prepare(own, inputs), backward=False)
    theirs = factors.peers(size) if "r" in size else (by_scikit(partial(prepare, scikits)),)
    return Fit(op, size, tuple(each for each in (ours, *theirs) if each.joins(size, device)))


def reached(
    estimator: Any,
    op: str,
    size: Size,
    x: np.ndarray | torch.Tensor,
    seed: int = 0,
    start: str = "kmeans",
) -> float:
    """Fit and give the bound that was reached; k-means is the start that both libraries have."""
    kind = op.removeprefix(_BAYESIAN).removeprefix("fit_")
    options = {"max_iter": size["i"], "tol": 0.0, "random_state": seed, "init_params": start}
    options |= {"rank": size["r"]} if "r" in size else {}
    mixture = estimator(n_components=size["k"], covariance_type=kind, **options)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that so few iterations did not converge
        return float(mixture.fit(x).lower_bound_)
