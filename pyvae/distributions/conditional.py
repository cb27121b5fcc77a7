# SPDX-License-Identifier: MIT
"""Some coordinates of a Gaussian given the others, and some of them alone, from Cholesky factors.

With the given coordinates a before the others b, let R be the Cholesky factor of the covariance:

    Sigma = R R',  R = [R_aa 0; R_ba R_bb],  so  Sigma_aa = R_aa R_aa',  Sigma_ba = R_ba R_aa',

    E[x_b | x_a] = mu_b + B (x_a - mu_a),  B = Sigma_ba Sigma_aa^-1 = R_ba R_aa^-1,
    Cov[x_b | x_a] = Sigma_bb - Sigma_ba Sigma_aa^-1 Sigma_ab = R_bb R_bb'.

R is made of a factor L in another order without a product L L': the rows of L in the new order are
R Q with orthogonal rows in Q, by Householder's reflections (Golub & Van Loan 2013, section 5.2).
Nothing is subtracted and nothing inverted: a covariance of the rest is positive definite as it
comes, and errors grow with the condition number of L, the root of that of Sigma.

Source: Bishop (2006), section 2.3.1; of mixtures Ghahramani & Jordan (1994), section 3.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from pyvae.distributions.factor_analysis import FactorPosterior, squared_distance
from pyvae.distributions.precision import computing_dtype, outside_autocast
from pyvae.ops.modes import is_plain, readable


class Conditional(NamedTuple):
    """The rest ``b`` given the coordinates ``a``: their factors, and what leads from one to other.

    Attributes
    ----------
    given
        R_aa, the factor of the covariance of the given, ``(..., a, a)``.
    regression
        B, ``(..., b, a)``.
    rest
        R_bb, the factor of the covariance of the rest, whatever is given, ``(..., b, b)``.
    """

    given: Tensor
    regression: Tensor
    rest: Tensor


class Regression(NamedTuple):
    """E[y | x], and the variances of y given x, or the covariance.

    Attributes
    ----------
    mean
        ``(..., Dy)``.
    covariance
        Variances ``(..., Dy)``, or matrices ``(..., Dy, Dy)`` where these are asked for.
    """

    mean: Tensor
    covariance: Tensor


def conditional(scale_tril: Tensor, given: Sequence[int], rest: Sequence[int]) -> Conditional:
    """Give the rest given some coordinates, of factors ``(..., D, D)``."""
    factor, count = marginal_factor(scale_tril, [*given, *rest]), len(given)
    inside, cross = factor[..., :count, :count], factor[..., count:, :count]
    work = computing_dtype(factor)
    regression = torch.linalg.solve_triangular(
        inside.to(work), cross.to(work), upper=False, left=False
    )
    return Conditional(inside, regression.to(factor.dtype), factor[..., count:, count:])


def marginal_factor(scale_tril: Tensor, columns: Sequence[int]) -> Tensor:
    """Give the Cholesky factor of the covariance of some coordinates, in their order."""
    count = len(columns)
    if list(columns) == list(range(count)):
        return scale_tril[..., :count, :count].tril()
    rows = scale_tril.tril()[..., columns, :]
    work = rows.to(computing_dtype(rows))
    # torch differentiates R only beside Q
    mode = "r" if is_plain() and not work.requires_grad else "reduced"
    upper = torch.linalg.qr(work.mT, mode=mode).R
    signs = torch.where(torch.diagonal(upper, dim1=-2, dim2=-1) < 0, -1.0, 1.0).to(work)
    return (signs.unsqueeze(-1) * upper).mT.to(rows.dtype)


def conditional_means(means: Tensor, gaps: Tensor, regression: Tensor) -> Tensor:
    """Give mu_b + B (x_a - mu_a), of means ``(..., K, b)`` and gaps ``(..., K, a)``."""
    work = computing_dtype(gaps, regression)
    with outside_autocast(gaps):
        moved = torch.einsum("...ka,...kba->...kb", gaps.to(work), regression.to(work))
    return (means + moved).to(means.dtype)


def low_rank_conditional_means(
    means: Tensor, gaps: Tensor, factors: FactorPosterior, loadings: Tensor
) -> Tensor:
    """Give mu_b + Lambda_b E[z | x_a], of means ``(..., K, b)`` and gaps ``(..., K, a)``.

    What is not given depends on what is by the factors alone. Given a root of their covariance V
    = T T', the rest has the loadings Lambda_b T, and the noise that it had.
    """
    with outside_autocast(gaps):
        z = torch.einsum("...ka,...kar->...kr", gaps.to(loadings.dtype), factors.directions)
        moved = torch.einsum("...kr,...kbr->...kb", z, loadings)
    return (means + moved).to(means.dtype)


def with_the_nearest(
    log_shares: Tensor,
    gaps: Tensor,
    log_weights: Tensor,
    lengths: Callable[[Tensor], Tensor],
) -> Tensor:
    """Give all to the nearest component where a point is so far that no density is above zero.

    There the squared distances are beyond the dtype, and so are their differences: in the limit
    one component is left, or those that are as near, by their weights. ``lengths`` gives the
    distances of gaps ``(..., K, a)``.
    """
    gone = (log_shares == -torch.inf).all(-1, keepdim=True)
    known = readable(gone)
    if known is not None and not known.any():
        return log_shares
    with torch.no_grad(), outside_autocast(gaps):
        work = computing_dtype(gaps)
        size = gaps.abs().amax((-2, -1), keepdim=True)
        scaled = torch.where(size > 0, gaps / size, 0.0).to(work)
        distances = lengths(scaled)
        distances = torch.where(log_weights > -torch.inf, distances, torch.inf)
        nearest = distances == distances.amin(-1, keepdim=True)
        limit = torch.where(nearest, log_weights, -torch.inf).log_softmax(-1)
    return torch.where(gone, limit.to(log_shares.dtype), log_shares)


def lengths_by_factors(gaps: Tensor, scale_tril: Tensor) -> Tensor:
    """Give distances under Cholesky factors that order them, no more."""
    factors = scale_tril.tril().to(gaps)  # a product by an inverse will do
    identity = torch.eye(factors.shape[-1], dtype=factors.dtype, device=factors.device)
    inverse = torch.linalg.solve_triangular(factors, identity, upper=False)
    return torch.linalg.vector_norm(torch.einsum("...ka,...kba->...kb", gaps, inverse), dim=-1)


def lengths_by_variances(gaps: Tensor, logvars: Tensor) -> Tensor:
    """Give distances under log-variances."""
    return torch.linalg.vector_norm(gaps * torch.exp(-0.5 * logvars.to(gaps)), dim=-1)


def lengths_by_loadings(gaps: Tensor, factors: FactorPosterior) -> Tensor:
    """Give distances under low-rank covariances."""
    factors = factors.to(gaps.dtype)
    squares = [
        squared_distance(gaps[..., k, :].unsqueeze(-2), factors.component(k)).squeeze(-1)
        for k in range(gaps.shape[-2])
    ]
    return torch.stack(squares, -1).sqrt()
