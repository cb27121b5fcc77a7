# SPDX-License-Identifier: MIT
"""Cholesky factors of covariances, and what refuses those that have none."""

from __future__ import annotations

import weakref

import torch
from torch import Tensor

from pyvae.mixture.em import NoMaximum

_REASON = (
    "they hold one point, copies of one, or points on a line. Take fewer components, increase "
    "reg_covar, or scale X"
)


class IllDefined(NoMaximum):
    """Raised where a covariance is not positive definite; ``components`` are its components."""

    def __init__(self, components: Tensor, reason: str = _REASON) -> None:
        self.components = components.tolist()
        listed = ", ".join(map(str, self.components[:8])) + ", ..." * (len(self.components) > 8)
        super().__init__(f"ill-defined empirical covariance of components {listed}: {reason}")


class Factors:
    """Lower Cholesky factors, the last ones kept: a step of EM asks nine times for the same.

    They are forgotten when their covariances are, or have been written to.
    """

    def __init__(self) -> None:
        self._last: tuple[weakref.ref[Tensor], int, Tensor] | None = None

    def of(self, covariances: Tensor) -> Tensor:
        """Give the factors of ``(D, D)`` or ``(K, D, D)``, always ``(K, D, D)``.

        Raises
        ------
        IllDefined
            If a covariance is not positive definite.
        """
        if covariances.is_inference():  # these do not tell that they have been written to
            return _factors(covariances)
        last, version = self._last, covariances._version
        if last is not None and last[0]() is covariances and last[1] == version:
            return last[2]
        found = _factors(covariances)
        self._last = weakref.ref(covariances, self._forget), version, found
        return found

    def _forget(self, gone: weakref.ref[Tensor]) -> None:
        last = self._last
        if last is not None and last[0] is gone:
            self._last = None


def _factors(covariances: Tensor) -> Tensor:
    matrices = covariances if covariances.ndim == 3 else covariances[None]
    factors, wrong = torch.linalg.cholesky_ex(matrices)
    # a matrix of NaN has factors for all that LAPACK says
    wrong = (wrong != 0) | ~factors.isfinite().all(-1).all(-1)
    if wrong.any():
        raise IllDefined(wrong.nonzero()[:, 0])
    return factors
