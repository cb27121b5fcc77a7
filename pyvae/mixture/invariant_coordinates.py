# SPDX-License-Identifier: MIT
"""Units in which clusters are apart, whatever the units of the points are."""

from __future__ import annotations

import torch
from torch import Tensor

from pyvae.mixture.covariance import Moments

_LEAST_SHARE = 0.1  # of the largest weight that a coordinate has
_LEAST_VARIANCE = 1e-10  # of the largest: the points have none in such a direction
_POINTS = 4  # for each coordinate


def invariant_scale(kind: Moments, x: Tensor, weight: Tensor) -> Tensor | None:
    """Give the matrix A ``(D, D)`` of x = A y, with y in invariant coordinates.

    These are whitened, and rotated to the axes of the fourth moments E[|y|^2 y y'], which of one
    Gaussian are D + 2 in any direction. In a mixture of Gaussians of one covariance they are
    others only where the means are: the axes that tell clusters apart are among these, by as much
    as their moments are unlike. Each is multiplied by that, so that distances are along them.

    Where components know no correlations A is diagonal, and each coordinate is treated so alone.

    Returns
    -------
    The matrix; None where components know no scales, or there are too few points to tell, or copies
    of one.

    References
    ----------
    Tyler, Critchley, Duembgen & Oja (2009), "Invariant co-ordinate selection"; Pena & Prieto
    (2001), "Cluster identification using projections".
    """
    n, d = x.shape
    if kind.parameters(1, d) == 1 < d or n < _POINTS * d:
        return None
    share = weight / weight.sum()
    x = x - share @ x
    if not kind.has_matrices:
        variances = share @ x.square()
        if not variances.max() > 0:
            return None
        scales = variances.clamp_min(_LEAST_VARIANCE * variances.max()).sqrt()
        fourth = share @ (x / scales).pow(4) / 3.0
        return torch.diag(scales / _weights(fourth, variances))
    variances, axes = torch.linalg.eigh((x * share[:, None]).T @ x)
    if not variances.max() > 0:
        return None
    scales = variances.clamp_min(_LEAST_VARIANCE * variances.max()).sqrt()
    white = x @ axes / scales
    lengths = share * white.square().sum(1)
    fourth, rotation = torch.linalg.eigh((white * lengths[:, None]).T @ white / (d + 2.0))
    some = variances @ rotation.square()  # a direction without any has no part in the rotation
    return (axes * scales) @ rotation / _weights(fourth, some)


def _weights(fourth: Tensor, variances: Tensor) -> Tensor:
    unlike = torch.where(variances > _LEAST_VARIANCE * variances.max(), (fourth - 1.0).abs(), 0.0)
    largest = unlike.max()
    return (unlike / largest).clamp_min(_LEAST_SHARE) if largest > 0 else torch.ones_like(unlike)
