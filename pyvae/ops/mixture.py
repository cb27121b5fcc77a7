# SPDX-License-Identifier: MIT
"""Gaussian mixtures with diagonal or isotropic covariances: density, posterior, ELBO terms."""

from __future__ import annotations

import math
from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor

from pyvae.ops import reference
from pyvae.ops.exporting import exportable
from pyvae.ops.op import Op

__all__ = [
    "MixtureElboTerms",
    "MixturePosterior",
    "MixturePrediction",
    "mixture_elbo_terms",
    "mixture_log_prob",
    "mixture_posterior",
    "mixture_predict",
]


@exportable
class MixturePosterior(NamedTuple):
    """log p(z | x), shape ``(..., N, K)``, and log p(x), shape ``(..., N)``, in nats.

    Attributes
    ----------
    log_posterior
        log p(z | x), ``(..., N, K)``.
    log_prob
        log p(x), ``(..., N)``.
    """

    log_posterior: Tensor
    log_prob: Tensor


@exportable
class MixturePrediction(NamedTuple):
    """The most probable component, int64, and log p(x) in nats, each of shape ``(..., N)``.

    Attributes
    ----------
    component
        The most probable one, int64.
    log_prob
        log p(x).
    """

    component: Tensor
    log_prob: Tensor


@exportable
class MixtureElboTerms(NamedTuple):
    """E_q(z)[log N(w; mu_z, sigma_z^2)] and KL(q(z) || p(z)), each ``(..., N)`` in nats.

    Attributes
    ----------
    expected_log_prob
        E_q(z)[log N(w; mu_z, sigma_z^2)].
    kl_z
        KL(q(z) || p(z)).
    """

    expected_log_prob: Tensor
    kl_z: Tensor


_log_prob = Op(
    "mixture_log_prob",
    reference.mixture_log_prob,
    listing=Op("mixture_log_prob_listed", reference.mixture_log_prob, title="mixture_log_prob"),
    listed_from=128,
)
_posterior = Op("mixture_posterior", reference.mixture_posterior)
_predict = Op("mixture_predict", reference.mixture_predict)


def _elbo_gaussian_reference(
    mean_q: Tensor, logvar_q: Tensor, log_weights: Tensor, means: Tensor, logvars: Tensor
) -> tuple[Tensor, Tensor]:
    return reference.mixture_elbo_terms(None, log_weights, means, logvars, mean_q, logvar_q)


def _elbo_sampled_reference(
    w: Tensor, mean_q: Tensor, logvar_q: Tensor, log_weights: Tensor, means: Tensor, logvars: Tensor
) -> tuple[Tensor, Tensor]:
    return reference.mixture_elbo_terms(w, log_weights, means, logvars, mean_q, logvar_q)


def _elbo_logits_reference(
    mean_q: Tensor,
    logvar_q: Tensor,
    logits_q: Tensor,
    log_weights: Tensor,
    means: Tensor,
    logvars: Tensor,
) -> tuple[Tensor, Tensor]:
    return reference.mixture_elbo_terms(
        None, log_weights, means, logvars, mean_q, logvar_q, logits_q
    )


# One public function, four schemas: an op has no optional arguments.
_elbo_exact, _elbo_gaussian, _elbo_sampled, _elbo_logits = (
    Op(f"mixture_elbo_terms{suffix}", function, title="mixture_elbo_terms")
    for suffix, function in (
        ("", reference.mixture_elbo_terms),
        ("_gaussian", _elbo_gaussian_reference),
        ("_sampled", _elbo_sampled_reference),
        ("_logits", _elbo_logits_reference),
    )
)


_elbo_logits_at_point = _elbo_logits.renamed(mean_q="w", logvar_q="w")


