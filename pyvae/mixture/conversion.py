# SPDX-License-Identifier: MIT
"""An estimator's parameters as a distribution, and back."""

from __future__ import annotations

from pyvae.distributions import GaussianMixture as Distribution
from pyvae.mixture.covariance import Covariance, Parameters
from pyvae.mixture.factors import Factors


def as_distribution(kind: Covariance, p: Parameters) -> Distribution:
    """Give the distribution of float64 parameters."""
    if kind.has_matrices:
        spread = {"scale_tril": Factors().of(p.covariances)}
    else:
        logvars = p.covariances.log()
        spread = {"logvars": logvars[:, None] if logvars.ndim == 1 else logvars}
    return Distribution(p.weights.log(), p.means, **spread, validate_args=True)


def of_distribution(kind: Covariance, mixture: Distribution) -> Parameters:
    """Give the parameters of one mixture, or of a batch that has its covariances in common."""
    log_weights, means, spread = mixture.arguments()
    if kind.has_matrices:
        covariances = spread @ spread.mT
        covariances = covariances.squeeze(-3) if kind.pooled else covariances
    else:
        covariances = spread.exp()
        isotropic = kind.shape(*means.shape[-2:]) == means.shape[-2:-1]
        covariances = covariances.squeeze(-1) if isotropic else covariances
    return Parameters(log_weights.exp(), means, covariances)
