# SPDX-License-Identifier: MIT
"""What networks return, checked and brought into the form that the models use."""

from __future__ import annotations

from torch import Tensor, cat

from pyvae.errors import WrongType
from pyvae.models import checks


def posterior_parts(output: object, count: int, latent_dim: int) -> tuple[Tensor, Tensor]:
    """Return mean and log-variance, ``(count, latent_dim)`` each, of an encoder's output."""
    if isinstance(output, Tensor):
        meaning = (
            "means, then log-variances, of the latent dimensions; or return a tuple of the two"
        )
        checks.shaped("encoder(x)", output, (count, 2 * latent_dim), meaning)
        mean, logvar = output.chunk(2, dim=-1)
        return mean, logvar
    if not (isinstance(output, (tuple, list)) and len(output) == 2):
        raise WrongType(
            "encoder(x) must be a tensor (N, 2 * latent_dim) or a tuple (mean, logvar), "
            f"got {_described(output)}"
        )
    mean, logvar = output
    for name, part in (("mean", mean), ("logvar", logvar)):
        meaning = "one number for each latent dimension"
        checks.shaped(f"encoder(x), {name}", part, (count, latent_dim), meaning)
    return mean, logvar


def decoder_output(output: object, count: int, width: int, meaning: str) -> Tensor:
    """Return a decoder's output as one tensor ``(count, width)``."""
    parts = output if isinstance(output, (tuple, list)) else (output,)
    flat = [part.flatten(1) for part in parts if isinstance(part, Tensor) and part.ndim >= 2]
    if not flat or len(flat) < len(parts):
        raise WrongType(
            "decoder(w) must be a tensor (N, ...) or a tuple of such tensors, "
            f"got {_described(output)}"
        )
    joined = flat[0] if len(flat) == 1 else cat(flat, dim=-1)
    return checks.shaped("decoder(w), flattened,", joined, (count, width), meaning)


def _described(output: object) -> str:
    if isinstance(output, Tensor):
        return f"a tensor of shape {tuple(output.shape)}"
    if isinstance(output, (tuple, list)):
        return f"a {type(output).__name__} of {len(output)}: {[*map(_described, output)]}"
    return type(output).__name__
