# SPDX-License-Identifier: MIT
"""The built-in networks, by the words of the options ``encoder`` and ``decoder``."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from pyvae.errors import WrongValue
from pyvae.models.conv_decoder import ConvDecoder
from pyvae.models.conv_encoder import ConvEncoder
from pyvae.models.mlp import MLP

CHANNELS = (32, 64)


def make_encoder(
    kind: str,
    input_dim: int,
    image_shape: Sequence[int] | None,
    hidden: Sequence[int],
    outputs: int,
    extra: int = 0,
    *,
    channels: Sequence[int] = CHANNELS,
) -> nn.Module:
    """Build a network from examples to ``outputs`` numbers each.

    Parameters
    ----------
    kind
        ``"mlp"`` or ``"conv"``.
    input_dim
        Numbers of an example, without the extra ones.
    image_shape
        ``(C, H, W)``, of which ``input_dim`` is the product; None will do for an MLP.
    hidden
        Widths of the hidden layers.
    outputs
        Numbers returned for an example.
    extra
        Numbers besides, such as the indicator of a cluster: what the network then takes is
        ``(N, input_dim + extra)``, the example flattened and these behind it.
    channels
        Widths of the convolutions.

    Raises
    ------
    ValueError
        If there is no such kind, or the images' shape is needed and not there.

    Examples
    --------
    >>> import torch
    >>> network = make_encoder("conv", 64, (1, 8, 8), (32,), 4, extra=3)
    >>> network(torch.zeros(5, 64 + 3)).shape
    torch.Size([5, 4])
    """
    shape = _of_images("encoder", kind, image_shape)
    if shape is None:
        return MLP(input_dim + extra, hidden, outputs)
    return ConvEncoder(shape, channels, hidden, outputs, extra)


def make_decoder(
    kind: str,
    latent_dim: int,
    image_shape: Sequence[int] | None,
    hidden: Sequence[int],
    outputs: int,
    *,
    channels: Sequence[int] = CHANNELS,
) -> nn.Module:
    """Build a network from latent vectors to ``outputs`` numbers each.

    Parameters and errors are those of :func:`make_encoder`, widths in the same order: the decoder
    has them in reverse. ``outputs`` is a multiple of the numbers of an image.
    """
    shape = _of_images("decoder", kind, image_shape)
    if shape is None:
        return MLP(latent_dim, hidden[::-1], outputs)
    _, height, width = shape
    planes = outputs // (height * width)
    return ConvDecoder(latent_dim, hidden[::-1], channels[::-1], planes, (height, width))


def _of_images(name: str, kind: str, image_shape: Sequence[int] | None) -> tuple[int, ...] | None:
    """Return the images' shape for a convolutional network; None for an MLP."""
    if kind == "mlp":
        return None
    if kind != "conv":
        raise WrongValue(f"{name} must be 'mlp' or 'conv', got {kind!r}")
    if image_shape is None:
        raise WrongValue(
            f"{name}='conv' needs to know the images' shape; pass image_shape=(C, H, W), as "
            "(1, 28, 28), or take 'mlp'"
        )
    return tuple(image_shape)
