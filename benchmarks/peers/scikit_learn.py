# SPDX-License-Identifier: MIT
"""Mixtures by scikit-learn: scores, and one step of EM."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import torch
from sklearn.mixture import GaussianMixture

from benchmarks.variants import SCIKIT, Call, Inputs, Variant


def by_scikit(prepare: Callable[[Inputs], Call], comparable: bool = True) -> Variant:
    """Make the variant by scikit-learn, which has no gradients."""
    return Variant(
        SCIKIT, lambda inputs, _: prepare(inputs), ("nk", "nk"), backward=False,
        comparable=comparable, runtime="numpy", devices=("cpu",),
    )  # fmt: skip


def _mixture(inputs: Inputs) -> tuple[Any, Any]:
    """Give a fitted mixture with these parameters, and the points."""
    means = inputs["means"].numpy()
    full = "scale_trils" in inputs
    estimator: Any = GaussianMixture(len(means), covariance_type="full" if full else "diag")
    estimator.weights_ = inputs["log_weights"].exp().numpy()
    estimator.means_ = means
    estimator.n_features_in_ = means.shape[1]
    if full:
        inverse = torch.linalg.inv(inputs["scale_trils"].double())
        estimator.precisions_cholesky_ = inverse.mT.float().contiguous().numpy()
        estimator.covariances_ = inputs["scale_trils"] @ inputs["scale_trils"].mT
    else:
        estimator.precisions_cholesky_ = torch.exp(-0.5 * inputs["logvars"]).numpy()
        estimator.covariances_ = inputs["logvars"].exp().numpy()
    return estimator, inputs["x"].numpy()


def _score(inputs: Inputs) -> Call:
    estimator, x = _mixture(inputs)
    return lambda: (estimator.score_samples(x),)


def _step(inputs: Inputs) -> Call:
    """Prepare one E step and one M step; the parameters are set back after each."""
    estimator, x = _mixture(inputs)
    start = dict(vars(estimator))

    def call() -> tuple[float]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            mean_log_prob, log_responsibilities = estimator._e_step(x)
            estimator._m_step(x, log_responsibilities)
        vars(estimator).update(start)
        return (mean_log_prob,)

    return call


SCORE = by_scikit(_score)
STEP = by_scikit(_step, comparable=False)
