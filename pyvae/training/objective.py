# SPDX-License-Identifier: MIT
"""What is maximised: the bound, or in pretraining that of a VAE."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pyvae.models import Elbo, LatentVariableModel
from pyvae.ops import gaussian_kl


class Objective(nn.Module):
    """A model's objective as a module, so that Fabric and ``torch.compile`` can wrap it."""

    def __init__(self, model: LatentVariableModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor, beta: Tensor, pretrain: bool) -> tuple[Tensor, Tensor]:
        """Return the loss and the four parts of the bound, means over the batch."""
        bound = self._pretraining_bound(x) if pretrain else self.model.elbo(x)
        loss = -bound.weighted(beta).mean()
        return loss, torch.stack([part.mean() for part in bound]).detach()

    def _pretraining_bound(self, x: Tensor) -> Elbo:
        """Return the bound under p(w) = N(0, I).

        The mixture takes no part: before its components stand in the data it would only pull the
        codes to where it happened to start.
        """
        mean, logvar = self.model.encode(x)
        std = torch.exp(0.5 * logvar)
        w = mean + std * torch.randn_like(std)
        entropy = torch.distributions.Normal(mean, std, validate_args=False).entropy().sum(-1)
        return Elbo(
            reconstruction=self.model.likelihood(w).log_prob(x.flatten(1).to(w.dtype)),
            log_prob_w=-gaussian_kl(mean, logvar) - entropy,
            neg_kl_z=torch.zeros_like(entropy),
            entropy_w=entropy,
        )
