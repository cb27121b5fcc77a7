# SPDX-License-Identifier: MIT
"""Real-valued data."""

from __future__ import annotations

import math

from jaxtyping import Float
from torch import Tensor
from torch.distributions import Normal
from torch.nn.functional import softplus

from pyvae.errors import WrongValue
from pyvae.models.likelihoods.likelihood import Likelihood
from pyvae.settings import NetworkOptions

DEFAULT_MIN_SCALE = NetworkOptions.min_scale


class GaussianLikelihood(Likelihood):
    """Normal distributions whose means and scales are both the decoder's.

    The first half of the decoder's output are the means, the second half raw scales r, with the
    standard deviation ``min_scale + softplus(r)``: smooth, positive, linear for large r (an
    exponential overflows after one bad step).

    Parameters
    ----------
    min_scale
        Floor of the standard deviation, in the decoder's units: where the model standardises, a
        share of the feature's own standard deviation, or of the range of an image's pixels.

    Notes
    -----
    Without a floor the likelihood has no maximum: a feature that is constant in the data (the
    border of an image) is worth ``-log scale`` nats, as many as one likes, and the gradient of
    every mean grows as ``1 / scale^2``. With data in steps of size h, the density times h is the
    probability of a level; it stays below one as long as ``h / (scale sqrt(2 pi)) <= 1``, that is
    scale >= 0.4 h. The default of 0.05 keeps that for data in [0, 1] with nine levels or more
    (8-bit images have 256, scikit-learn's digits 17), and for standardised tables it is a
    twentieth of the spread. A model that standardises brings data of any unit to one of the two.
    A smaller floor raises the bound of such images by their near-constant pixels, while the squared
    error of the reconstructions grows and components of the prior go unused.
    """

    name = "gaussian"
    outputs_per_feature = 2
    outputs = "the means, then the raw scales"
    has_units = True

    def __init__(self, min_scale: float = DEFAULT_MIN_SCALE) -> None:
        if not (math.isfinite(min_scale) and min_scale > 0):
            raise WrongValue(
                f"min_scale must be a positive number, got {min_scale}; without a floor a constant "
                "feature makes the likelihood unbounded"
            )
        self.min_scale = min_scale

    def features(self, output: Float[Tensor, "*batch outputs"]) -> Normal:
        """Return normal distributions with the halves of ``output`` as means and raw scales."""
        mean, raw_scale = output.chunk(2, dim=-1)
        return Normal(mean, self.min_scale + softplus(raw_scale), validate_args=False)

    def check_values(self, x: Tensor) -> None:
        """Every real number is in the support."""
