# SPDX-License-Identifier: MIT
"""Approximate inference: Gaussians nearest to a density, and what a model's posterior really is."""

from pyvae.inference.gaussian_fit import GaussianFit, fit_gaussian
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
    "posterior_estimate",
    "posterior_on_grid",
]
