# SPDX-License-Identifier: MIT
"""Gaussian mixtures with full or tied covariances, by their Cholesky factors."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from pyvae.ops import products, reference
from pyvae.ops._cuda import LARGEST_FUSED_MIXTURE
from pyvae.ops.mixture import MixturePosterior, MixturePrediction
from pyvae.ops.op import Op

__all__ = [
    "mixture_log_prob_tril",
    "mixture_posterior_tril",
    "mixture_predict_tril",
]

_log_prob_tril = Op(
    "mixture_log_prob_tril",
    reference.mixture_log_prob_tril,
    large=products,
    fused_to=LARGEST_FUSED_MIXTURE,
    listing=Op(
        "mixture_log_prob_tril_listed",
        reference.mixture_log_prob_tril,
        title="mixture_log_prob_tril",
    ),
    listed_from=32,
)
_posterior_tril = Op(
    "mixture_posterior_tril",
    reference.mixture_posterior_tril,
    large=products,
    fused_to=LARGEST_FUSED_MIXTURE,
)
_predict_tril = Op(
    "mixture_predict_tril",
    reference.mixture_predict_tril,
    large=products,
    fused_to=LARGEST_FUSED_MIXTURE,
)


def mixture_log_prob_tril(
    x: Float[Tensor, "*#batch n d"],
    log_weights: Float[Tensor, "*#batch k"],
    means: Float[Tensor, "*#batch k d"],
    scale_trils: Float[Tensor, "*#batch c d d"],
) -> Float[Tensor, "*batch n"]:
    """Log-density of points under a mixture of Gaussians with full covariances.

    Parameters
    ----------
    x, log_weights, means
        As for :func:`mixture_log_prob`.
    scale_trils
        Lower Cholesky factors of the covariances, ``(..., K, D, D)``, or ``(..., 1, D, D)`` for one
        covariance tied over the components. Diagonals must be positive, which is not checked: the
        results are NaN where they are negative. What stands above the diagonal is not read.

    Returns
    -------
    log sum_k exp(log_weights_k) N(x; mu_k, L_k L_k') in nats, ``(..., N)``.

    Raises
    ------
    ValueError, TypeError
        As :func:`mixture_log_prob`.

    References
    ----------
    Bishop (2006), Pattern Recognition and Machine Learning, equations 2.43 and 9.7.

    Examples
    --------
    >>> import torch
    >>> weights = torch.tensor([0.5, 0.5]).log()
    >>> x, means = torch.zeros(1, 2), torch.zeros(2, 2)
    >>> mixture_log_prob_tril(x, weights, means, torch.eye(2).expand(2, 2, 2))
    tensor([-1.8379])
    """
    return _log_prob_tril(x, log_weights, means, scale_trils)[0]


def mixture_posterior_tril(
    x: Float[Tensor, "*#batch n d"],
    log_weights: Float[Tensor, "*#batch k"],
    means: Float[Tensor, "*#batch k d"],
    scale_trils: Float[Tensor, "*#batch c d d"],
) -> MixturePosterior:
    """Posterior of the component given a point, and the point's log-density, in one pass.

    Parameters
    ----------
    x, log_weights, means, scale_trils
        As for :func:`mixture_log_prob_tril`.

    Returns
    -------
    MixturePosterior
        As :func:`mixture_posterior`.

    Raises
    ------
    ValueError, TypeError
        As :func:`mixture_log_prob`.

    References
    ----------
    Bishop (2006), equation 9.13.

    Examples
    --------
    >>> import torch
    >>> x, means = torch.tensor([[0.0], [9.0]]), torch.tensor([[0.0], [10.0]])
    >>> weights, tied = torch.full((2,), 0.5).log(), torch.ones(1, 1, 1)
    >>> mixture_posterior_tril(x, weights, means, tied).log_posterior.argmax(-1)
    tensor([0, 1])
    """
    return MixturePosterior(*_posterior_tril(x, log_weights, means, scale_trils))


def mixture_predict_tril(
    x: Float[Tensor, "*#batch n d"],
    log_weights: Float[Tensor, "*#batch k"],
    means: Float[Tensor, "*#batch k d"],
    scale_trils: Float[Tensor, "*#batch c d d"],
) -> MixturePrediction:
    """Most probable component of every point under full covariances, and its log-density.

    Parameters
    ----------
    x, log_weights, means, scale_trils
        As for :func:`mixture_log_prob_tril`.

    Returns
    -------
    MixturePrediction
        As :func:`mixture_predict`.

    Raises
    ------
    ValueError, TypeError
        As :func:`mixture_log_prob`.

    References
    ----------
    Bishop (2006), Pattern Recognition and Machine Learning, equation 9.13 and section 1.5.1.

    Examples
    --------
    >>> import torch
    >>> x, means = torch.tensor([[1.0, 1.2]]), torch.zeros(2, 2)
    >>> factors = torch.stack([torch.eye(2), torch.tensor([[1.0, 0.0], [0.9, 0.4]])])
    >>> mixture_predict_tril(x, torch.full((2,), 0.5).log(), means, factors).component
    tensor([1])
    """
    return MixturePrediction(*_predict_tril(x, log_weights, means, scale_trils))
