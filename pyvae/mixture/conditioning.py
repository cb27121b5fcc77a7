# SPDX-License-Identifier: MIT
"""How far a mixture's covariances amplify rounding, and so what a check of F may ask for.

Of a component with mean m about the origin, covariance S and P = S^-1, let s_j^2 = S_jj, let h be
the step that its mean took in the last M step, and

    V = sum_j P_jj (s_j^2 + h_j^2),   A = sum_j P_jj (s_j^2 + m_j^2).

P_jj S_jj is the variance inflation factor of coordinate j: 1 where it is uncorrelated with the
others, without bound where they tell it. V knows nothing of units; of means that stay it is at
least d and at most d times the condition number of the correlations. Rounding by a relative eps
moves, in nats a point,

- a squared distance g'Pg: gaps of points to a rounded mean are off by e with |e_j| <= eps
  (s_j + |m_j|), so by Cauchy's inequality in P it moves by 2 sqrt(e'Pe g'Pg) <= 4 eps d sqrt(A),
  as g'Pg is d on average and e'Pe <= 2 eps^2 d A;
- tr(PS) and log |S|: sums of rounded products about the earlier mean are off by
  eps (s_i s_j + h_i h_j), in the dtype of the points; so the covariance of a component that closes
  in on copies of one point may be lost in its step. In float64, and d + 1 times, the matrix of
  which Cholesky's method has the factor is off as well (Higham 2002, theorem 10.5). Either moves
  them by at most eps d V, as |P_ij| <= sqrt(P_ii P_jj).

F and log p(x) agree within a few of these, and so does F before and after a step that leaves it.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from pyvae.mixture.covariance import Covariance, Parameters
from pyvae.mixture.tensors import to_host

# What F is off where nothing is amplified: of scores in float32, and of sums in float64.
UNIT = {torch.float32: 1e-5, torch.float64: 1e-9}
_FEW = 4.0
_INFLATED = 2000.0  # mean inflation factor that leaves float32 some three digits of a variance


def rounding(
    kind: Covariance, p: Parameters, dtype: torch.dtype, step: Tensor | None = None
) -> float:
    """Give what F may be off, in nats a point, of points in this dtype.

    ``step (K, D)`` is h; None stands for means that stay.
    """
    variances, precisions = kind.diagonals(p.covariances)
    around = variances if step is None else variances + step.square()
    inflation, distance = to_host(
        _weighed(p, precisions * around), _weighed(p, precisions * (variances + p.means.square()))
    )
    d = p.means.shape[1]
    eps, wide = torch.finfo(dtype).eps, torch.finfo(torch.float64).eps
    products = (eps + (d + 1.0) * wide) * d * inflation
    return UNIT[dtype] + _FEW * (products + eps * d * math.sqrt(distance))


def working_dtype(kind: Covariance, p: Parameters, dtype: torch.dtype) -> torch.dtype:
    """Give the dtype to work in: float64 where sums of float32 products lose such covariances."""
    if dtype == torch.float64 or not kind.has_matrices:
        return dtype
    variances, precisions = kind.diagonals(p.covariances)
    inflated = _weighed(p, precisions * variances).item() > _INFLATED * p.means.shape[1]
    return torch.float64 if inflated else dtype


def _weighed(p: Parameters, by_coordinate: Tensor) -> Tensor:
    """Give the sum over the coordinates, weighed over the components, ``()``."""
    return p.weights / p.weights.sum() @ by_coordinate.expand_as(p.means).sum(1)
