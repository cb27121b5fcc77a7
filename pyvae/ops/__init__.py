# SPDX-License-Identifier: MIT
"""The ops: compiled kernels behind ordinary torch functions."""

import torch as _torch  # noqa: F401  # loads the libraries that the compiled module leans on

from pyvae._C import build_info, op_table
from pyvae.ops._cuda import MISSING as CUDA_MISSING
from pyvae.ops.kl import gaussian_kl, gaussian_kl_pairwise, gaussian_kl_tril
from pyvae.ops.mixture import (
    MixtureElboTerms,
    MixturePosterior,
    mixture_elbo_terms,
    mixture_log_prob,
    mixture_posterior,
)
from pyvae.ops.mixture_tril import mixture_log_prob_tril, mixture_posterior_tril
from pyvae.ops.statistics import MixtureStatistics, mixture_statistics, mixture_statistics_tril

__all__ = [
    "CUDA_MISSING",
    "MixtureElboTerms",
    "MixturePosterior",
    "MixtureStatistics",
    "build_info",
    "gaussian_kl",
    "gaussian_kl_pairwise",
    "gaussian_kl_tril",
    "mixture_elbo_terms",
    "mixture_log_prob",
    "mixture_log_prob_tril",
    "mixture_posterior",
    "mixture_posterior_tril",
    "mixture_statistics",
    "mixture_statistics_tril",
    "op_table",
]
