# SPDX-License-Identifier: MIT
"""The importance-weighted estimate of log p(x)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from pyvae.models import posterior
from pyvae.ops.modes import writes_program


def chunks(tensor: Tensor, most: int, each: int = 1, dim: int = 0) -> Sequence[Tensor]:
    """Cut a tensor into pieces with ``most`` latent vectors at most, ``each`` of them in a slice.

    A program for batches of any size has it whole: its number of pieces is no number of the batch.
    """
    if writes_program():
        return (tensor,)
    return tensor.split(max(1, most // max(1, each)), dim)


def log_likelihood(
    x: Tensor,
    encode: Callable[[Tensor], tuple[Tensor, Tensor]],
    log_joint: Callable[[Tensor, Tensor], Tensor],
    num_samples: int,
    chunk_size: int,
    generator: Generator | None,
) -> Float[Tensor, "n"]:
    """Estimate log p(x) from ``num_samples`` draws of q(w | x); Burda et al. (2016), equation 8.

    ``encode(x)`` is mean and log-variance of q(w | x), ``log_joint(x, w)`` is log p(x, w) at
    ``w (S, N, L)``. At most ``chunk_size`` latent vectors are handled at a time. The noise of one
    sample is drawn in one piece for the whole batch, so that the chunks leave the result alone.
    """
    parts = [encode(rows) for rows in chunks(x, chunk_size)]
    mean, logvar = (torch.cat(column) for column in zip(*parts, strict=True))
    at_once = num_samples if writes_program() else max(1, chunk_size // max(1, len(x)))
    # Thousands of log-sum-exps in a row: in float64 their rounding does not add up.
    total = torch.full(x.shape[:1], -math.inf, dtype=torch.float64, device=x.device)
    for first in range(0, num_samples, at_once):
        count = min(at_once, num_samples - first)
        draws = [posterior.draw_noise(mean.shape, mean, generator) for _ in range(count)]
        noise = torch.stack(draws)
        w = posterior.move_noise(mean, logvar, noise)
        rows = zip(chunks(x, chunk_size), chunks(w, chunk_size, dim=1), strict=True)
        log_p = torch.cat([log_joint(x_rows, w_rows) for x_rows, w_rows in rows], dim=1)
        log_ratio = (log_p - posterior.log_prob(logvar, noise)).double()
        total = torch.logaddexp(total, log_ratio.logsumexp(0))
    return (total - math.log(num_samples)).to(mean.dtype)
