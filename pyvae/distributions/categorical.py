# SPDX-License-Identifier: MIT
"""The divergence between categorical distributions."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from pyvae.errors import WrongValue


def categorical_kl(
    log_p: Float[Tensor, "*#batch k"], log_q: Float[Tensor, "*#batch k"]
) -> Float[Tensor, "*batch"]:
    """KL divergence between categorical distributions, one value per batch entry.

    Summed as p (e^-r - 1 + r) with r = log p - log q, whose terms are never negative: it is exactly
    zero where the distributions are equal, with zero gradients, and keeps its digits near there.

    Parameters
    ----------
    log_p, log_q
        Logarithms of probabilities that sum to one, as ``log_softmax`` gives them; -inf is a
        probability of zero. Leading dimensions broadcast.

    Returns
    -------
    KL(p || q) in nats, ``(...)``; +inf where q is zero and p is not.

    Raises
    ------
    ValueError
        If the numbers of categories differ.

    References
    ----------
    Cover & Thomas (2006), section 2.3; joint convexity is their theorem 2.7.2.

    Examples
    --------
    >>> p, q = torch.tensor([0.5, 0.5, 0.0]), torch.tensor([0.25, 0.75, 0.0])
    >>> categorical_kl(p.log(), q.log())
    tensor(0.1438)
    """
    if log_p.shape[-1:] != log_q.shape[-1:]:
        raise WrongValue(
            f"categorical_kl: log_p has {log_p.shape[-1]} categories and log_q "
            f"{log_q.shape[-1]}; expected as many"
        )
    log_p, log_q = torch.broadcast_tensors(log_p, log_q)
    absent, impossible = log_p == -torch.inf, log_q == -torch.inf
    # Where either is zero the general term would be NaN, or have a gradient that is.
    plain = ~(absent | impossible)
    safe_p, safe_q = torch.where(plain, log_p, 0.0), torch.where(plain, log_q, 0.0)
    ratio = safe_p - safe_q
    # of a tiny p, e^-r may overflow where p e^-r = q does not
    terms = torch.where(
        ratio > -1.0,
        safe_p.exp() * (torch.expm1(-ratio) + ratio),
        safe_q.exp() - safe_p.exp() * (1.0 - ratio),
    )
    terms = torch.where(plain, terms, 0.0)
    terms = terms + torch.where(absent & ~impossible, log_q.exp(), 0.0)
    terms = terms + torch.where(impossible & ~absent, torch.inf, 0.0)
    return terms.sum(-1)
