# SPDX-License-Identifier: MIT
"""Densities and responsibilities of a mixture whose covariances are of factors and noise.

As the ops give them of other covariances, in plain torch: ``x (..., N, D)`` under a mixture of
``cov_factor (..., K, D, r)`` and ``cov_diag (..., K, D)``. What rounds far from an origin is the
difference of points and means, which comes first; the formulas are :mod:`.factor_analysis`'s.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from pyvae.distributions.factor_analysis import factor_posterior, squared_distance
from pyvae.distributions.precision import computing_dtype, outside_autocast

_LOG_2PI = math.log(2.0 * math.pi)


def low_rank_log_prob(
    x: Tensor, log_weights: Tensor, means: Tensor, cov_factor: Tensor, cov_diag: Tensor
) -> Tensor:
    """Give the log-density, ``(..., N)``, in nats."""
    return _scored(x, log_weights, means, cov_factor, cov_diag)[1].to(x.dtype)


def low_rank_posterior(
    x: Tensor, log_weights: Tensor, means: Tensor, cov_factor: Tensor, cov_diag: Tensor
) -> Tensor:
    """Give the logarithms of the responsibilities, ``(..., N, K)``."""
    joint, log_prob = _scored(x, log_weights, means, cov_factor, cov_diag)
    none = (log_prob == -math.inf).unsqueeze(-1)
    shares = joint - torch.where(none, 0.0, log_prob.unsqueeze(-1))
    return torch.where(none, -math.inf, shares).to(x.dtype)


def dense_scale_tril(cov_factor: Tensor, cov_diag: Tensor) -> Tensor:
    """Give Cholesky factors ``(..., K, D, D)`` of the covariances, at O(K D^3)."""
    with outside_autocast(cov_factor):
        work = computing_dtype(cov_factor, cov_diag)
        factor, diagonal = cov_factor.to(work), cov_diag.to(work)
        # of [Psi^1/2, Lambda]: the covariance itself would lose a noise beside large loadings
        rows = torch.cat([torch.diag_embed(diagonal.sqrt()), factor], -1)
        upper = torch.linalg.qr(rows.mT).R
        signs = torch.where(torch.diagonal(upper, dim1=-2, dim2=-1) < 0, -1.0, 1.0).to(work)
        return (signs.unsqueeze(-1) * upper).mT.to(cov_factor.dtype)


def _scored(
    x: Tensor, log_weights: Tensor, means: Tensor, cov_factor: Tensor, cov_diag: Tensor
) -> tuple[Tensor, Tensor]:
    """Give log p(x, z), ``(..., N, K)``, and log p(x), ``(..., N)``, where there is one."""
    with outside_autocast(x):
        work = computing_dtype(x, log_weights, means, cov_factor, cov_diag)
        x, log_weights = x.to(work), log_weights.to(work)
        # What has no weight counts for nothing, whatever it holds; so does a point at infinity.
        living, far = log_weights > -math.inf, x.isinf().any(-1) & ~x.isnan().any(-1)
        means = torch.where(living.unsqueeze(-1), means.to(work), 0.0)
        cov_factor = torch.where(living[..., None, None], cov_factor.to(work), 0.0)
        cov_diag = torch.where(living.unsqueeze(-1), cov_diag.to(work), 1.0)
        x = torch.where(far.unsqueeze(-1), 0.0, x)
        factors = factor_posterior(cov_factor, cov_diag)
        distances = torch.stack(
            [
                squared_distance(x - means[..., k, :].unsqueeze(-2), factors.component(k))
                for k in range(means.shape[-2])
            ],
            -1,
        )
        spread = factors.log_determinant + means.shape[-1] * _LOG_2PI
        joint = log_weights.unsqueeze(-2) - 0.5 * (distances + spread.unsqueeze(-2))
        joint = torch.where(far.unsqueeze(-1), -math.inf, joint)
        none = (joint == -math.inf).all(-1)  # whose gradient is zero, not that of a logarithm of it
        log_prob = torch.logsumexp(torch.where(none.unsqueeze(-1), 0.0, joint), -1)
        return joint, torch.where(none, -math.inf, log_prob)
