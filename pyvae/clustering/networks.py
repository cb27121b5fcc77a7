# SPDX-License-Identifier: MIT
"""The networks that give an example's clusters, where the user brings none."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional

_LEAST_SIDE = 28  # smaller images are enlarged, so that three strides leave something to see
_HIDDEN = 128


class ConvolutionalClassifier(nn.Module):
    """Three strided convolutions and a hidden layer, for images ``(N, C, H, W)`` of any size.

    Batch normalisation stands behind each, so that the scale of the pixels does not matter.

    Parameters
    ----------
    shape
        ``(C, H, W)``.
    classes
        Logits an image.
    width
        Channels behind the first convolution; the others have two and four times as many.
    """

    def __init__(self, shape: tuple[int, int, int], classes: int, width: int = 16) -> None:
        super().__init__()
        channels, *sides = shape
        enlarged = max(1.0, _LEAST_SIDE / min(sides))
        self.sides = tuple(round(side * enlarged) for side in sides)
        layers: list[nn.Module] = []
        widths = (channels, width, 2 * width, 4 * width)
        left = self.sides
        for (fan_in, fan_out), kernel in zip(pairwise(widths), (5, 3, 3), strict=True):
            layers += [
                nn.Conv2d(fan_in, fan_out, kernel, 2, kernel // 2, bias=False),
                nn.BatchNorm2d(fan_out),
                nn.ReLU(),
            ]
            left = tuple((side + 1) // 2 for side in left)
        self.convolutions = nn.Sequential(*layers)
        self.head = _head(widths[-1] * left[0] * left[1], classes)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(N, C, H, W)`` to logits ``(N, classes)``."""
        if x.shape[2:] != self.sides:
            x = functional.interpolate(x, size=self.sides, mode="bilinear", align_corners=False)
        return self.head(self.convolutions(x).flatten(1))


class PerceptronClassifier(nn.Module):
    """Two hidden layers with batch normalisation, for tables ``(N, D)``."""

    def __init__(self, features: int, classes: int) -> None:
        super().__init__()
        self.hidden = nn.Sequential(
            nn.Linear(features, _HIDDEN, bias=False), nn.BatchNorm1d(_HIDDEN), nn.ReLU()
        )
        self.head = _head(_HIDDEN, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(N, D)`` to logits ``(N, classes)``."""
        return self.head(self.hidden(x))


def small_classifier(x: Tensor, classes: int) -> nn.Module:
    """Make one for examples such as ``x``, images ``(N, C, H, W)`` or a table ``(N, D)``."""
    if x.ndim == 4:
        channels, height, width = x.shape[1:]
        return ConvolutionalClassifier((channels, height, width), classes)
    return PerceptronClassifier(x.shape[1], classes)


def _head(features: int, classes: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(features, _HIDDEN, bias=False),
        nn.BatchNorm1d(_HIDDEN),
        nn.ReLU(),
        nn.Linear(_HIDDEN, classes),
    )
