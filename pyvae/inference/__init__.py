# SPDX-License-Identifier: MIT
"""Approximate inference: Gaussians that are nearest to a target, in either direction of the KL."""

from pyvae.inference.gaussian_fit import GaussianFit, fit_gaussian

__all__ = ["GaussianFit", "fit_gaussian"]
