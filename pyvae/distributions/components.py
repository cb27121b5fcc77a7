# SPDX-License-Identifier: MIT
"""What a mixture of Gaussians reads from torch's own distributions, and writes to them."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.distributions import (
    Categorical,
    Distribution,
    Independent,
    LowRankMultivariateNormal,
    MixtureSameFamily,
    MultivariateNormal,
    Normal,
)

from pyvae.errors import WrongType

Parameters = dict[str, Tensor]


def gaussian_parameters(distribution: Distribution) -> Parameters | None:
    """``means`` ``(*batch, D)`` and covariances by their names; None of what is no Gaussian.

    A ``Normal`` is one in one dimension.
    """
    if isinstance(distribution, MultivariateNormal):
        return {"means": distribution.loc, "scale_tril": distribution.scale_tril}
    if isinstance(distribution, LowRankMultivariateNormal):
        factor, diagonal = distribution.cov_factor, distribution.cov_diag
        return {"means": distribution.loc, "cov_factor": factor, "cov_diag": diagonal}
    if isinstance(distribution, Normal):
        loc, scale = distribution.loc.unsqueeze(-1), distribution.scale.unsqueeze(-1)
        return {"means": loc, "logvars": 2.0 * scale.log()}
    if is_diagonal(distribution):
        base = distribution.base_dist  # type: ignore[attr-defined]
        return {"means": base.loc, "logvars": 2.0 * base.scale.log()}
    return None


def is_diagonal(distribution: Distribution) -> bool:
    """Whether it is ``Independent(Normal(...), 1)``."""
    return (
        isinstance(distribution, Independent)
        and isinstance(distribution.base_dist, Normal)
        and distribution.reinterpreted_batch_ndims == 1
    )


def mixture_parameters(mixture: MixtureSameFamily, caller: str) -> Parameters:
    """``log_weights`` besides, of a mixture of torch's; raises TypeError of another family."""
    is_mixture = isinstance(mixture, MixtureSameFamily)
    parts = mixture.component_distribution if is_mixture else mixture
    found = gaussian_parameters(parts) if is_mixture else None
    if found is None or not parts.event_shape:
        raise WrongType(
            f"{caller}: got {type(mixture).__name__} of {type(parts).__name__}; expected "
            "MixtureSameFamily of MultivariateNormal, LowRankMultivariateNormal or "
            "Independent(Normal(...), 1)"
        )
    return {"log_weights": log_weights_of(mixture.mixture_distribution), **found}


def gaussians(means: Tensor, spread: Parameters) -> Distribution:
    """The components as torch's distribution, ``(*batch, K)`` of them."""
    if "cov_factor" in spread:
        factor, diagonal = spread["cov_factor"], spread["cov_diag"]
        return LowRankMultivariateNormal(means, factor, diagonal, validate_args=False)
    if "scale_tril" in spread:
        factors = spread["scale_tril"].expand(*means.shape, means.shape[-1])
        return MultivariateNormal(means, scale_tril=factors, validate_args=False)
    scale = torch.exp(0.5 * spread["logvars"]).expand(means.shape)
    return Independent(Normal(means, scale, validate_args=False), 1, validate_args=False)


def log_weights_of(categorical: Categorical) -> Tensor:
    """Logarithms of the weights. torch's own ``logits`` of a probability of zero are not -inf."""
    logits = categorical.logits
    probs = categorical.__dict__.get("probs")
    if probs is None:
        return logits
    # A clamped logit is not so low that its probability would underflow.
    return torch.where((probs == 0) & (logits.exp() > 0), -math.inf, logits)
