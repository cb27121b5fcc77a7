# SPDX-License-Identifier: MIT
r"""A Gaussian whose covariance is that of a few factors and independent noise.

With z ~ N(0, I) of r factors, x = mu + Lambda z + e and e ~ N(0, Psi), Psi diagonal, x has the
covariance Sigma = Lambda Lambda' + Psi, and

    M = I + Lambda' Psi^-1 Lambda,  B = Psi^-1 Lambda M^-1 = Sigma^-1 Lambda,
    z | x ~ N(B' (x - mu), M^-1),   log |Sigma| = log |Psi| + log |M|,
    (x - mu)' Sigma^-1 (x - mu) = min_z |Psi^-1/2 (x - mu - Lambda z)|^2 + |z|^2,

whose minimum is at z = B' (x - mu). There the right side is a sum of squares, where Woodbury's
form, (x - mu)' Psi^-1 (x - mu) - |M^-1/2 Lambda' Psi^-1 (x - mu)|^2, takes a large number from
another; and an error of z changes it by the square of the error only. No D x D matrix is made.

Source: Ghahramani & Hinton (1996), "The EM algorithm for mixtures of factor analyzers"; Bishop
(2006), section 12.2.4.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class FactorPosterior(NamedTuple):
    """What is known of the factors given a point, of a Gaussian or a batch of them.

    Attributes
    ----------
    loadings
        Lambda, ``(..., D, r)``.
    noise
        The diagonal of Psi, ``(..., D)``.
    directions
        B, ``(..., D, r)``.
    root
        Of M^-1, which it is times its transpose, ``(..., r, r)``.
    log_determinant
        Of Sigma, ``(...)``.
    """

    loadings: Tensor
    noise: Tensor
    directions: Tensor
    root: Tensor
    log_determinant: Tensor

    @property
    def covariance(self) -> Tensor:
        """M^-1, ``(..., r, r)``."""
        return self.root @ self.root.mT

    def component(self, k: int) -> FactorPosterior:
        """Give that of one, whose axis is the last before a Gaussian's own."""
        parts = zip(self._fields, self, strict=True)
        return FactorPosterior(*(part.select(-_CORES[name] - 1, k) for name, part in parts))

    def to(self, dtype: torch.dtype) -> FactorPosterior:
        """Give the same in a dtype."""
        return FactorPosterior(*(part.to(dtype) for part in self))


_CORES = {"loadings": 2, "noise": 1, "directions": 2, "root": 2, "log_determinant": 0}


def factor_posterior(loadings: Tensor, noise: Tensor) -> FactorPosterior:
    """Give what the loadings ``(..., D, r)`` and the noise's variances ``(..., D)`` lead to."""
    scale = noise.rsqrt().unsqueeze(-1)
    identity = torch.eye(loadings.shape[-1]).to(loadings)
    identity = identity.expand(*loadings.shape[:-2], *identity.shape)
    # M = R'R of these rows: a Cholesky factor of M itself loses what is small beside |Lambda|^2
    turned, triangle = torch.linalg.qr(torch.cat([scale * loadings, identity], -2))
    root = torch.linalg.solve_triangular(triangle, identity, upper=True)
    directions = scale * (turned[..., : loadings.shape[-2], :] @ root.mT)
    diagonal = torch.diagonal(triangle, dim1=-2, dim2=-1)
    log_determinant = noise.log().sum(-1) + 2.0 * diagonal.abs().log().sum(-1)
    return FactorPosterior(loadings, noise, directions, root, log_determinant)


def squared_distance(gaps: Tensor, one: FactorPosterior) -> Tensor:
    """Give (x - mu)' Sigma^-1 (x - mu), ``(..., N)``, of gaps x - mu ``(..., N, D)``."""
    z = gaps @ one.directions
    if gaps.dim() == 2 and one.loadings.dim() == 2:
        noise = torch.addmm(gaps, z, one.loadings.mT, alpha=-1.0)
    else:
        noise = gaps - z @ one.loadings.mT
    weighed = noise.square() @ one.noise.reciprocal().unsqueeze(-1)
    return weighed.squeeze(-1) + z.square().sum(-1)
