# SPDX-License-Identifier: MIT
"""The sums over points that one step of expectation-maximisation needs."""

from __future__ import annotations

from typing import NamedTuple

from jaxtyping import Float, Float64
from torch import Tensor

from pyvae.ops import products, reference
from pyvae.ops._cuda import LARGEST_FUSED_MIXTURE
from pyvae.ops.exporting import exportable
from pyvae.ops.op import Op

__all__ = [
    "MixtureStatistics",
    "mixture_statistics",
    "mixture_statistics_tril",
]


@exportable
class MixtureStatistics(NamedTuple):
    """Sums over points, in float64; r are the responsibilities times the sample weights.

    Attributes
    ----------
    log_likelihood
        sum_n w_n log p(x_n) in nats, ``(...)``.
    counts
        sum_n r_nk, ``(..., K)``.
    sum_dx
        sum_n r_nk (x_n - mu_k), ``(..., K, D)``.
    sum_dx2
        sum_n r_nk (x_n - mu_k)^2, in the shape of the covariances.
    """

    log_likelihood: Float64[Tensor, "..."]
    counts: Float64[Tensor, "..."]
    sum_dx: Float64[Tensor, "..."]
    sum_dx2: Float64[Tensor, "..."]


_statistics = Op("mixture_statistics", reference.mixture_statistics)
_statistics_tril = Op(
    "mixture_statistics_tril",
    reference.mixture_statistics_tril,
    large=products,
    fused_to=LARGEST_FUSED_MIXTURE,
)


def mixture_statistics(
    x: Float[Tensor, "*#batch n d"],
    log_weights: Float[Tensor, "*#batch k"],
    means: Float[Tensor, "*#batch k d"],
    logvars: Float[Tensor, "*#batch k s"],
    sample_weight: Float[Tensor, "*#batch n"] | None = None,
) -> MixtureStatistics:
    """Sums of one EM step of a mixture with diagonal or isotropic covariances, in one pass.

    Nothing of size (N, K) is written. The moments are taken about the current means, so nothing
    cancels: the new mean is ``means + sum_dx / counts``, the new variance
    ``sum_dx2 / counts - (sum_dx / counts) ** 2``.

    Parameters
    ----------
    x, log_weights, means, logvars
        As for :func:`mixture_log_prob`; weights that do not sum to one are used as they are.
    sample_weight
        How often each point counts, ``(..., N)``; None is once. A point of weight zero is left out,
        whatever it holds.

    Returns
    -------
    MixtureStatistics
        ``log_likelihood`` sum_n w_n log p(x_n) in nats, ``(...)``; ``counts`` sum_n r_nk,
        ``(..., K)``; ``sum_dx`` sum_n r_nk (x_n - mu_k), ``(..., K, D)``; ``sum_dx2``
        sum_n r_nk (x_n - mu_k)^2, ``(..., K, D)``, or summed over D, ``(..., K, 1)``, where
        ``logvars`` is isotropic. Always float64, and not differentiable. A point without a density
        (log p = -inf) has no responsibilities.

    Raises
    ------
    ValueError, TypeError
        As :func:`mixture_log_prob`.

    References
    ----------
    Bishop (2006), Pattern Recognition and Machine Learning, equations 9.23 to 9.28.

    Examples
    --------
    >>> import torch
    >>> x, means = torch.tensor([[-1.0], [1.0]]), torch.zeros(1, 1)
    >>> sums = mixture_statistics(x, torch.zeros(1), means, torch.zeros(1, 1))
    >>> sums.counts, sums.sum_dx2
    (tensor([2.], dtype=torch.float64), tensor([[2.]], dtype=torch.float64))
    """
    weight = _ones_like_points(x) if sample_weight is None else sample_weight
    return MixtureStatistics(*_statistics(x, log_weights, means, logvars, weight))


def mixture_statistics_tril(
    x: Float[Tensor, "*#batch n d"],
    log_weights: Float[Tensor, "*#batch k"],
    means: Float[Tensor, "*#batch k d"],
    scale_trils: Float[Tensor, "*#batch c d d"],
    sample_weight: Float[Tensor, "*#batch n"] | None = None,
) -> MixtureStatistics:
    """Sums of one EM step of a mixture with full or tied covariances, in one pass.

    Parameters
    ----------
    x, log_weights, means, scale_trils
        As for :func:`mixture_log_prob_tril`.
    sample_weight
        As for :func:`mixture_statistics`.

    Returns
    -------
    MixtureStatistics
        As :func:`mixture_statistics`, but ``sum_dx2`` is sum_n r_nk (x_n - mu_k)(x_n - mu_k)',
        ``(..., K, D, D)``, or summed over K, ``(..., 1, D, D)``, where ``scale_trils`` is tied.

    Raises
    ------
    ValueError, TypeError
        As :func:`mixture_log_prob`.

    References
    ----------
    Bishop (2006), equations 9.23 to 9.28.

    Examples
    --------
    >>> import torch
    >>> x, means = torch.tensor([[-1.0, -1.0], [1.0, 1.0]]), torch.zeros(1, 2)
    >>> mixture_statistics_tril(x, torch.zeros(1), means, torch.eye(2)[None]).sum_dx2
    tensor([[[2., 2.],
             [2., 2.]]], dtype=torch.float64)
    """
    weight = _ones_like_points(x) if sample_weight is None else sample_weight
    return MixtureStatistics(*_statistics_tril(x, log_weights, means, scale_trils, weight))


def _ones_like_points(x: object) -> Tensor:
    """One number behind every weight: a broadcast view, which the kernel reads by its strides."""
    if not isinstance(x, Tensor) or not x.is_floating_point() or x.dim() < 2:
        return x  # type: ignore[return-value]  # the op's own check says what is wrong with it
    return x.new_ones(()).expand(x.shape[:-1])
