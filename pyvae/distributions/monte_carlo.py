# SPDX-License-Identifier: MIT
"""The Monte Carlo estimate of KL(p || q), and how many samples it takes."""

from __future__ import annotations

import math
from numbers import Integral

import torch
from torch import Tensor

from pyvae.distributions.gaussian_mixture import GaussianMixture
from pyvae.distributions.precision import outside_autocast
from pyvae.errors import WrongValue

_POINTS = 10_000  # of a whole batch, where no number of samples is set
_FEWEST = 30  # of one entry of it
_LOG_2PI = math.log(2.0 * math.pi)
_setting: list[int | None] = [None]


class set_kl_samples:  # a function and a context manager, as torch.set_grad_enabled
    """Set how many samples ``kl_divergence`` and :func:`kl_mixture` draw where they estimate.

    Holds from the call on, in all threads, or as a context manager within its block.

    Parameters
    ----------
    num_samples
        Of every entry of p's batch. None, as at first, is 10,000 points in all, and 30 an entry at
        least: 10,000 of one pair, 78 of a batch of 128.

    Raises
    ------
    ValueError
        If it is below 1.

    Examples
    --------
    >>> from torch.distributions import Independent, Normal, kl_divergence
    >>> prior = GaussianMixture(torch.zeros(2), torch.randn(2, 3), torch.zeros(2, 1))
    >>> q = Independent(Normal(torch.zeros(128, 3), torch.ones(128, 3)), 1)
    >>> with set_kl_samples(30):
    ...     kl_divergence(q, prior).shape
    torch.Size([128])
    """

    def __init__(self, num_samples: int | None) -> None:
        if num_samples is not None:
            _check(num_samples, "set_kl_samples")
        self._before = _setting[0]
        _setting[0] = num_samples

    def __enter__(self) -> None:
        """It was set when it was made."""

    def __exit__(self, *error: object) -> None:
        _setting[0] = self._before


def kl_samples(p: GaussianMixture, given: int | None) -> int:
    """How many samples of each entry of p: as given, as set, or as the size of the batch allows."""
    if given is not None:
        _check(given, "kl_mixture")
        return given
    entries = max(1, p.batch_shape.numel())
    return _setting[0] or max(_FEWEST, _POINTS // entries)


def estimated_kl(p: GaussianMixture, q: GaussianMixture, num_samples: int) -> Tensor:
    """Mean of log p - log q over samples of p, of the broadcast batch shape."""
    x, log_p = _sampled(p, num_samples)
    missing = max(0, len(q.batch_shape) - len(p.batch_shape))
    x = x.reshape(num_samples, *(1,) * missing, *p.batch_shape, *p.event_shape)
    log_p = log_p.reshape(num_samples, *(1,) * missing, *p.batch_shape)
    return (log_p - q.log_prob(x)).mean(0)


def _sampled(p: GaussianMixture, num_samples: int) -> tuple[Tensor, Tensor]:
    """Points that carry gradients where they are wanted, and their log-densities."""
    log_weights, means, spread = p.arguments()
    if log_weights.shape[-1] == 1:
        return _gaussian_sampled(p, means[..., 0, :], spread, num_samples)
    wanted = torch.is_grad_enabled() and any(t.requires_grad for t in (log_weights, means, spread))
    x = p.rsample((num_samples,)) if wanted else p.sample((num_samples,))
    return x, p.log_prob(x)


def _gaussian_sampled(
    p: GaussianMixture, mean: Tensor, spread: Tensor, num_samples: int
) -> tuple[Tensor, Tensor]:
    """Of one Gaussian, reparameterised: x = mean + L noise, log p = -noise^2 / 2 - log |L| + ..."""
    shape = (num_samples, *p.batch_shape, *p.event_shape)
    noise = torch.randn(shape, dtype=mean.dtype, device=mean.device)
    if p.has_matrices:
        factor = spread[..., 0, :, :]
        with outside_autocast(noise):
            moved = (factor @ noise.unsqueeze(-1)).squeeze(-1)
        log_scale = torch.diagonal(factor, dim1=-2, dim2=-1).log().sum(-1)
    else:
        logvar = spread[..., 0, :]
        logvar = logvar.expand(*logvar.shape[:-1], shape[-1])
        moved = torch.exp(0.5 * logvar) * noise
        log_scale = 0.5 * logvar.sum(-1)
    squares = noise.square().sum(-1) + shape[-1] * _LOG_2PI
    return mean + moved, -0.5 * squares - log_scale


def _check(num_samples: int, caller: str) -> None:
    if isinstance(num_samples, bool) or not isinstance(num_samples, Integral):
        raise WrongValue(f"{caller}: num_samples is {num_samples!r}; expected an integer")
    if num_samples < 1:
        raise WrongValue(f"{caller}: num_samples is {num_samples}; expected at least 1")
