# SPDX-License-Identifier: MIT
# pyright: reportMissingImports=false
"""In scvi-tools: its priors that are mixtures, with the density from the ops."""

from __future__ import annotations

from typing import Any

import torch
from scvi.external.sysvi import _priors as sysvi
from scvi.module import base
from torch import Tensor, nn

from pyvae import ops
from pyvae.distributions import GaussianMixture
from pyvae.errors import WrongValue

__all__ = ["MogPrior", "SysVIVampPrior", "VampPrior", "fuse_priors"]


class MogPrior(base.MogPrior):
    """``scvi.module.base.MogPrior``, whose ``kl`` no longer writes ``(30, N, K, L)`` numbers.

    The same parameters, by the same names, and the same samples: values and gradients are equal up
    to rounding, and states load from the one into the other.

    Parameters
    ----------
    n_components, n_latent, celltype_bias
        As in scvi-tools.

    Examples
    --------
    >>> from torch.distributions import Normal
    >>> prior = MogPrior(n_components=100, n_latent=10)
    >>> prior.kl(Normal(torch.zeros(5, 10), 1.0)).shape
    torch.Size([5])
    """

    def get_prior(self, z: Tensor, y: Tensor | None = None, **kwargs: Any) -> GaussianMixture:
        """Return the mixture, one for each example where cell types bias it."""
        return GaussianMixture.from_mixture(super().get_prior(z, y, **kwargs))


class VampPrior(base.VampPrior):
    """``scvi.module.base.VampPrior`` in the same way.

    Parameters
    ----------
    n_components, n_cat_list, inference, encoder, pseudoinputs, trainable_priors, \
additional_categorical_covariates
        As in scvi-tools.
    """

    def get_prior(self, **kwargs: Any) -> GaussianMixture:
        """Return the mixture of the pseudo-inputs' posteriors."""
        return GaussianMixture.from_mixture(super().get_prior(**kwargs))


class SysVIVampPrior(sysvi.VampPrior):
    """The ``VampPrior`` of ``scvi.external.SysVI``, its numbers and its parameters.

    It is scvi-tools' own prior: a product over the latent coordinates of mixtures in one dimension,
    whose variances are the scales of the encoder's posteriors of the pseudo-inputs.

    Parameters
    ----------
    n_components, encoder, x, n_cat_list, batch_index, cat_list, cont, trainable_priors
        As in scvi-tools.
    """

    def log_prob(self, z: Tensor) -> Tensor:
        """Return the log-density of every coordinate, ``(N, L)``."""
        means, variances = (parameter.mT.unsqueeze(-1) for parameter in self.get_params())
        log_weights = torch.log_softmax(self.w.flatten(), dim=0)
        points = z.mT.unsqueeze(-1)  # (L, N, 1), beside (L, K, 1)
        return ops.mixture_log_prob(points, log_weights, means, variances.log()).mT


_FUSED: dict[type, type] = {
    base.MogPrior: MogPrior,
    base.VampPrior: VampPrior,
    sysvi.VampPrior: SysVIVampPrior,
}


def fuse_priors(module: nn.Module) -> int:
    """Turn the mixture priors in a module of scvi-tools' into those of this file, in place.

    Parameters, their names and what optimizers know of them stay as they are.

    Parameters
    ----------
    module
        As ``scvi.external.SysVI(...).module``, or a prior itself.

    Returns
    -------
    How many there were.

    Raises
    ------
    ValueError
        If there is none.

    Examples
    --------
    >>> prior = base.MogPrior(n_components=100, n_latent=10)
    >>> fuse_priors(prior), type(prior) is MogPrior
    (1, True)
    """
    found = [part for part in module.modules() if type(part) in _FUSED]
    if not found:
        raise WrongValue(
            f"fuse_priors: the {type(module).__name__} has no MogPrior or VampPrior of "
            "scvi-tools'; fit modules that write torch's MixtureSameFamily themselves within "
            "pyvae.patch_torch_distributions()"
        )
    for part in found:
        part.__class__ = _FUSED[type(part)]
    return len(found)
