# SPDX-License-Identifier: MIT
"""Which of several runs is kept, without labels.

Information tells a run that has failed from one that has not, but between two that have much of it
the rest is chance: a group that joined the wrong cluster in one run is as much shared by views as
in its place. The next run seldom makes the same mistake, so that the run with which the others
agree is the one to keep: the centre of the ensemble of Strehl & Ghosh (2002).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations
from statistics import mean

import numpy as np
from sklearn.metrics import normalized_mutual_info_score

from pyvae.clustering.run import Restart

_AS_MUCH = 0.01  # of the information, which is what chance may take
_MOST = 10_000  # examples that are looked at


def compared(examples: int) -> slice:
    """Give those of so many examples by which runs are compared, spread evenly."""
    return slice(None, None, max(1, -(-examples // _MOST)))


def central(
    runs: Sequence[Restart], clusters: Callable[[int], np.ndarray]
) -> tuple[int, list[float | None]]:
    """Give the run to be kept, and how far each agrees with the others.

    Parameters
    ----------
    runs
        Those are looked at whose I(K; K') + (balance - 1) H(K), with the least balance of all, is
        no more than a hundredth of the highest information below the highest.
    clusters
        Of a run's number the cluster of each example, ``(N,)``.

    Returns
    -------
    The number of the run whose clusters have most normalised mutual information with those of the
    others that are looked at, in the mean; where these means are equal, as of two, the one of the
    highest value. Then these means, None where a run was not looked at or is the only one.
    """
    balance = min(each.balance for each in runs)
    objectives = [each.information + (balance - 1.0) * each.entropy for each in runs]
    least = max(objectives) - _AS_MUCH * abs(max(each.information for each in runs))
    likely = [i for i, nats in enumerate(objectives) if nats >= least]
    found = {i: clusters(i) for i in likely} if len(likely) > 1 else {}
    shared: dict[int, list[float]] = {i: [] for i in found}
    for i, j in combinations(found, 2):
        each = float(normalized_mutual_info_score(found[i], found[j]))
        shared[i].append(each)
        shared[j].append(each)
    means = [mean(shared[i]) if i in shared else None for i in range(len(objectives))]
    return max(likely, key=lambda i: (means[i] or 0.0, objectives[i])), means
