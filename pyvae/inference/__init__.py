# SPDX-License-Identifier: MIT
"""Approximate inference: Gaussians nearest to a density, posteriors, and training objectives."""

from pyvae.inference.dependence import (
    gaussian_total_correlation,
    latent_correlation,
    latent_covariance,
    total_correlation,
)
from pyvae.inference.gaussian_fit import GaussianFit, fit_gaussian
from pyvae.inference.objectives import (
    importance_weighted_bound,
    score_function_bound,
    sleep_loss,
    wake_loss,
)
from pyvae.inference.posterior import (
    GridPosterior,
    PosteriorEstimate,
    posterior_estimate,
    posterior_on_grid,
)

__all__ = [
    "GaussianFit",
    "GridPosterior",
    "PosteriorEstimate",
    "fit_gaussian",
    "gaussian_total_correlation",
    "importance_weighted_bound",
    "latent_correlation",
    "latent_covariance",
    "posterior_estimate",
    "posterior_on_grid",
    "score_function_bound",
    "sleep_loss",
    "total_correlation",
    "wake_loss",
]
