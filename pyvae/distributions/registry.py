# SPDX-License-Identifier: MIT
"""What torch's ``kl_divergence`` is told of Gaussians and their mixtures."""

from __future__ import annotations

from torch import Tensor
from torch.distributions import (
    Distribution,
    Independent,
    LowRankMultivariateNormal,
    MixtureSameFamily,
    MultivariateNormal,
    Normal,
    kl,
)
from torch.distributions.kl import register_kl

from pyvae import ops
from pyvae.distributions.components import is_diagonal
from pyvae.distributions.divergences import kl_mixture
from pyvae.distributions.gaussian_mixture import GaussianMixture
from pyvae.errors import WrongValue

_MIXTURES = (GaussianMixture, MixtureSameFamily)
_GAUSSIANS = (Normal, Independent, MultivariateNormal, LowRankMultivariateNormal)


def _kl_mixture(p: Distribution, q: Distribution) -> Tensor:
    try:
        return kl_mixture(p, q)
    except TypeError as error:
        raise NotImplementedError(str(error)) from None


for _mixture in _MIXTURES:
    for _other in _MIXTURES:
        register_kl(_mixture, _other)(_kl_mixture)
    for _gaussian in _GAUSSIANS:
        register_kl(_gaussian, _mixture)(_kl_mixture)
        register_kl(_mixture, _gaussian)(_kl_mixture)


def register_gaussian_kl() -> None:
    """Let torch's ``kl_divergence`` of two Gaussians run on the ops, in the whole process.

    Of two ``MultivariateNormal`` and of two ``Independent(Normal(...), 1)``; other ``Independent``
    distributions keep torch's. Not done at import: it changes what other code calls.

    Examples
    --------
    >>> import torch
    >>> from torch.distributions import MultivariateNormal, kl_divergence
    >>> register_gaussian_kl()
    >>> p = MultivariateNormal(torch.zeros(3), torch.eye(3))
    >>> kl_divergence(p, p)
    tensor(0.)
    """
    of_independent = kl._kl_independent_independent

    def full(p: MultivariateNormal, q: MultivariateNormal) -> Tensor:
        if p.event_shape != q.event_shape:
            raise WrongValue("KL divergence of Gaussians with different event shapes is undefined")
        return ops.gaussian_kl_tril(p.loc, p.scale_tril, q.loc, q.scale_tril)

    def diagonal(p: Independent, q: Independent) -> Tensor:
        if not (is_diagonal(p) and is_diagonal(q)):
            return of_independent(p, q)
        logvars = (2.0 * d.base_dist.scale.log() for d in (p, q))  # type: ignore[attr-defined]
        first, second = logvars
        return ops.gaussian_kl(p.base_dist.loc, first, q.base_dist.loc, second)  # type: ignore[attr-defined]

    register_kl(MultivariateNormal, MultivariateNormal)(full)
    register_kl(Independent, Independent)(diagonal)
