# SPDX-License-Identifier: MIT
"""The kinds of covariance of a Gaussian mixture, by their names."""

from __future__ import annotations

from pyvae.mixture.kind import LOG_2PI, Covariance, Parameters
from pyvae.mixture.matrices import Matrices
from pyvae.mixture.variances import Variances

__all__ = ["COVARIANCES", "LOG_2PI", "Covariance", "Parameters"]

COVARIANCES: dict[str, Covariance] = {
    kind.name: kind
    for kind in (
        Matrices("full", tied=False),
        Matrices("tied", tied=True),
        Variances("diag", tied=False, isotropic=False),
        Variances("spherical", tied=False, isotropic=True),
        Variances("tied_diag", tied=True, isotropic=False),
        Variances("tied_spherical", tied=True, isotropic=True),
    )
}
