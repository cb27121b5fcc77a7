# SPDX-License-Identifier: MIT
"""What is maximised: the bound, or in pretraining that under a standard normal prior."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pyvae.models import LatentVariableModel


class Objective(nn.Module):
    """A model's objective as a module, so that Fabric and ``torch.compile`` can wrap it."""

    def __init__(self, model: LatentVariableModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor, beta: Tensor, pretrain: bool) -> tuple[Tensor, Tensor]:
        """Return the loss and the four parts of the bound, means over the batch."""
        bound = self.model.pretraining_elbo(x) if pretrain else self.model.elbo(x)
        loss = -bound.weighted(beta).mean()
        return loss, torch.stack([part.mean() for part in bound]).detach()
