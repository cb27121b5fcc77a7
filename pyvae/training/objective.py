# SPDX-License-Identifier: MIT
"""What is maximised: the bound, or in pretraining that under a standard normal prior."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pyvae.inference import importance_weighted_bound, sleep_loss, wake_loss
from pyvae.models import Elbo, LatentVariableModel


class Unconverted:
    """Examples that Fabric hands on as they are.

    It would cast tensors to the networks' precision, and an offset would cost them their digits
    before the model takes it off.
    """

    def __init__(self, x: Tensor) -> None:
        self.x = x


class Objective(nn.Module):
    """A model's objective as a module, so that Fabric and ``torch.compile`` can wrap it."""

    def __init__(self, model: LatentVariableModel, kind: str = "elbo") -> None:
        super().__init__()
        self.model, self.kind = model, kind

    def forward(
        self,
        examples: Tensor | Unconverted,
        beta: Tensor,
        pretrain: bool,
        capacity: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Return the loss and the four parts of the bound, means over the batch."""
        model, x = self.model, examples.x if isinstance(examples, Unconverted) else examples
        if pretrain or self.kind == "elbo":
            bound = model.pretraining_elbo(x) if pretrain else model.elbo(x)
            if pretrain or capacity is None:
                loss = -bound.weighted(beta).mean()
            else:
                loss = -with_capacity(bound, beta, capacity)
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
            return sleep_loss(model, x.shape[0]).mean() - torch.stack(bounds).mean()
        learnt = importance_weighted_bound(model, x, samples, train_encoder=False)
        return wake_loss(model, x, samples).mean() - learnt.mean()


def with_capacity(bound: Elbo, beta: float | Tensor, capacity: float | Tensor) -> Tensor:
    """Mean reconstruction less ``beta`` times how far the mean KL divergence is from a capacity.

    Burgess et al. (2018), "Understanding disentangling in beta-VAE", equation 8; their divergence
    is each example's, this one the batch's, so that examples may need more or fewer nats.

    Examples
    --------
    >>> bound = Elbo(*torch.tensor([[-9.0], [-4.0], [-0.5], [2.5]]))
    >>> with_capacity(bound, 10.0, 1.5)
    tensor(-14.)
    """
    return bound.reconstruction.mean() - beta * (bound.kl.mean() - capacity).abs()
