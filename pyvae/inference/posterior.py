# SPDX-License-Identifier: MIT
"""The posterior p(w | x) of a model, which its encoder only approximates."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from pyvae.errors import WrongValue
from pyvae.inference.proposal import propose
from pyvae.models import posterior
from pyvae.models.importance import chunks
from pyvae.ops.exporting import exportable

if TYPE_CHECKING:
    from pyvae.models import LatentVariableModel

_AT_ONCE = 2**16  # latent vectors that are decoded at a time
_MOST_GRID = 2**22


@exportable
class PosteriorEstimate(NamedTuple):
    """Moments of p(w | x) by importance sampling, and how far they can be trusted.

    Attributes
    ----------
    mean, covariance
        ``(N, L)`` and ``(N, L, L)``.
    effective_sample_size
        ``(N,)``, from 1 (one sample has all the weight) to the number of samples.
    log_likelihood
        The estimate of log p(x) that comes with them, ``(N,)``.
    """

    mean: Tensor
    covariance: Tensor
    effective_sample_size: Tensor
    log_likelihood: Tensor


@exportable
class GridPosterior(NamedTuple):
    """p(w | x) on a grid, exact but for the grid.

    Attributes
    ----------
    points
        ``(G, L)``.
    log_density
        log p(w | x) at the points, ``(N, G)``.
    log_likelihood
        log p(x), ``(N,)``.
    kl
        KL(q(w | x) || p(w | x)), ``(N,)``: what the bound, z summed out, is below log p(x).
    """

    points: Tensor
    log_density: Tensor
    log_likelihood: Tensor
    kl: Tensor


@torch.no_grad()
def posterior_estimate(
    model: LatentVariableModel,
    x: Tensor,
    num_samples: int = 1000,
    generator: Generator | None = None,
) -> PosteriorEstimate:
    """Estimate the posterior's moments by self-normalised importance sampling from q(w | x).

    Consistent, and biased for few samples. A small effective sample size says that the encoder's
    Gaussian misses the posterior, and that the estimate is of little use.

    Parameters
    ----------
    model
        A VAE or GM-VAE.
    x
        Data, ``(N, ...)``.
    num_samples
        Samples an example.
    generator
        Source of the noise; None is torch's default.

    Returns
    -------
    The moments, with the effective sample size of each example.

    Raises
    ------
    ValueError
        If ``num_samples`` is below one, or the model refuses ``x``.

    References
    ----------
    Owen (2013), Monte Carlo theory, methods and examples, section 9.3; Kong (1992) for the
    effective sample size.

    Examples
    --------
    >>> from pyvae.models import VAE
    >>> estimate = posterior_estimate(VAE(4, 2), torch.rand(3, 4), num_samples=50)
    >>> estimate.mean.shape, estimate.covariance.shape
    (torch.Size([3, 2]), torch.Size([3, 2, 2]))
    """
    q = propose(model, x, num_samples, generator)
    parts = chunks(q.w, _AT_ONCE, each=x.shape[0])
    log_p = torch.cat([model.log_joint(x, part) for part in parts])
    log_ratio = (log_p - q.log_q).double()
    log_total = torch.logsumexp(log_ratio, 0)
    shares = torch.exp(log_ratio - log_total)
    center = torch.einsum("sn,snl->nl", shares, q.w.double())
    gaps = q.w.double() - center
    covariance = torch.einsum("snl,snm->nlm", shares[..., None] * gaps, gaps)
    size = 1.0 / shares.square().sum(0)
    found = (center, covariance, size, log_total - math.log(num_samples))
    return PosteriorEstimate(*(tensor.to(q.w.dtype) for tensor in found))


@torch.no_grad()
def posterior_on_grid(
    model: LatentVariableModel,
    x: Tensor,
    limits: Sequence[tuple[float, float]],
    points: int = 201,
) -> GridPosterior:
    """Enumerate the posterior of a model of few latent dimensions.

    Parameters
    ----------
    model
        A VAE or GM-VAE with as many latent dimensions as ``limits`` has entries.
    x
        Data, ``(N, ...)``.
    limits
        From where to where, in each latent dimension. Beyond must be nothing: of the prior, of the
        posterior and of q(w | x).
    points
        In each dimension.

    Returns
    -------
    The posterior at the points of the grid, log p(x) and KL(q || p(w | x)), in float64.

    Raises
    ------
    ValueError
        If the numbers of dimensions differ, the grid would have more than 4 million points, or the
        model refuses ``x``.

    Examples
    --------
    >>> from pyvae.models import VAE
    >>> grid = posterior_on_grid(VAE(4, 2), torch.rand(3, 4), [(-6, 6), (-6, 6)], points=61)
    >>> grid.log_density.shape, bool((grid.kl > 0).all())
    (torch.Size([3, 3721]), True)
    """
    if len(limits) != model.latent_dim:
        raise WrongValue(
            f"limits has {len(limits)} entries and the model {model.latent_dim} latent dimensions; "
            "expected as many"
        )
    if points < 2 or points ** len(limits) > _MOST_GRID:
        raise WrongValue(
            f"points={points} in {len(limits)} dimensions are {points ** len(limits):,}; expected "
            f"at least 2, and at most {_MOST_GRID:,} in all"
        )
    mean, logvar = model.encode(x)
    axes = [torch.linspace(low, high, points, dtype=torch.float64) for low, high in limits]
    grid = torch.stack(torch.meshgrid(*axes, indexing="ij"), -1).reshape(-1, len(limits))
    log_cell = math.log(math.prod([(high - low) / (points - 1) for low, high in limits]))
    grid = grid.to(mean.device)
    parts = chunks(grid, _AT_ONCE, each=x.shape[0])
    log_joint = torch.cat([_joint_at(model, x, part.to(mean.dtype)) for part in parts]).double()
    log_likelihood = torch.logsumexp(log_joint, 0) + log_cell
    log_density = (log_joint - log_likelihood).T
    log_q = posterior.log_prob_at(grid[:, None], mean.double(), logvar.double()).T
    shares = torch.exp(log_q + log_cell)
    kl = torch.where(shares > 0, shares * (log_q - log_density), 0.0).sum(1)
    return GridPosterior(grid, log_density, log_likelihood, kl)


def _joint_at(
    model: LatentVariableModel, x: Tensor, w: Float[Tensor, "g l"]
) -> Float[Tensor, "g n"]:
    return model.log_joint(x, w[:, None].expand(-1, x.shape[0], -1))
