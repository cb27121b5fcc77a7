# SPDX-License-Identifier: MIT
"""How dependent the latent dimensions of a model are, over all data at once.

What is looked at is the aggregate posterior q(w) = 1/N sum_n q(w | x_n), a mixture with one
component an example. Its total correlation KL(q(w) || prod_l q(w_l)) is zero where the dimensions
are independent.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from pyvae.errors import WrongType, WrongValue
from pyvae.models import checks
from pyvae.models.posterior import draw_noise, move_noise
from pyvae.ops import mixture_log_prob

_METHODS = ("aggregate", "minibatch")


def latent_covariance(
    mean: Float[Tensor, "n l"], logvar: Float[Tensor, "n l"]
) -> Float[Tensor, "l l"]:
    """Covariance of the aggregate posterior: that of the means, and the mean variances.

    Parameters
    ----------
    mean, logvar
        Of q(w | x), ``(N, L)`` each: what ``model.encode(x)`` returns.

    Returns
    -------
    The covariance matrix, ``(L, L)``, in the dtype of ``mean``.

    Raises
    ------
    ValueError
        If the shapes differ or there is no example.

    Examples
    --------
    >>> latent_covariance(torch.tensor([[-1.0, -1.0], [1.0, 1.0]]), torch.zeros(2, 2))
    tensor([[2., 1.],
            [1., 2.]])
    """
    means, logvars = _doubles(mean, logvar)
    gaps = means - means.mean(0)
    found = gaps.T @ gaps / len(means) + torch.diag(logvars.exp().mean(0))
    return found.to(mean.dtype)


def latent_correlation(
    mean: Float[Tensor, "n l"], logvar: Float[Tensor, "n l"]
) -> Float[Tensor, "l l"]:
    """Correlation matrix of the aggregate posterior; see :func:`latent_covariance`.

    Parameters
    ----------
    mean, logvar
        As of :func:`latent_covariance`, and so are the errors.

    Returns
    -------
    The correlation matrix, ``(L, L)``, in the dtype of ``mean``.

    Examples
    --------
    >>> latent_correlation(torch.tensor([[-1.0, -1.0], [1.0, 1.0]]), torch.zeros(2, 2))
    tensor([[1.0000, 0.5000],
            [0.5000, 1.0000]])
    """
    covariance = latent_covariance(*_doubles(mean, logvar))
    scale = covariance.diagonal().rsqrt()
    return (scale[:, None] * covariance * scale).to(mean.dtype)


def gaussian_total_correlation(mean: Float[Tensor, "n l"], logvar: Float[Tensor, "n l"]) -> float:
    """Total correlation of the Gaussian that has the aggregate posterior's covariance, in nats.

    It is ``-1/2 log det R`` of the correlation matrix R: it sees what is linear, and is zero for
    dependence of any other kind.

    Parameters
    ----------
    mean, logvar
        As of :func:`latent_covariance`, and so are the errors.

    Returns
    -------
    In nats, never negative but for rounding.

    References
    ----------
    Watanabe (1960), "Information theoretical analysis of multivariate correlation".

    Examples
    --------
    >>> mean = torch.tensor([[-1.0, -1.0], [1.0, 1.0]])
    >>> round(gaussian_total_correlation(mean, torch.zeros(2, 2)), 4)
    0.1438
    """
    return -0.5 * torch.logdet(latent_correlation(*_doubles(mean, logvar))).item()


@torch.no_grad()
def total_correlation(
    mean: Float[Tensor, "n l"],
    logvar: Float[Tensor, "n l"],
    *,
    method: str = "aggregate",
    num_samples: int = 2000,
    dataset_size: int | None = None,
    generator: Generator | None = None,
) -> float:
    """Total correlation of the aggregate posterior in nats, by sampling.

    Parameters
    ----------
    mean, logvar
        Of q(w | x), ``(N, L)`` each: what ``model.encode(x)`` returns.
    method
        ``"aggregate"``: samples of q(w), each scored under all N posteriors; exact up to the Monte
        Carlo error. ``"minibatch"``: minibatch-weighted sampling, which the beta-TCVAE penalises.
        The N are then a batch of a larger data set, and one sample of each is scored under those N
        with the weight 1 / (N dataset_size). That puts every log-density too low, by log N where
        posteriors do not overlap and up to log dataset_size where all are the same, so the L of the
        dimensions outweigh the joint one: the result is biased upwards, by (L - 1) log dataset_size
        in the latter case. Its changes tell something, its height does not.
    num_samples
        Of ``"aggregate"``.
    dataset_size
        Of ``"minibatch"``; None is N.
    generator
        Source of the noise; None is torch's default.

    Returns
    -------
    The estimate, in nats.

    Raises
    ------
    ValueError
        If the shapes differ, there is no example, or an argument is out of its range.
    TypeError
        If one of them is no floating tensor, or a number is no integer.

    References
    ----------
    Chen, Li, Grosse & Duvenaud (2018), "Isolating sources of disentanglement in VAEs", appendix C.

    Examples
    --------
    >>> mean = torch.tensor([[-9.0, -9.0], [9.0, 9.0]])  # one bit, twice
    >>> round(total_correlation(mean, torch.zeros(2, 2)), 4)
    0.6931
    """
    mean, logvar = _doubles(mean, logvar)
    if method not in _METHODS:
        raise WrongValue(f"method={method!r}; expected one of {', '.join(_METHODS)}")
    num_samples = checks.at_least(1, "num_samples", num_samples)
    if dataset_size is not None and method != "minibatch":
        raise WrongValue(f"dataset_size belongs to method='minibatch', not to {method!r}")
    count = len(mean)
    size = count if dataset_size is None else checks.at_least(1, "dataset_size", dataset_size)
    if size < count:
        raise WrongValue(f"dataset_size={size}; expected at least the {count} examples given")
    if method == "aggregate":
        picked = torch.randint(count, (num_samples,), generator=generator, device=mean.device)
        log_weight = -math.log(count)
    else:
        picked, log_weight = torch.arange(count), -math.log(count * size)
    chosen, spread = mean[picked], logvar[picked]
    w = move_noise(chosen, spread, draw_noise(chosen.shape, mean, generator))
    weights = torch.full_like(mean[:, 0], log_weight)
    joint = mixture_log_prob(w, weights, mean, logvar)
    # Each dimension by itself is a mixture of its own.
    w, mean, logvar = (tensor.T[:, :, None] for tensor in (w, mean, logvar))
    marginals = mixture_log_prob(w, weights, mean, logvar)
    return (joint - marginals.sum(0)).mean().item()


def _doubles(mean: Tensor, logvar: Tensor) -> tuple[Tensor, Tensor]:
    """Give both in float64, checked."""
    for name, value in (("mean", mean), ("logvar", logvar)):
        if not isinstance(value, Tensor) or not value.is_floating_point():
            kind = value.dtype if isinstance(value, Tensor) else type(value).__name__
            raise WrongType(
                f"{name} must be a floating tensor, as model.encode(x) returns it, got {kind}"
            )
    if mean.ndim != 2 or mean.shape != logvar.shape or mean.numel() == 0:
        raise WrongValue(
            f"mean has shape {tuple(mean.shape)} and logvar {tuple(logvar.shape)}; expected both "
            "(N, L) with N, L >= 1, as model.encode(x) returns them"
        )
    return mean.double(), logvar.double()
