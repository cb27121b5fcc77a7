# SPDX-License-Identifier: MIT
"""Sizes, and the ordinary values of an op's arguments."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

Size = Mapping[str, int]  # of every dimension, by its letter
Draw = Callable[[tuple[int, ...], torch.Generator], Tensor]


def sizes_of(letters: str, *rows: tuple[int, ...]) -> tuple[Size, ...]:
    """Sizes as rows of numbers, a column a letter."""
    return tuple(dict(zip(letters, row, strict=True)) for row in rows)


def core_shape(dims: str, size: Size) -> tuple[int, ...]:
    """The shape of dimensions as in ``"n d"`` or ``"k 1"``."""
    return tuple(1 if dim == "1" else size[dim] for dim in dims.split())


def normal(scale: float = 1.0, shift: float = 0.0) -> Draw:
    def draw(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
        return shift + scale * torch.randn(shape, generator=generator, dtype=torch.float64)

    return draw


def log_simplex() -> Draw:
    """Logarithms of weights that sum to one over the last dimension."""

    def draw(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
        return torch.randn(shape, generator=generator, dtype=torch.float64).log_softmax(-1)

    return draw


def uniform() -> Draw:
    def draw(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
        return torch.rand(shape, generator=generator, dtype=torch.float64)

    return draw


def cholesky() -> Draw:
    """Lower factors of covariances near the identity: well conditioned in any dimension."""

    def draw(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
        noise = 0.3 * torch.randn(shape, generator=generator, dtype=torch.float64)
        below = noise.tril(-1) / max(1, shape[-1]) ** 0.5
        return below + torch.diag_embed(torch.diagonal(noise, dim1=-2, dim2=-1).exp())

    return draw
