# SPDX-License-Identifier: MIT
"""The kinds of covariance of a Gaussian mixture, by their names."""

from __future__ import annotations

from pyvae.errors import WrongValue
from pyvae.mixture.kind import LOG_2PI, Covariance, Parameters
from pyvae.mixture.low_rank import LowRank
from pyvae.mixture.matrices import Matrices
from pyvae.mixture.moments import Moments
from pyvae.mixture.variances import Variances

__all__ = [
    "COVARIANCES",
    "LOG_2PI",
    "NAMES",
    "Covariance",
    "LowRank",
    "Moments",
    "Parameters",
    "covariance_of",
    "moments_of",
]

COVARIANCES: dict[str, Moments] = {
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
NAMES = (*COVARIANCES, LowRank.name)


def covariance_of(name: str, rank: int | None = None) -> Covariance:
    """Give the kind of a name, and of so many factors where it has some.

    Raises
    ------
    ValueError
        If there is none of this name, or ``low_rank`` comes without a rank.
    """
    if name != LowRank.name:
        return _named(name, NAMES)
    if rank is None:
        raise WrongValue(
            "covariance_type='low_rank' with rank=None; give rank, the number of factors, such as "
            "rank=4"
        )
    return LowRank(int(rank))


def moments_of(name: str) -> Moments:
    """Give the kind of a name, of those that are second sums divided by a number.

    Raises
    ------
    ValueError
        If it is none of them.
    """
    return _named(name, tuple(COVARIANCES))


def _named(name: str, known: tuple[str, ...]) -> Moments:
    if name not in COVARIANCES:
        raise WrongValue(f"covariance_type={name!r}; expected one of {', '.join(known)}")
    return COVARIANCES[name]
