# SPDX-License-Identifier: MIT
"""Distributions of torch's kind on the ops, and divergences between them."""

from pyvae.distributions.categorical import categorical_kl
from pyvae.distributions.divergences import kl_mixture, register_gaussian_kl
from pyvae.distributions.gaussian_mixture import GaussianMixture

__all__ = ["GaussianMixture", "categorical_kl", "kl_mixture", "register_gaussian_kl"]
