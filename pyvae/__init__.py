# SPDX-License-Identifier: MIT
"""Fused kernels for Gaussians and Gaussian mixtures as torch ops, and the models built on them."""

import torch as _torch  # noqa: F401  # loads the libraries that the compiled module leans on

from pyvae import ops
from pyvae.ops import gaussian_kl, mixture_elbo_terms, mixture_log_prob, mixture_posterior

__version__: str = ops.build_info()["version"]

__all__ = [
    "gaussian_kl",
    "mixture_elbo_terms",
    "mixture_log_prob",
    "mixture_posterior",
    "ops",
]
