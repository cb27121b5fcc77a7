# SPDX-License-Identifier: MIT
"""Mixtures by scikit-learn: scores, and one step of EM."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import torch
from sklearn.mixture import GaussianMixture
from torch import Tensor

from pyvae.bench.draw import Inputs


def mixture(inputs: Inputs) -> tuple[GaussianMixture, Any]:
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


def score(inputs: Inputs) -> Any:
    """Prepare ``score_samples``."""
    estimator, x = mixture(inputs)
    return lambda: (_tensor(estimator.score_samples(x)),)


def step(inputs: Inputs) -> Any:
    """Prepare one E step and one M step; the parameters are set back after each."""
    estimator, x = mixture(inputs)
    names = ("weights_", "means_", "covariances_", "precisions_cholesky_")
    start = {name: getattr(estimator, name) for name in names}

    def call() -> tuple[Tensor, ...]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            mean_log_prob, log_responsibilities = estimator._e_step(x)
            estimator._m_step(x, log_responsibilities)
        for name, value in start.items():
            setattr(estimator, name, value)
        return (_tensor(mean_log_prob),)

    return call


def _tensor(values: Any) -> Tensor:
    return torch.as_tensor(np.asarray(values))
