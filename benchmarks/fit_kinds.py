# SPDX-License-Identifier: MIT
"""The kinds of whole fits: what each is of, where it starts, and who else makes it."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import sklearn.mixture
import torch
from torch import Generator

from benchmarks import fit_points as points
from benchmarks.peers import factors, libraries, products, textbook
from benchmarks.peers.textbook import Fitted
from benchmarks.variants import Inputs, Variant
from pyvae.mixture import (
    BayesianGaussianMixture,
    BernoulliMixture,
    CategoricalMixture,
    GaussianMixture,
    StudentTMixture,
    TableMixture,
)
from tests.ops.draws import Size

_KMEANS = "k-means, each library's own"
_RANDOM = "random responsibilities, each library's own"


@dataclass(frozen=True)
class Kind:
    """A kind of whole fit.

    Attributes
    ----------
    fitted
        Fits pyvae's estimator, and gives the mean log-likelihood that it reached, in nats; of a
        Bayesian mixture the bound on that of all points.
    peers
        Who else makes such a fit of a size, on the processor.
    start
        Where it starts, as the tables say it.
    draw
        Draws the points, and what else is known of them.
    """

    fitted: Fitted
    peers: Callable[[Size], tuple[Variant, ...]]
    start: str = _KMEANS
    draw: Callable[[Size, Generator], Inputs] = points.gaussian


def by(estimator: Any, **options: Any) -> Fitted:
    """Give the fit by an estimator, of pyvae's or of scikit-learn's.

    It takes as many iterations as the size says, and until it has converged where that says none.
    """

    def fitted(inputs: Inputs, size: Size) -> float:
        given = {name: _array(tensor) for name, tensor in inputs.items()}
        told = {"n_components": size["k"], "random_state": 0, **_effort(size), **options}
        mixture = estimator(**told)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that so few iterations did not converge
            return float(mixture.fit(given.pop("x"), **given).lower_bound_)

    return fitted


def _array(tensor: torch.Tensor) -> Any:
    """Give a tensor as the estimators of its device take it."""
    return tensor.numpy() if tensor.is_cpu else tensor


def _effort(size: Size) -> dict[str, Any]:
    found: dict[str, Any] = {"max_iter": size["i"], "tol": 0.0} if "i" in size else {}
    return found | ({"rank": size["r"]} if "r" in size else {})


def _noisy(inputs: Inputs, size: Size) -> float:
    """Fit Gaussians beside noise, from the means that are told."""
    k, d = inputs["means"].shape
    fitted = by(
        GaussianMixture,
        noise="uniform",
        weights_init=np.full(k, 1.0 / k),
        means_init=_array(inputs["means"]),
        precisions_init=np.broadcast_to(np.eye(d), (k, d, d)),
    )
    return fitted({"x": inputs["x"]}, size)


def _table(inputs: Inputs, size: Size) -> float:
    """Fit a table of which every column's family is told."""
    columns = dict(enumerate(points.families(size["d"])))
    fitted = by(TableMixture, columns=columns, init_params="random", variance_prior=0.0)
    return fitted(inputs, size)


def _scikits(estimator: Any, **options: Any) -> Callable[[Size], tuple[Variant, ...]]:
    fitted = by(estimator, **options)
    return lambda size: (libraries.by_scikit(lambda inputs: lambda: (fitted(inputs, size),)),)


def _of_both(own: Any, scikits: Any, covariance_type: str) -> Kind:
    options = {"covariance_type": covariance_type, "init_params": "kmeans"}
    return Kind(by(own, **options), _scikits(scikits, **options))


def _textbook(fitted: Fitted) -> Callable[[Size], tuple[Variant, ...]]:
    return lambda size: (textbook.textbook(fitted, size),)


_GAUSSIAN = GaussianMixture, sklearn.mixture.GaussianMixture
_BAYESIAN = BayesianGaussianMixture, sklearn.mixture.BayesianGaussianMixture
# Fits that both libraries make from k-means: the estimators, and the kind of covariance.
OF_BOTH: dict[str, tuple[Any, Any, str]] = {
    "fit_spherical": (*_GAUSSIAN, "spherical"),
    "fit_diag": (*_GAUSSIAN, "diag"),
    "fit_full": (*_GAUSSIAN, "full"),
    "fit_bayesian_diag": (*_BAYESIAN, "diag"),
    "fit_bayesian_full": (*_BAYESIAN, "full"),
}
KINDS: dict[str, Kind] = {
    **{op: _of_both(*estimators) for op, estimators in OF_BOTH.items()},
    "fit_low_rank": Kind(
        by(GaussianMixture, covariance_type="low_rank", init_params="kmeans"), factors.peers
    ),
    "fit_default": Kind(
        by(GaussianMixture),
        _scikits(sklearn.mixture.GaussianMixture),
        "each library's default, short_em of pyvae's and k-means of scikit-learn's; until it has "
        "converged by the tolerance of both, 0.001",
    ),
    "fit_student_t": Kind(
        by(StudentTMixture, init_params="kmeans"),
        lambda size: (libraries.student_t(size), *_textbook(textbook.of_student_t)(size)),
        draw=points.heavy_tailed,
    ),
    "fit_noise": Kind(
        _noisy,
        _textbook(textbook.of_noise),
        "the means that the points were drawn about, equal weights and unit covariances",
        points.noisy,
    ),
    "fit_labelled": Kind(
        by(GaussianMixture, init_params="kmeans"),
        _textbook(textbook.of_labels),
        "k-means from the means of the labelled points on, a tenth of all",
        points.labelled,
    ),
    "fit_bernoulli": Kind(
        by(BernoulliMixture, init_params="random"), products.binary, _RANDOM, points.binary
    ),
    "fit_categorical": Kind(
        by(CategoricalMixture, init_params="random"),
        products.categorical,
        _RANDOM,
        points.categorical,
    ),
    "fit_table": Kind(_table, products.mixed, _RANDOM, points.mixed),
}
