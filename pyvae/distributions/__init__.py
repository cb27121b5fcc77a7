# SPDX-License-Identifier: MIT
"""Distributions of torch's kind on the ops, and divergences between them."""

from pyvae.distributions.categorical import categorical_kl
from pyvae.distributions.conditional import Regression
from pyvae.distributions.divergences import kl_mixture
from pyvae.distributions.gaussian_mixture import GaussianMixture
from pyvae.distributions.monte_carlo import set_kl_samples
from pyvae.distributions.registry import register_gaussian_kl

__all__ = [
    "GaussianMixture",
    "Regression",
    "categorical_kl",
    "kl_mixture",
    "register_gaussian_kl",
    "set_kl_samples",
]
