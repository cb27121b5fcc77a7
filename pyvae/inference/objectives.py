# SPDX-License-Identifier: MIT
"""What networks may be trained on besides the bound: importance weights, and the forward KL.

The bound pulls q(w | x) towards p(w | x) by KL(q || p), through reparameterised samples. The
forward KL(p || q) needs samples of p(w | x) instead, and no gradient through them: by importance
weights on data (wake), or from the model itself, whose own (w, x) come with their w (sleep). Both
cover p's modes where the bound picks one, given samples enough: with few, weights are biased
towards q, and degenerate where q is far off. What a model draws is no data until it is good.
Neither loss reaches the decoder or the prior.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from pyvae.inference.proposal import propose
from pyvae.models import posterior

if TYPE_CHECKING:
    from pyvae.models import LatentVariableModel


def importance_weighted_bound(
    model: LatentVariableModel,
    x: Tensor,
    num_samples: int,
    generator: Generator | None = None,
    *,
    train_encoder: bool = True,
) -> Float[Tensor, "n"]:
    """Importance-weighted bound on log p(x), with z summed out.

    Parameters
    ----------
    model
        A VAE or GM-VAE.
    x
        Data, ``(N, ...)``.
    num_samples
        S: with one it is a sample of the bound, with more it is tighter.
    generator
        Source of the noise; None is torch's default.
    train_encoder
        False keeps the gradient from the encoder, as wake-sleep does.

    Returns
    -------
    log 1/S sum_s p(x, w_s) / q(w_s | x) in nats, ``(N,)``.

    Raises
    ------
    ValueError
        If ``num_samples`` is below one, or the model refuses ``x``.

    References
    ----------
    Burda, Grosse & Salakhutdinov (2016), equation 8.

    Examples
    --------
    >>> from pyvae.models import VAE
    >>> importance_weighted_bound(VAE(4, 2), torch.rand(3, 4), num_samples=5).shape
    torch.Size([3])
    """
    q = propose(model, x, num_samples, generator, train_encoder=train_encoder)
    log_ratio = model.log_joint(x, q.w) - q.log_q
    return torch.logsumexp(log_ratio, 0) - math.log(num_samples)


def wake_loss(
    model: LatentVariableModel,
    x: Tensor,
    num_samples: int,
    generator: Generator | None = None,
) -> Float[Tensor, "n"]:
    """E[-log q(w | x)] under p(w | x), by self-normalised importance sampling from q.

    Its gradient is the forward KL's, KL(p(w | x) || q(w | x)): biased for few samples, and of the
    encoder alone: samples and weights are constants. Of one sample the weight is 1, whatever it
    is, and nothing is learnt.

    Parameters
    ----------
    model, x, num_samples, generator
        As of :func:`importance_weighted_bound`.

    Returns
    -------
    In nats, ``(N,)``.

    Raises
    ------
    ValueError
        As :func:`importance_weighted_bound`.

    References
    ----------
    Bornschein & Bengio (2015), "Reweighted wake-sleep", equation 10; Le et al. (2019).

    Examples
    --------
    >>> from pyvae.models import VAE
    >>> model = VAE(4, 2)
    >>> wake_loss(model, torch.rand(3, 4), num_samples=5).sum().backward()
    >>> [name for name, p in model.named_parameters() if p.grad is not None][0].split(".")[0]
    'encoder'
    """
    q = propose(model, x, num_samples, generator)
    w = q.w.detach()
    log_q = posterior.log_prob_at(w, q.mean, q.logvar)
    with torch.no_grad():
        shares = torch.softmax(model.log_joint(x, w) - log_q, 0)
    return -(shares * log_q).sum(0)


def sleep_loss(
    model: LatentVariableModel, count: int, generator: Generator | None = None
) -> Float[Tensor, "n"]:
    """E[-log q(w | x)] over the model's own (w, x).

    Parameters
    ----------
    model
        A VAE or GM-VAE.
    count
        N, how many are drawn.
    generator
        Of w; x is drawn by torch's default.

    Returns
    -------
    In nats, ``(N,)``, with gradients of the encoder alone.

    Raises
    ------
    ValueError
        If ``count`` is negative.

    References
    ----------
    Hinton, Dayan, Frey & Neal (1995), "The wake-sleep algorithm".

    Examples
    --------
    >>> from pyvae.models import VAE
    >>> sleep_loss(VAE(4, 2), 8).shape
    torch.Size([8])
    """
    with torch.no_grad():
        w = model.sample_prior(count, generator=generator)
        x = model.likelihood(w).sample()
    mean, logvar = model.encode(x)
    return -posterior.log_prob_at(w, mean, logvar)


def score_function_bound(
    model: LatentVariableModel,
    x: Tensor,
    num_samples: int,
    generator: Generator | None = None,
) -> Float[Tensor, "n"]:
    """Bound whose gradient reaches the encoder without reparameterisation.

    grad E_q[f(w)] = E_q[(f(w) - b) grad log q(w)] needs f at samples and no derivative of it in w,
    so it is there for a decoder that has none. Its mean is the reparameterised gradient; its
    variance is larger, for it learns from how good samples were and not from where better ones are.
    b is the mean of f over the example's other samples, which costs no bias and takes most of that
    variance away; with one sample there is none, and the variance is thousands of times larger.

    Parameters
    ----------
    model, x, num_samples, generator
        As of :func:`importance_weighted_bound`.

    Returns
    -------
    The bound in nats, ``(N,)``, averaged over the samples, with z summed out: a network for
    q(z | w, x) has no part in it, and gets no gradient.

    Raises
    ------
    ValueError
        As :func:`importance_weighted_bound`.

    References
    ----------
    Williams (1992), "Simple statistical gradient-following algorithms"; Kool, van Hoof & Welling
    (2019) for the leave-one-out baseline.

    Examples
    --------
    >>> from pyvae.models import VAE
    >>> model = VAE(4, 2)
    >>> (-score_function_bound(model, torch.rand(3, 4), num_samples=5).mean()).backward()
    >>> all(p.grad is not None for p in model.parameters())
    True
    """
    q = propose(model, x, num_samples, generator)
    w = q.w.detach()
    log_q = posterior.log_prob_at(w, q.mean, q.logvar)
    gained = model.log_joint(x, w) - log_q.detach()
    reward = gained.detach()
    if num_samples > 1:
        reward = (reward - reward.mean(0)) * (num_samples / (num_samples - 1))
    # Zero in value; its gradient is the score's.
    score = reward * (log_q - log_q.detach())
    return (gained + score).mean(0)
