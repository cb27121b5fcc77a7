# SPDX-License-Identifier: MIT
"""Samples of q(w | x), from which a posterior is weighed."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Generator, Tensor

from pyvae.models import checks, posterior

if TYPE_CHECKING:
    from pyvae.models import LatentVariableModel


class Proposal(NamedTuple):
    """Samples ``w (S, N, L)``, their ``log_q (S, N)``, and q's ``mean`` and ``logvar (N, L)``."""

    w: Tensor
    log_q: Tensor
    mean: Tensor
    logvar: Tensor


def propose(
    model: LatentVariableModel,
    x: Tensor,
    num_samples: int,
    generator: Generator | None,
    *,
    train_encoder: bool = True,
) -> Proposal:
    """Draw reparameterised samples of q(w | x).

    Raises
    ------
    ValueError
        If ``num_samples`` is below one, or the model refuses ``x``.
    """
    num_samples = checks.at_least(1, "num_samples", num_samples)
    with torch.set_grad_enabled(train_encoder and torch.is_grad_enabled()):
        mean, logvar = model.encode(x)
    noise = posterior.draw_noise((num_samples, *mean.shape), mean, generator)
    w = posterior.move_noise(mean, logvar, noise)
    return Proposal(w, posterior.log_prob(logvar, noise), mean, logvar)
