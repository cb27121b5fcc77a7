# SPDX-License-Identifier: MIT
"""The networks that give an example's clusters, where the user brings none."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from torch import Tensor, nn
from torch.nn import functional

from pyvae.storage.form import Fields, Integer, Place, Text

_LEAST_SIDE = 28  # smaller images are enlarged, so that three strides leave something to see
_WIDTH, _HIDDEN = 16, 128
_MOST_WIDTH = 4096  # in a config, so that sizes of layers are numbers that torch can hold
_CONVOLUTIONAL, _PERCEPTRON = "convolutional", "perceptron"


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
    hidden
        Width of the hidden layer.
    """

    def __init__(
        self,
        shape: tuple[int, int, int],
        classes: int,
        width: int = _WIDTH,
        hidden: int = _HIDDEN,
    ) -> None:
        super().__init__()
        self.shape, self.width, self.hidden_width = shape, width, hidden
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
        self.head = _head(widths[-1] * left[0] * left[1], hidden, classes)

    @property
    def config(self) -> dict[str, Any]:
        """What :func:`built_in` takes, ready for JSON."""
        return {"name": _CONVOLUTIONAL, "width": self.width, "hidden": self.hidden_width}

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(N, C, H, W)`` to logits ``(N, classes)``."""
        if x.shape[2:] != self.sides:
            x = functional.interpolate(x, size=self.sides, mode="bilinear", align_corners=False)
        return self.head(self.convolutions(x).flatten(1))


class PerceptronClassifier(nn.Module):
    """Two hidden layers with batch normalisation, for tables ``(N, D)``.

    Parameters
    ----------
    features
        D.
    classes
        Logits an example.
    hidden
        Width of either layer.
    """

    def __init__(self, features: int, classes: int, hidden: int = _HIDDEN) -> None:
        super().__init__()
        self.shape, self.hidden_width = (features,), hidden
        self.hidden = nn.Sequential(
            nn.Linear(features, hidden, bias=False), nn.BatchNorm1d(hidden), nn.ReLU()
        )
        self.head = _head(hidden, hidden, classes)

    @property
    def config(self) -> dict[str, Any]:
        """What :func:`built_in` takes, ready for JSON."""
        return {"name": _PERCEPTRON, "hidden": self.hidden_width}

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(N, D)`` to logits ``(N, classes)``."""
        return self.head(self.hidden(x))


def built_in(
    shape: tuple[int, ...], classes: int, config: dict[str, Any] | None = None
) -> ConvolutionalClassifier | PerceptronClassifier:
    """Build the network for images ``(C, H, W)`` or tables ``(D,)``; None is the usual one."""
    widths = {name: width for name, width in (config or {}).items() if name != "name"}
    if len(shape) == 3:
        channels, height, width = shape
        return ConvolutionalClassifier((channels, height, width), classes, **widths)
    return PerceptronClassifier(shape[0], classes, **widths)


def config_of(network: nn.Module, shape: tuple[int, ...]) -> dict[str, Any] | None:
    """Give the config of a network that :func:`built_in` builds for that shape, else None."""
    ours = type(network) in (ConvolutionalClassifier, PerceptronClassifier)
    return network.config if ours and network.shape == shape else None  # type: ignore[return-value]


def checked_config(config: Any, shape: tuple[int, ...], place: Place) -> dict[str, Any]:
    """Give a config of a network of that shape, of values that were compared with its form.

    Raises
    ------
    ValueError
        If it is of something else.
    """
    name = _CONVOLUTIONAL if len(shape) == 3 else _PERCEPTRON
    widths = ("width", "hidden") if len(shape) == 3 else ("hidden",)
    sizes = {each: Integer(1, _MOST_WIDTH) for each in widths}
    return Fields({"name": Text((name,)), **sizes}).taken(config, place)


def _head(features: int, hidden: int, classes: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(features, hidden, bias=False),
        nn.BatchNorm1d(hidden),
        nn.ReLU(),
        nn.Linear(hidden, classes),
    )
