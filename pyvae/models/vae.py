# SPDX-License-Identifier: MIT
"""The variational autoencoder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from pyvae.models import checks, posterior
from pyvae.models.latent_variable_model import LatentVariableModel
from pyvae.models.likelihoods import DEFAULT_MIN_SCALE
from pyvae.models.vamp_prior import VampPrior
from pyvae.ops import mixture_log_prob


class VAE(LatentVariableModel):
    """Variational autoencoder; ``beta`` makes it the beta-VAE.

    w ~ N(0, I), x | w ~ p(x | w). It is the GM-VAE with one fixed component, and its bound takes
    the KL divergence of q(w | x) from the prior in closed form. With a VampPrior it takes the
    prior's log-density at samples.

    Parameters
    ----------
    input_dim
        Numbers an example.
    latent_dim
        Dimensions of w.
    beta
        Weight of the KL divergence in the training objective.
    likelihood
        ``"bernoulli"`` for data in [0, 1], ``"gaussian"`` for real data (means and scales trained).
    min_scale
        Floor of the Gaussian likelihood's standard deviation.
    hidden
        Widths of the encoder's hidden layers; the decoder has them in reverse.
    encoder, decoder
        Modules of your own in place of the MLPs; see
        :class:`~pyvae.models.autoencoder.Autoencoder`.
    num_samples
        Monte Carlo samples of w an example.
    prior
        None is N(0, I); otherwise a :class:`~pyvae.models.VampPrior`, or the ``config`` of one.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of its range or of a wrong type.

    Examples
    --------
    >>> import torch
    >>> model = VAE(64, 2, likelihood="bernoulli", beta=4.0)
    >>> x = torch.rand(5, 64)
    >>> bound = model.elbo(x)
    >>> bound.total.shape
    torch.Size([5])
    >>> loss = -bound.weighted(model.beta).mean()
    >>> model.sample(3).shape
    torch.Size([3, 64])

    References
    ----------
    Kingma & Welling (2014); Higgins et al. (2017).
    """

    def __init__(
        self,
        input_dim: int,
        latent_dim: int,
        *,
        beta: float = 1.0,
        likelihood: str = "bernoulli",
        min_scale: float = DEFAULT_MIN_SCALE,
        hidden: Sequence[int] = (256, 256),
        encoder: nn.Module | None = None,
        decoder: nn.Module | None = None,
        num_samples: int = 1,
        prior: VampPrior | Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(
            input_dim,
            latent_dim,
            beta=beta,
            likelihood=likelihood,
            min_scale=min_scale,
            hidden=hidden,
            encoder=encoder,
            decoder=decoder,
            num_samples=num_samples,
        )
        if isinstance(prior, Mapping):
            prior = VampPrior.from_config(prior)
        if prior is not None:
            if not isinstance(prior, VampPrior):
                raise TypeError(f"prior must be a VampPrior or None, got {type(prior).__name__}")
            checks.examples("pseudo_inputs", prior.pseudo_inputs, self.input_dim)
            prior = prior.to(torch.get_default_dtype())  # as all else in a new model
        self.vamp_prior = prior
        if prior is None:
            self.register_buffer("weight_logits", torch.zeros(1))
            self.register_buffer("component_means", torch.zeros(1, self.latent_dim))
            self.register_buffer("component_logvars", torch.zeros(1, 1))

    @property
    def config(self) -> dict[str, Any]:
        """The constructor's arguments, except modules of your own, ready for JSON."""
        prior = {} if self.vamp_prior is None else {"prior": self.vamp_prior.config}
        return super().config | prior

    @property
    def like(self) -> Tensor:
        """A tensor that has the model's dtype and device."""
        prior = self.vamp_prior
        return self.component_means if prior is None else prior.pseudo_inputs

    @property
    def prior(self) -> tuple[Tensor, Tensor, Tensor]:
        """The prior of w as the ops take it: log-weights, means and log-variances."""
        if self.vamp_prior is None:
            return self.log_weights, self.component_means, self.component_logvars
        log_weights = torch.log_softmax(self.vamp_prior.weight_logits, dim=0)
        return log_weights, *self._posterior(self.vamp_prior.pseudo_inputs)

    def _prior_terms(
        self, x: Tensor, w: Tensor, mean: Tensor, logvar: Tensor
    ) -> tuple[Tensor, Tensor]:
        if self.vamp_prior is None:
            return posterior.standard_prior_terms(mean, logvar)
        # z is summed out, so it costs nothing. In one flat batch the prior is packed once.
        log_prob_w = mixture_log_prob(w.flatten(0, 1), *self.prior).reshape(w.shape[:2]).mean(0)
        return log_prob_w, torch.zeros_like(log_prob_w)
