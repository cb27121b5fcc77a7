# SPDX-License-Identifier: MIT
"""Stepwise EM: a mixture that goes on from what it has seen, batch by batch.

Nothing is kept beside the parameters and how many points they come from: the sums behind them
follow, for a maximum has one gradient. Of whatever fitted the mixture, the next batch goes on.

Source: Cappé & Moulines (2009), "On-line expectation-maximization algorithm for latent data
models".
"""

from __future__ import annotations

from dataclasses import replace

from pyvae.mixture.gaussian_em import GaussianEM, Posterior
from pyvae.mixture.points import Points

_POWER = -0.6


def step(model: GaussianEM, batch: Points, seen: float) -> Posterior:
    """Move a model's parameters, which come from ``seen`` points, by one batch.

    The sums behind them become (1 - eta) of themselves and eta of the batch's, each a point. After
    t batches of equal size eta is (t + 2)^-0.6; so seen points count as batches of this size. No
    point of the batch counts less than one before it. With ``seen=0`` they are the batch's.

    Returns
    -------
    q of the batch, at the parameters from before.
    """
    behind = model.sums_behind(seen) if seen > 0 else None
    q = model.e_step(batch)
    sums, count = q.sums, q.sums.total.item()
    if behind is not None:
        total = seen + count
        eta = max((seen / count + 2.0) ** _POWER, count / total)
        sums = behind.about(sums.reference) * ((1.0 - eta) * total / seen) + sums * (
            eta * total / count
        )
    model.m_step(replace(q, sums=sums))
    return q
