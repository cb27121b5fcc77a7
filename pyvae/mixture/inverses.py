# SPDX-License-Identifier: MIT
"""Back from precisions' factors to covariances."""

from __future__ import annotations

import torch
from torch import Tensor

from pyvae.mixture.covariance import Moments
from pyvae.mixture.factors import IllDefined


def from_precisions_cholesky(kind: Moments, cholesky: Tensor) -> Tensor:
    """Give the covariances of precisions' factors, upper (scikit-learn's) or lower.

    Raises
    ------
    IllDefined
        If they are no such factors.
    """
    if not kind.has_matrices:
        kind.precisions_cholesky(cholesky)  # refuses what is not positive
        return cholesky.square().reciprocal()
    factors = kind.aligned(cholesky)
    positive = (torch.diagonal(factors, dim1=-2, dim2=-1) > 0).all(1)
    upper = (factors.tril(-1) == 0.0).all(-1).all(-1)
    lower = (factors.triu(1) == 0.0).all(-1).all(-1)
    wrong = ~(positive & (upper | lower))
    if wrong.any():
        raise IllDefined(wrong.nonzero()[:, 0])
    inverse = torch.linalg.inv(factors)
    return kind.compact(inverse.mT @ inverse)


def misfit(kind: Moments, covariances: Tensor, cholesky: Tensor) -> float:
    """Give how far covariances are from those of such factors, in shares of them.

    Raises
    ------
    IllDefined
        If a covariance is not positive definite.
    """
    own = kind.precisions_cholesky(covariances)
    if not kind.has_matrices:
        return (cholesky / own - 1.0).abs().max().item()
    product = torch.linalg.solve_triangular(own, cholesky, upper=True)
    return (product - _identity(product)).abs().max().item()


def _identity(matrices: Tensor) -> Tensor:
    return torch.eye(matrices.shape[-1]).to(matrices)
