# SPDX-License-Identifier: MIT
"""Approximate inference: Gaussians nearest to a density, posteriors, and training objectives."""

from pyvae.inference.gaussian_fit import GaussianFit, fit_gaussian
from pyvae.inference.objectives import importance_weighted_bound, sleep_loss, wake_loss
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
    "importance_weighted_bound",
    "posterior_estimate",
    "posterior_on_grid",
    "sleep_loss",
    "wake_loss",
]
