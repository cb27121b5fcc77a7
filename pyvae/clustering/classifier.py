# SPDX-License-Identifier: MIT
"""A clustering as a module, to be asked and built on."""

from __future__ import annotations

from torch import Tensor, nn

from pyvae.clustering.examples import Scaling
from pyvae.clustering.recipe import probabilities


class Classifier(nn.Module):
    """Probabilities of clusters, by a network that learns no more.

    It takes examples as they were given to the fit, flattened or not, and stays in eval mode
    whatever becomes of the module that it is part of.

    Parameters
    ----------
    network
        From scaled examples to the logits of M clusters.
    members
        ``(M, K)``: one where a cluster went into one of the K.
    scaling
        Of examples.
    shape
        Of an example, ``(C, H, W)`` or ``(D,)``.
    """

    members: Tensor
    centre: Tensor
    scale: Tensor

    def __init__(
        self, network: nn.Module, members: Tensor, scaling: Scaling, shape: tuple[int, ...]
    ) -> None:
        super().__init__()
        self.network, self.shape = network, shape
        self.register_buffer("members", members)
        self.register_buffer("centre", scaling.centre)
        self.register_buffer("scale", scaling.scale)
        self.requires_grad_(False)
        self.eval()

    @property
    def num_clusters(self) -> int:
        """K."""
        return self.members.shape[1]

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(N, ...)`` to probabilities ``(N, K)``, which have no gradients by x."""
        scaled = Scaling(self.centre, self.scale)(x.reshape(-1, *self.shape))
        return probabilities(self.network, scaled, self.members, half=False)

    def train(self, mode: bool = True) -> Classifier:
        """Stay in eval mode: the network's running statistics are those of the fit."""
        return super().train(False)