def mixture_log_prob(
    x: Float[Tensor, "*#batch n d"],
    log_weights: Float[Tensor, "*#batch k"],
    means: Float[Tensor, "*#batch k d"],
    logvars: Float[Tensor, "*#batch k s"],
) -> Float[Tensor, "*batch n"]:
    """Log-density of points under a Gaussian mixture.

    Parameters
    ----------
    x
        Points, ``(..., N, D)``. Leading dimensions broadcast with those of the mixture.
    log_weights
        Logarithms of the mixture weights, ``(..., K)``; used as they are, never normalised. A
        component of weight -inf contributes nothing, whatever else it holds.
    means
        Component means, ``(..., K, D)``.
    logvars
        Natural logarithms of the variances (not the variances), ``(..., K, D)``, or ``(..., K, 1)``
        for isotropic components.

    Returns
    -------
    log sum_k exp(log_weights_k) N(x; mu_k, sigma_k^2) in nats, ``(..., N)``.

    Raises
    ------
    ValueError
        If sizes disagree, batch dimensions do not broadcast, or devices differ.
    TypeError
        If an argument is no floating-point tensor, or dtypes are mixed outside autocast.

    References
    ----------
    Bishop (2006), Pattern Recognition and Machine Learning, equation 9.7.

    Examples
    --------
    >>> import torch
    >>> weights = torch.tensor([0.5, 0.5]).log()
    >>> mixture_log_prob(torch.zeros(1, 2), weights, torch.zeros(2, 2), torch.zeros(2, 1))
    tensor([-1.8379])
    """
    return _log_prob(x, log_weights, means, logvars)[0]


def mixture_posterior(
    x: Float[Tensor, "*#batch n d"],
    log_weights: Float[Tensor, "*#batch k"],
    means: Float[Tensor, "*#batch k d"],
    logvars: Float[Tensor, "*#batch k s"],
) -> MixturePosterior:
    """Posterior of the component given a point, and the point's log-density, in one pass.

    Parameters
    ----------
    x, log_weights, means, logvars
        As for :func:`mixture_log_prob`.

    Returns
    -------
    MixturePosterior
        ``log_posterior`` log p(z | x), ``(..., N, K)``, and ``log_prob`` log p(x), ``(..., N)``.
        Where the density is zero, both are -inf and pass no gradient.

    Raises
    ------
    ValueError, TypeError
        As :func:`mixture_log_prob`.

    References
    ----------
    Bishop (2006), equation 9.13; Dilokthanakul et al. (2016), section 3.2.

    Examples
    --------
    >>> import torch
    >>> x, means = torch.tensor([[0.0], [9.0]]), torch.tensor([[0.0], [10.0]])
    >>> weights = torch.full((2,), 0.5).log()
    >>> mixture_posterior(x, weights, means, torch.zeros(2, 1)).log_posterior.argmax(-1)
    tensor([0, 1])
    """
    return MixturePosterior(*_posterior(x, log_weights, means, logvars))


def mixture_predict(
    x: Float[Tensor, "*#batch n d"],
    log_weights: Float[Tensor, "*#batch k"],
    means: Float[Tensor, "*#batch k d"],
    logvars: Float[Tensor, "*#batch k s"],
) -> MixturePrediction:
    """Most probable component of every point, and the point's log-density, in one pass.

    What :func:`mixture_posterior` says by ``log_posterior.argmax(-1)``, without the ``(N, K)``
    matrix.

    Parameters
    ----------
    x, log_weights, means, logvars
        As for :func:`mixture_log_prob`.

    Returns
    -------
    MixturePrediction
        ``component``, int64, and ``log_prob`` log p(x) in nats, each ``(..., N)``. Of equally
        probable components it is the first. Where the density is zero or NaN, and where K is 0, no
        component is more probable than another, and it is 0. Neither passes a gradient.

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
    >>> x, means = torch.tensor([[0.0], [9.0]]), torch.tensor([[0.0], [10.0]])
    >>> mixture_predict(x, torch.full((2,), 0.5).log(), means, torch.zeros(2, 1)).component
    tensor([0, 1])
    """
    return MixturePrediction(*_predict(x, log_weights, means, logvars))


