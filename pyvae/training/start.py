# SPDX-License-Identifier: MIT
"""The start of the mixture, from the data as the encoder sees them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from pyvae.mixture import initial_mixture

if TYPE_CHECKING:
    from pyvae.models import GMVAE


@torch.no_grad()
def start_mixture(
    model: GMVAE, batches: Iterable[Tensor], device: torch.device, *, method: str, seed: int
) -> None:
    """Set the model's mixture to one fitted to the means of q(w | x).

    The components' variances get the mean variance of q(w | x) on top: the mixture is the prior of
    samples of w, and those spread around the means that it was fitted to.
    """
    means, variances = [], []
    for batch in batches:
        mean, logvar = model.encode(batch.to(device))
        means.append(mean.double().cpu())
        variances.append(logvar.double().cpu().exp())
    fitted = initial_mixture(
        torch.cat(means),
        model.num_components,
        covariance=model.covariance,
        method=method,
        seed=seed,
    )
    spread = torch.cat(variances).mean(0)
    if model.covariance == "isotropic":
        spread = spread.mean()
    logvars = torch.log(fitted.logvars.exp() + spread)
    weights = fitted.weights.to(device) if model.learn_weights else None
    model.set_mixture(weights, fitted.means.to(device), logvars.to(device))
