# SPDX-License-Identifier: MIT
"""What is maximised: the bound, or in pretraining that under a standard normal prior."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pyvae.inference import importance_weighted_bound, sleep_loss, wake_loss
from pyvae.models import LatentVariableModel

OBJECTIVES = ("elbo", "iwae", "wake-sleep", "reweighted-wake-sleep")


class Objective(nn.Module):
    """A model's objective as a module, so that Fabric and ``torch.compile`` can wrap it."""

    def __init__(self, model: LatentVariableModel, kind: str = "elbo") -> None:
        super().__init__()
        self.model, self.kind = model, kind

    def forward(self, x: Tensor, beta: Tensor, pretrain: bool) -> tuple[Tensor, Tensor]:
        """Return the loss and the four parts of the bound, means over the batch."""
        model = self.model
        if pretrain or self.kind == "elbo":
            bound = model.pretraining_elbo(x) if pretrain else model.elbo(x)
            loss = -bound.weighted(beta).mean()
        else:
            loss = self._loss(x)
            with torch.no_grad():
                bound = model.elbo(x)
        return loss, torch.stack([part.mean() for part in bound]).detach()

    def _loss(self, x: Tensor) -> Tensor:
        """Decoder and prior learn from the first term, the encoder from the second one."""
        model, samples = self.model, self.model.num_samples
        if self.kind == "iwae":
            return -importance_weighted_bound(model, x, samples).mean()
        if self.kind == "wake-sleep":
            # The bound itself, a sample at a time: its gradient does not reach the encoder.
            bounds = [
                importance_weighted_bound(model, x, 1, train_encoder=False) for _ in range(samples)
            ]
            return sleep_loss(model, len(x)).mean() - torch.stack(bounds).mean()
        learnt = importance_weighted_bound(model, x, samples, train_encoder=False)
        return wake_loss(model, x, samples).mean() - learnt.mean()