def mixture_elbo_terms(
    w: Float[Tensor, "*#batch n d"] | None,
    log_weights: Float[Tensor, "*#batch k"],
    means: Float[Tensor, "*#batch k d"],
    logvars: Float[Tensor, "*#batch k s"],
    mean_q: Float[Tensor, "*#batch n d"] | None = None,
    logvar_q: Float[Tensor, "*#batch n d"] | None = None,
    logits_q: Float[Tensor, "*#batch n k"] | None = None,
) -> MixtureElboTerms:
    """The two terms of a GM-VAE's bound that hold the mixture.

    q(z) is the exact posterior p(z | w), which maximises the bound given w, unless ``logits_q`` is
    given; then it is its softmax. Gradients flow through q(z).

    Parameters
    ----------
    w
        Samples of the latent, ``(..., N, D)``. ``None`` with ``mean_q``: q(z) is the maximiser of
        the mean-field bound, softmax(log_weights + E_q(w|x) log N).
    log_weights, means, logvars
        The mixture, as for :func:`mixture_log_prob`.
    mean_q, logvar_q
        Mean and log-variance of q(w | x), ``(..., N, D)``: the expectation over w is taken in
        closed form. With ``w`` too, q(z) = p(z | w) at the sample: valid, but not the maximiser.
    logits_q
        Unnormalised log q(z), ``(..., N, K)``.

    Returns
    -------
    MixtureElboTerms
        ``expected_log_prob`` = E_q(z)[log N(w; mu_z, sigma_z^2)], or its mean under q(w | x), and
        ``kl_z`` = sum_k q_k (log q_k - log_weights_k), each ``(..., N)`` in nats. The latter is a
        KL divergence where the weights sum to one, and +inf where q gives mass to a weight of -inf.
        Where every density is zero they are (-inf, 0) and pass no gradient.

    Raises
    ------
    ValueError
        As :func:`mixture_log_prob`; and if only one of ``mean_q``, ``logvar_q`` is given, or
        neither these nor ``w``.
    TypeError
        As :func:`mixture_log_prob`.

    References
    ----------
    Jiang et al. (2017), Variational Deep Embedding, equations 9 to 16; Dilokthanakul et al. (2016).

    Examples
    --------
    >>> import torch
    >>> w, means = torch.zeros(1, 2), torch.tensor([[0.0, 0.0], [0.0, 0.0]])
    >>> terms = mixture_elbo_terms(w, torch.full((2,), 0.5).log(), means, torch.zeros(2, 1))
    >>> terms.expected_log_prob, terms.kl_z.abs()
    (tensor([-1.8379]), tensor([0.]))
    """
    if (mean_q is None) != (logvar_q is None):
        given, missing = ("mean_q", "logvar_q") if logvar_q is None else ("logvar_q", "mean_q")
        raise ValueError(
            f"mixture_elbo_terms: {given} is given but {missing} is not; pass both for the closed "
            "form under q(w | x), or neither"
        )
    mixture = (log_weights, means, logvars)
    if mean_q is None or logvar_q is None:
        if w is None:
            raise ValueError(
                "mixture_elbo_terms: w is None, which needs mean_q and logvar_q; pass samples w, "
                "or the mean and log-variance of q(w | x)"
            )
        if logits_q is None:
            return MixtureElboTerms(*_elbo_exact(w, *mixture))
        return MixtureElboTerms(*_elbo_logits_at_point(w, _no_variance(w), logits_q, *mixture))
    if logits_q is not None:
        return MixtureElboTerms(*_elbo_logits(mean_q, logvar_q, logits_q, *mixture))
    if w is None:
        return MixtureElboTerms(*_elbo_gaussian(mean_q, logvar_q, *mixture))
    return MixtureElboTerms(*_elbo_sampled(w, mean_q, logvar_q, *mixture))


def _no_variance(w: object) -> Tensor:
    """A point is the Gaussian of log-variance -inf."""
    if not isinstance(w, Tensor) or not w.is_floating_point() or w.dim() < 2:
        return w  # type: ignore[return-value]  # the op's own check says what is wrong with it
    return w.new_full((), -math.inf).expand(w.shape)
