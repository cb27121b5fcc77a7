# SPDX-License-Identifier: MIT
"""What a decoder's numbers mean: the distributions p(x | w)."""

from __future__ import annotations

from pyvae.errors import WrongValue
from pyvae.models.likelihoods.bernoulli import BernoulliLikelihood
from pyvae.models.likelihoods.gaussian import DEFAULT_MIN_SCALE, GaussianLikelihood
from pyvae.models.likelihoods.likelihood import Likelihood

__all__ = [
    "DEFAULT_MIN_SCALE",
    "BernoulliLikelihood",
    "GaussianLikelihood",
    "Likelihood",
    "make_likelihood",
]


def make_likelihood(name: str, min_scale: float = DEFAULT_MIN_SCALE) -> Likelihood:
    """Return the likelihood called ``"bernoulli"`` or ``"gaussian"``.

    Parameters
    ----------
    name
        ``"bernoulli"`` or ``"gaussian"``.
    min_scale
        Floor of the Gaussian's standard deviation; the other has no use for it.

    Returns
    -------
    The likelihood of that name.

    Raises
    ------
    ValueError
        If there is no likelihood of that name, or ``min_scale`` is not a positive number.
    """
    if name == BernoulliLikelihood.name:
        return BernoulliLikelihood()
    if name == GaussianLikelihood.name:
        return GaussianLikelihood(min_scale)
    raise WrongValue(f"likelihood must be 'bernoulli' or 'gaussian', got {name!r}")
