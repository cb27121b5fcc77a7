# SPDX-License-Identifier: MIT
"""The default network, and the last or first part of a convolutional one."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn


class MLP(nn.Module):
    """Linear layers with ReLU between them; the encoder and decoder where none is given.

    Dimensions behind the first are flattened, so images need no reshaping. The output layer is
    linear and unbounded: what its numbers mean is up to the model.

    Parameters
    ----------
    in_features
        Numbers an example.
    hidden
        Widths of the hidden layers; ``()`` leaves one linear map.
    out_features
        Numbers returned for an example.

    Examples
    --------
    >>> import torch
    >>> MLP(64, (32, 16), 4)(torch.zeros(5, 8, 8)).shape
    torch.Size([5, 4])
    """

    def __init__(self, in_features: int, hidden: Sequence[int], out_features: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for fan_in, fan_out in pairwise((in_features, *hidden, out_features)):
            layers += [nn.Linear(fan_in, fan_out), nn.ReLU()]
        self.layers = nn.Sequential(*layers[:-1])

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(N, ...)`` to ``(N, out_features)``."""
        return self.layers(x.flatten(1))
