# SPDX-License-Identifier: MIT
"""The convolutional decoder."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn

from pyvae.models.conv_encoder import halved
from pyvae.models.mlp import MLP


class ConvDecoder(nn.Module):
    """An :class:`~pyvae.models.MLP`, then transposed convolutions that double the sides.

    The encoder's layers in reverse, normalised as there. A kernel of four by four pixels and stride
    2 reaches each pixel of the result as often as any other, so that none stand out as on a
    checkerboard. The output is linear and unbounded, one plane after another.

    Parameters
    ----------
    in_features
        Numbers an example, those of w.
    hidden
        Widths of the hidden layers before the convolutions.
    channels
        Widths of the convolutions' inputs, in the order in which an image gets larger.
    out_channels
        Planes of the result.
    sides
        ``(H, W)``, each from 1 on.

    Examples
    --------
    >>> import torch
    >>> ConvDecoder(2, (64,), (32, 16), 1, (28, 28))(torch.zeros(5, 2)).shape
    torch.Size([5, 1, 28, 28])

    References
    ----------
    Odena, Dumoulin & Olah (2016), "Deconvolution and checkerboard artifacts".
    """

    def __init__(
        self,
        in_features: int,
        hidden: Sequence[int],
        channels: Sequence[int],
        out_channels: int,
        sides: tuple[int, int],
    ) -> None:
        super().__init__()
        steps = [sides]
        for _ in channels:
            steps.append(halved(steps[-1]))
        self.sides = steps[::-1]
        widths = (*channels, out_channels)
        self.smallest = (widths[0], *self.sides[0])
        self.head = MLP(in_features, hidden, math.prod(self.smallest))
        self.convolutions = nn.ModuleList(
            _doubling(*pair, larger)
            for pair, larger in zip(pairwise(widths), self.sides[1:], strict=True)
        )

    def forward(self, w: Tensor) -> Tensor:
        """Map ``(N, in_features)`` to ``(N, out_channels, H, W)``."""
        x = self.head(w).unflatten(1, self.smallest)
        for convolution, (height, width) in zip(self.convolutions, self.sides[1:], strict=True):
            x = convolution(x)[..., :height, :width]  # an odd side is one less than the double
        return x


def _doubling(fan_in: int, fan_out: int, sides: tuple[int, int]) -> nn.Sequential:
    # Along a side of one or two pixels the ends of the kernel would give no pixel anything.
    height, width = (side if side < 3 else 4 for side in sides)
    return nn.Sequential(
        nn.GroupNorm(1, fan_in),
        nn.ReLU(),
        nn.ConvTranspose2d(fan_in, fan_out, (height, width), 2, (height // 4, width // 4)),
    )
