# SPDX-License-Identifier: MIT
"""Binary data, and grey levels in [0, 1]."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor
from torch.distributions import Bernoulli

from pyvae.errors import WrongValue
from pyvae.models.likelihoods.likelihood import Likelihood


class BernoulliLikelihood(Likelihood):
    """Bernoulli distributions, given by their logits.

    The log-density takes the logits as they are (``max(l, 0) - l x + log(1 + e^-|l|)``), so it is
    finite for every finite logit. A grey level x in (0, 1) counts as x ones and 1 - x zeros: the
    usual convention for images, but no normalised density, so such bounds compare only with one
    another.
    """

    name = "bernoulli"
    outputs_per_feature = 1
    outputs = "one logit a feature"
    has_units = False

    def features(self, output: Float[Tensor, "*batch d"]) -> Bernoulli:
        """Return Bernoulli distributions with logits ``output``."""
        return Bernoulli(logits=output, validate_args=False)

    def check_values(self, x: Tensor) -> None:
        """Raise ``ValueError`` where values lie outside [0, 1]."""
        if x.numel() == 0:
            return
        low, high = (bound.item() for bound in x.aminmax())
        if low < 0 or high > 1:
            raise WrongValue(
                f"x has values from {low:g} to {high:g}, but likelihood='bernoulli' takes [0, 1]; "
                "scale x (8-bit images: x / 255) or build the model with likelihood='gaussian'"
            )
