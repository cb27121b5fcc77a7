# SPDX-License-Identifier: MIT
"""Mutual information between the clusters of two views of an example.

Of examples whose two views fall into clusters j and j' with probabilities p(j | x) and p(j' | x'),
the joint is P = E[p(j | x) p(j' | x')], made symmetric since neither view is the first, and

    I(J; J') = sum_jj' P log P - 2 sum_j P_j log P_j = 2 H(J) - H(J, J').

It is largest where either view tells the cluster of the other and no cluster is small; and as J is
computed from a view alone, it cannot exceed what the views share (data-processing inequality; Cover
& Thomas 2006, section 2.8).

Source: Ji, Henriques & Vedaldi (2019), "Invariant information clustering".
"""

from __future__ import annotations

import torch
from torch import Tensor


def joint(first: Tensor, second: Tensor) -> Tensor:
    """Give the symmetric joint of the clusters of two views, ``(M, M)``.

    Parameters
    ----------
    first, second
        Probabilities of the clusters in either view of the same examples, ``(N, M)``.

    Returns
    -------
    The joint distribution, ``(M, M)``; it sums to one.

    Examples
    --------
    >>> import torch
    >>> joint(torch.eye(2), torch.eye(2))
    tensor([[0.5000, 0.0000],
            [0.0000, 0.5000]])
    """
    product = first.mT @ second / len(first)
    return 0.5 * (product + product.mT)


def mutual_information(joint: Tensor, balance: float = 1.0) -> Tensor:
    """Give I(J; J') of a symmetric joint ``(M, M)``, ``()``, in nats; it has gradients.

    Parameters
    ----------
    joint
        From :func:`joint`.
    balance
        The weight of one of the two marginal entropies: I + (balance - 1) H(J). Above one it
        favours clusters of equal size more than information does, below one less.

    Returns
    -------
    The information in nats, a tensor of no dimension.

    Examples
    --------
    >>> import torch
    >>> mutual_information(torch.eye(4) / 4).item()  # log 4
    1.3862943649291992
    """
    marginal = entropy(joint.sum(1))
    return (1.0 + balance) * marginal - entropy(joint)


def entropy(probabilities: Tensor) -> Tensor:
    """Give -sum p log p, ``()``, in nats; zeros add nothing, and their gradient is finite."""
    tiny = torch.finfo(probabilities.dtype).tiny
    return -(probabilities * probabilities.clamp_min(tiny).log()).sum()
