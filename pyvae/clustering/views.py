# SPDX-License-Identifier: MIT
"""Views of examples: random changes that leave what an example is.

They are prior knowledge, and the only one that the clustering has: what a view changes cannot tell
clusters apart. A digit that is turned by ten degrees is the same digit; where a turn makes another
thing of what is shown, leave turns out. A view is any function of examples ``(N, ...)`` and a
``torch.Generator`` that returns examples of the same shape.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

Views = Callable[[Tensor, torch.Generator], Tensor]


@dataclass(frozen=True)
class ImageWarps:
    """Small warps of images ``(N, C, H, W)``, each image its own: affine, then elastic.

    What comes in from beyond the border is zero, the background.

    Attributes
    ----------
    rotation
        Largest angle, in degrees.
    shear
        Largest shift of a row, in its distance from the middle.
    scale
        Largest change of either axis' length, as a share of it.
    shift
        Largest shift along either axis, as a share of the side.
    elastic
        Standard deviation of the displacements at the nodes of a grid, in half sides; between
        nodes they are interpolated.
    nodes
        Of this grid, along a side.

    Examples
    --------
    >>> import torch
    >>> ImageWarps()(torch.ones(3, 1, 8, 8), torch.Generator().manual_seed(0)).shape
    torch.Size([3, 1, 8, 8])
    """

    rotation: float = 15.0
    shear: float = 0.3
    scale: float = 0.15
    shift: float = 0.05
    elastic: float = 0.06
    nodes: int = 5

    def __call__(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """Warp every image by its own draw."""
        grid = functional.affine_grid(self._affine(x, generator), list(x.shape), False)
        if self.elastic > 0.0:
            shape = (len(x), 2, self.nodes, self.nodes)
            knots = torch.randn(shape, generator=generator, device=x.device, dtype=x.dtype)
            field = functional.interpolate(
                self.elastic * knots, size=x.shape[2:], mode="bilinear", align_corners=True
            )
            grid = grid + field.permute(0, 2, 3, 1)
        return functional.grid_sample(x, grid, align_corners=False)

    def _affine(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """From places in the warped image to places in the image, in half sides, ``(N, 2, 3)``."""
        draws = torch.rand((6, len(x)), generator=generator, device=x.device, dtype=x.dtype)
        draws = 2.0 * draws - 1.0
        angle, shear = math.radians(self.rotation) * draws[0], self.shear * draws[1]
        across, down = 1.0 + self.scale * draws[2], 1.0 + self.scale * draws[3]
        right, below = 2.0 * self.shift * draws[4], 2.0 * self.shift * draws[5]
        cosine, sine = angle.cos(), angle.sin()
        first = torch.stack([cosine * across, (cosine * shear - sine) * down, right], 1)
        second = torch.stack([sine * across, (sine * shear + cosine) * down, below], 1)
        return torch.stack([first, second], 1)


@dataclass(frozen=True)
class TableNoise:
    """Noise on standardised columns ``(N, D)``, and values that give way to their column's mean.

    Attributes
    ----------
    noise
        Standard deviation, in a column's own.
    masking
        The probability that a value is its column's mean, 0, instead.
    """

    noise: float = 0.1
    masking: float = 0.1

    def __call__(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """Change every value by its own draw."""
        options = {"generator": generator, "device": x.device, "dtype": x.dtype}
        kept = torch.rand(x.shape, **options) >= self.masking
        return (x + self.noise * torch.randn(x.shape, **options)) * kept


def usual_views(x: Tensor) -> Views:
    """Give those of images ``(N, C, H, W)``, or of a table ``(N, D)``."""
    return ImageWarps() if x.ndim == 4 else TableNoise()
