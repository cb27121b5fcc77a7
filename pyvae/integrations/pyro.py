# SPDX-License-Identifier: MIT
"""In Pyro: the mixture as one of its distributions, and a GM-VAE as a model with its guide."""

from __future__ import annotations

from typing import Any

import pyro
import pyro.distributions as dist
import torch
from pyro.distributions.torch_distribution import TorchDistributionMixin
from torch import Tensor

from pyvae import distributions
from pyvae.errors import WrongValue
from pyvae.models import GMVAE

__all__ = ["GMVAEPair", "GaussianMixture"]


class GaussianMixture(  # pyright: ignore[reportIncompatibleMethodOverride]  # ours expands itself
    distributions.GaussianMixture, TorchDistributionMixin
):
    """:class:`pyvae.distributions.GaussianMixture` as a distribution of Pyro's.

    It has what a site of Pyro's may ask for besides: ``to_event``, ``mask``, ``expand_by`` and a
    call that draws. z is summed out, so there is nothing to enumerate in it; its parameters may be
    those of a site that is enumerated, and :meth:`component` is z for those who want it as one.

    Parameters
    ----------
    log_weights, means, logvars, scale_tril, cov_factor, cov_diag, validate_args
        As of :class:`pyvae.distributions.GaussianMixture`, and so are the errors.

    Examples
    --------
    >>> means = torch.tensor([[-1.0], [1.0]])
    >>> def model(x):
    ...     with pyro.plate("points", len(x)):
    ...         pyro.sample("x", GaussianMixture(torch.zeros(2), means, torch.zeros(2, 1)), obs=x)
    >>> pyro.poutine.trace(model).get_trace(torch.zeros(3, 1)).log_prob_sum()
    tensor(-4.2568)
    """

    def component(self, value: Tensor) -> dist.Categorical:
        """Return p(z | value), batch shape ``(*sample, *batch)``, whose support is enumerated."""
        return dist.Categorical(logits=self.posterior(value), validate_args=False)


class GMVAEPair:
    """A GM-VAE as a model and a guide, for the loss ``TraceEnum_ELBO`` of ``pyro.infer``.

    The guide enumerates z under its posterior, so that its expectation is exact. The loss is the
    negative of ``gmvae.elbo(x).weighted(gmvae.beta)``, summed over the examples, but for the
    entropy of q(w | x): Pyro takes -log q(w | x) at the sample in the place of its expectation.
    The two have the same mean, and at equal samples differ by that alone.

    Parameters
    ----------
    gmvae
        The model, whose parameters join the store as ``gmvae$$$...``.

    Raises
    ------
    ValueError
        If the model takes its bound in closed form, whose q(z) does not depend on w.

    Examples
    --------
    >>> from pyro.infer import SVI, TraceEnum_ELBO
    >>> pair = GMVAEPair(GMVAE(16, 2, num_components=3, hidden=(8,)))
    >>> svi = SVI(pair.model, pair.guide, pyro.optim.Adam({"lr": 1e-3}),
    ...           TraceEnum_ELBO(max_plate_nesting=1))
    >>> loss = svi.step(torch.rand(20, 16))
    """

    def __init__(self, gmvae: GMVAE) -> None:
        if gmvae.closed_form:
            raise WrongValue(
                "GMVAEPair: the model has closed_form=True, and a guide has samples of w; build it "
                "with closed_form=False"
            )
        self.gmvae = gmvae

    def model(self, x: Tensor) -> None:
        """Sites ``z``, ``w`` and ``x`` in the plate ``examples``: p(z) p(w | z) p(x | w)."""
        pyro.module("gmvae", self.gmvae)
        log_weights, means, logvars = self.gmvae.prior
        with pyro.plate("examples", len(x)):
            with pyro.poutine.scale(scale=self.gmvae.beta):
                z = pyro.sample("z", dist.Categorical(logits=log_weights))
                w = pyro.sample("w", _gaussian(means[z], logvars[z]))
            found = self.gmvae.likelihood(w)
            likelihood = dist.Independent(found.base_dist, 1, validate_args=False)
            pyro.sample("x", likelihood, obs=x.flatten(1))

    def guide(self, x: Tensor) -> None:
        """Sites ``w`` and ``z``, enumerated: q(w | x) q(z | w, x)."""
        pyro.module("gmvae", self.gmvae)
        with pyro.plate("examples", len(x)), pyro.poutine.scale(scale=self.gmvae.beta):
            w = pyro.sample("w", _gaussian(*self.gmvae.encode(x)))
            z = dist.Categorical(logits=self.gmvae.log_posterior(x, w), validate_args=False)
            pyro.sample("z", z, infer={"enumerate": "parallel"})


def _gaussian(mean: Tensor, logvar: Tensor) -> Any:
    return dist.Normal(mean, torch.exp(0.5 * logvar).expand_as(mean)).to_event(1)
