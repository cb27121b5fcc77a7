# SPDX-License-Identifier: MIT
"""q(w | x), a diagonal Gaussian: its reparameterised samples, entropy and log-density."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from pyvae.ops import gaussian_kl

_ENTROPY_OF_STANDARD_NORMAL = 0.5 * (1.0 + math.log(2.0 * math.pi))


def draw_noise(shape: Sequence[int], like: Tensor, generator: Generator | None) -> Tensor:
    """Return standard normal noise in the dtype and on the device of ``like``."""
    if generator is None:
        # Without the argument: with it, even None, torch.compile fixes the batch size.
        return torch.randn(shape, dtype=like.dtype, device=like.device)
    return torch.randn(shape, dtype=like.dtype, device=like.device, generator=generator)


def move_noise(mean: Tensor, logvar: Tensor, noise: Tensor) -> Tensor:
    """Return the sample that ``noise`` becomes (Kingma & Welling, 2014, section 2.4)."""
    return mean + torch.exp(0.5 * logvar) * noise


def entropy(logvar: Float[Tensor, "*batch l"]) -> Float[Tensor, "*batch"]:
    """Return the differential entropy in nats."""
    return (0.5 * logvar + _ENTROPY_OF_STANDARD_NORMAL).sum(-1)


def standard_prior_terms(mean: Tensor, logvar: Tensor) -> tuple[Tensor, Tensor]:
    """Return E[log p(w)] under q(w | x) for p(w) = N(0, I), and zero: there is no z to pay for."""
    kl_w = gaussian_kl(mean, logvar)
    # KL(q || p) = -H[q] - E_q[log p(w)].
    return -kl_w - entropy(logvar), torch.zeros_like(kl_w)


def log_prob_at(
    w: Float[Tensor, "*samples n l"], mean: Float[Tensor, "n l"], logvar: Float[Tensor, "n l"]
) -> Float[Tensor, "*samples n"]:
    """Return the log-density at given w; :func:`log_prob` is for the sample of a known noise."""
    return log_prob(logvar, (w - mean) * torch.exp(-0.5 * logvar))


def log_prob(
    logvar: Float[Tensor, "*#batch l"], noise: Float[Tensor, "*#batch l"]
) -> Float[Tensor, "*batch"]:
    """Return the log-density at the sample that ``noise`` became.

    From the noise, not from sample minus mean: that difference has lost its digits where the
    variance is small.
    """
    return 0.5 * (1.0 - noise.square()).sum(-1) - entropy(logvar)
