# SPDX-License-Identifier: MIT
"""Merges clusters so that they go on telling as much as they can: the information bottleneck.

A map g of M clusters to K keeps I(g(J); g(J')) <= I(J; J') of their information. The map that keeps
most is sought by single moves: one cluster after the other goes to where the information is
highest, until none gains by moving. No move lowers it, so the search ends; it ends in an optimum
of single moves, and of several random starts the best is kept.

Where clusters are of unlike sizes, half of a large one may be worth as much entropy as a small one
of its own, though views pass from half to half. What is maximised is therefore
I + (balance - 1) H(g(J)). To part a cluster of share s in halves that a view leaves with
probability c gains s (balance log 2 - h(c)), with the binary entropy h: at a balance of one
something wherever it is cut, at a half only where c is below 0.11, whatever the share.

Source: Slonim, Friedman & Tishby (2002), "Unsupervised document classification using sequential
information maximization".
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pyvae.errors import WrongValue

_GAIN = 1e-12  # nats: less is rounding
_MOST_SWEEPS = 1000
_EMPTY = 1e-6  # of the pairs, or less
_BALANCES = (0.5, 0.6, 0.7, 0.8, 0.9)
_CROSSED = 0.11  # c of h(c) = log(2) / 2: what is left more often is no cluster at a half


@dataclass(frozen=True)
class Merge:
    """Which clusters were merged.

    Attributes
    ----------
    into
        The cluster ``0 .. K-1`` that each of the M went into, ``(M,)``.
    information
        I(g(J); g(J')), in nats.
    balance
        The weight of a marginal entropy in what was maximised.
    objective
        That, in nats.
    reached
        The same of every start, the highest first.
    """

    into: np.ndarray
    information: float
    balance: float
    objective: float
    reached: list[float]


def merge(
    joint: np.ndarray,
    clusters: int,
    random: np.random.RandomState,
    starts: int,
    balance: float = 1.0,
) -> Merge:
    """Merge the M clusters of a symmetric joint ``(M, M)`` to K.

    ``balance`` is the weight of a marginal entropy, as that of
    :func:`pyvae.clustering.information.mutual_information`.

    Raises
    ------
    ValueError
        If there are fewer than K.

    Examples
    --------
    >>> import numpy as np
    >>> pairs = np.kron(np.eye(2), np.ones((2, 2))) / 8  # 0 and 1 stand for the same, and 2 and 3
    >>> found = merge(pairs, 2, np.random.RandomState(0), starts=5)
    >>> bool(found.into[0] == found.into[1] != found.into[2] == found.into[3])
    True
    """
    over = len(joint)
    if clusters > over:
        raise WrongValue(f"{over} clusters cannot be merged to {clusters}")
    joint = joint / joint.sum()
    found = [_ascend(joint, _start(over, clusters, random), random, balance) for _ in range(starts)]
    found.sort(key=lambda each: -each[0])
    objective, into = found[0]
    kept = information(merged(joint, into, clusters))
    return Merge(into, kept, balance, objective, [reached for reached, _ in found])


def merge_uncut(
    joint: np.ndarray, clusters: int, random: np.random.RandomState, starts: int
) -> Merge:
    """Merge by information, or by less of the entropy where that cuts what belongs together.

    A cluster that views leave more often than a cut is worth at a balance of a half is a sign of
    one. The balance is then the least, of a half and tenths above it, that leaves no cluster empty.
    What has less than a millionth of the pairs is empty.
    """
    whole = merge(joint, clusters, random, starts)
    if leaving(joint, whole.into, clusters).max() <= _CROSSED:
        return whole
    for balance in _BALANCES:
        found = merge(joint, clusters, random, starts, balance)
        if merged(joint, found.into, clusters).sum(1).min() > _EMPTY * joint.sum():
            return found
    return whole


def leaving(joint: np.ndarray, into: np.ndarray, clusters: int) -> np.ndarray:
    """Give the probability that the other view of each of the K is of another, ``(K,)``."""
    pairs = merged(joint, into, clusters)
    shares = pairs.sum(1)
    return 1.0 - np.diagonal(pairs) / np.where(shares > 0.0, shares, np.inf)


def information(joint: np.ndarray, balance: float = 1.0) -> float:
    """Give I(J; J') + (balance - 1) H(J) of a symmetric joint, in nats."""
    return float(_negentropy(joint).sum() - (1.0 + balance) * _negentropy(joint.sum(1)).sum())


def merged(joint: np.ndarray, into: np.ndarray, clusters: int) -> np.ndarray:
    """Give the joint of the merged clusters, ``(K, K)``."""
    members = np.eye(clusters)[into]
    return members.T @ joint @ members


def _start(over: int, clusters: int, random: np.random.RandomState) -> np.ndarray:
    """Draw a map onto all of the K."""
    into = np.concatenate([np.arange(clusters), random.randint(clusters, size=over - clusters)])
    return random.permutation(into)


def _ascend(
    joint: np.ndarray, into: np.ndarray, random: np.random.RandomState, balance: float
) -> tuple[float, np.ndarray]:
    clusters = int(into.max()) + 1
    for _ in range(_MOST_SWEEPS):
        moved = False
        for one in random.permutation(len(joint)):
            gains = _gains(joint, into, one, clusters, balance)
            best = int(gains.argmax())
            if gains[best] > gains[into[one]] + _GAIN:
                into[one], moved = best, True
        if not moved:
            break
    return information(merged(joint, into, clusters), balance), into


def _gains(
    joint: np.ndarray, into: np.ndarray, one: int, clusters: int, balance: float
) -> np.ndarray:
    """What is maximised with one of the M in each of the K, beside that without it, ``(K,)``."""
    others = np.delete(np.arange(len(joint)), one)
    rest = merged(joint[np.ix_(others, others)], into[others], clusters)
    row = np.bincount(into[others], weights=joint[one, others], minlength=clusters)
    itself, share = joint[one, one], joint[one].sum()
    beside = _negentropy(rest + row) - _negentropy(rest)  # in row c, as if `one` were in c
    within = np.diagonal(rest)
    own = _negentropy(within + 2.0 * row + itself) - _negentropy(within)
    of_pairs = own + 2.0 * (beside.sum(1) - np.diagonal(beside))
    shares = rest.sum(1) + row
    return of_pairs - (1.0 + balance) * (_negentropy(shares + share) - _negentropy(shares))


def _negentropy(p: np.ndarray) -> np.ndarray:
    """Give p log p, and zero of zero."""
    return p * np.log(np.where(p > 0.0, p, 1.0))
