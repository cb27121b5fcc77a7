# SPDX-License-Identifier: MIT
"""Fused kernels for Gaussians and Gaussian mixtures as torch ops, and the models built on them."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pyvae import ops
    from pyvae.ops import (
        gaussian_kl,
        gaussian_kl_pairwise,
        gaussian_kl_tril,
        mixture_elbo_terms,
        mixture_log_prob,
        mixture_log_prob_tril,
        mixture_posterior,
        mixture_posterior_tril,
        mixture_statistics,
        mixture_statistics_tril,
    )

    __version__: str

__all__ = [
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
    "ops",
]


def __getattr__(name: str) -> Any:
    """Import the ops, and torch with them, when they are first asked for.

    Torch takes seconds, which ``pyvae --help`` and the mistakes it catches do without.
    """
    if name != "__version__" and name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    ops = import_module("pyvae.ops")
    globals().update(
        {public: getattr(ops, public) for public in __all__ if public != "ops"},
        ops=ops,
        __version__=ops.build_info()["version"],
    )
    return globals()[name]


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, "__version__"})
