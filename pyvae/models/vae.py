# SPDX-License-Identifier: MIT
"""The variational autoencoder."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from pyvae.models import posterior
from pyvae.models.latent_variable_model import LatentVariableModel
from pyvae.models.likelihoods import DEFAULT_MIN_SCALE


class VAE(LatentVariableModel):
    """Variational autoencoder with a standard normal prior; ``beta`` makes it the beta-VAE.

    w ~ N(0, I), x | w ~ p(x | w). It is the GM-VAE with one fixed component, and its bound takes
    the KL divergence of q(w | x) from the prior in closed form.

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
        self.register_buffer("weight_logits", torch.zeros(1))
        self.register_buffer("component_means", torch.zeros(1, self.latent_dim))
        self.register_buffer("component_logvars", torch.zeros(1, 1))

    def _prior_terms(
        self, x: Tensor, w: Tensor, mean: Tensor, logvar: Tensor
    ) -> tuple[Tensor, Tensor]:
        return posterior.standard_prior_terms(mean, logvar)
