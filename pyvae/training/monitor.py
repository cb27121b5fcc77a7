# SPDX-License-Identifier: MIT
"""What an epoch is judged by: the validation bound, and the signs of collapse."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from pyvae.models import GMVAE, Elbo, LatentVariableModel
from pyvae.training.metrics import active_units, occupancy


@torch.no_grad()
def latent_figures(
    model: LatentVariableModel,
    batches: Iterable[Tensor],
    device: torch.device,
    *,
    pretrain: bool = False,
) -> dict[str, Any]:
    """Return occupancy and posterior entropy of the components, and the active units.

    All at the mean of q(w | x). A model without components, or one in pretraining, has None for
    what is theirs.
    """
    means, responsibilities = [], []
    for batch in batches:
        x = batch.to(device)
        means.append(model.encode(x)[0])
        if isinstance(model, GMVAE) and not pretrain:
            responsibilities.append(model.predict_proba(x))
    figures: dict[str, Any] = dict.fromkeys(
        ("effective_components", "smallest_share", "posterior_entropy")
    )
    if responsibilities:
        figures |= occupancy(torch.cat(responsibilities))
    return figures | {"active_units": active_units(torch.cat(means))}


@torch.no_grad()
def mean_bound(
    model: LatentVariableModel,
    batches: Iterable[Tensor],
    device: torch.device,
    seed: int = 0,
    *,
    pretrain: bool = False,
) -> dict[str, float]:
    """Return the bound and its parts in nats per example, with the same noise at every call."""
    generator = torch.Generator(device).manual_seed(seed)
    sums, count = torch.zeros(len(Elbo._fields), dtype=torch.float64), 0
    bound_of = model.pretraining_elbo if pretrain else model.elbo
    for batch in batches:
        bound = bound_of(batch.to(device), generator=generator)
        sums += torch.stack([part.double().sum() for part in bound]).cpu()
        count += len(batch)
    return bound_figures(sums / count)


def bound_figures(parts: Tensor) -> dict[str, float]:
    """Return the bound and its parts by name, from the parts in their order."""
    return {"bound": float(parts.sum()), **dict(zip(Elbo._fields, parts.tolist(), strict=True))}
