# SPDX-License-Identifier: MIT
"""The convolutional encoder."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from pyvae.models.mlp import MLP


class ConvEncoder(nn.Module):
    """Convolutions that halve the sides of an image, then an :class:`~pyvae.models.MLP`.

    Each is a convolution of three by three pixels and stride 2, a normalisation over all channels
    and pixels of the one example, and a ReLU. Nothing is taken over a batch, so that an example
    has one code in training and in evaluation, alone or among others. The output is linear.

    Parameters
    ----------
    image_shape
        ``(C, H, W)``; any sides from 1 on.
    channels
        Widths of the convolutions.
    hidden
        Widths of the hidden layers behind them.
    out_features
        Numbers returned for an example.
    extra_features
        Numbers of an example behind its pixels, which go past the convolutions to those layers.

    Examples
    --------
    >>> encoder = ConvEncoder((1, 28, 28), (16, 32), (64,), 4)
    >>> encoder(torch.zeros(5, 28, 28)).shape, encoder(torch.zeros(5, 784)).shape
    (torch.Size([5, 4]), torch.Size([5, 4]))

    References
    ----------
    Wu & He (2018), "Group normalization", with one group.
    """

    def __init__(
        self,
        image_shape: Sequence[int],
        channels: Sequence[int],
        hidden: Sequence[int],
        out_features: int,
        extra_features: int = 0,
    ) -> None:
        super().__init__()
        self.image_shape = tuple(image_shape)
        self.extra_features = extra_features
        layers: list[nn.Module] = []
        fan_in, sides = image_shape[0], (image_shape[1], image_shape[2])
        for width in channels:
            # Along a side that is shorter than the kernel its ends would see the padding alone.
            kernel = min(3, sides[0]), min(3, sides[1])
            padding = kernel[0] // 3, kernel[1] // 3
            layers += [
                nn.Conv2d(fan_in, width, kernel, 2, padding),
                nn.GroupNorm(1, width),
                nn.ReLU(),
            ]
            fan_in, sides = width, halved(sides)
        self.convolutions = nn.Sequential(*layers)
        self.head = MLP(fan_in * math.prod(sides) + extra_features, hidden, out_features)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(N, ...)``, pixels before extra numbers, to ``(N, out_features)``."""
        flat = x.flatten(1)
        pixels = flat[:, : flat.shape[1] - self.extra_features]
        features = self.convolutions(pixels.unflatten(1, self.image_shape)).flatten(1)
        if self.extra_features:
            features = torch.cat([features, flat[:, pixels.shape[1] :].to(features.dtype)], 1)
        return self.head(features)


def halved(sides: tuple[int, int]) -> tuple[int, int]:
    """Return the sides behind a stride of 2: of an odd side the larger half.

    Examples
    --------
    >>> halved((28, 7)), halved((1, 2))
    ((14, 4), (1, 1))
    """
    return (sides[0] + 1) // 2, (sides[1] + 1) // 2
