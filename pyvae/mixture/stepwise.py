# SPDX-License-Identifier: MIT
"""Stepwise EM: a mixture that goes on from what it has seen, batch by batch.

Nothing is kept beside the parameters and how many points they come from: the sums behind them
follow, for a maximum has one gradient. Of whatever fitted the mixture, the next batch goes on.

Source: Cappé & Moulines (2009), "On-line expectation-maximization algorithm for latent data
models"; Hoffman, Blei, Wang & Paisley (2013), "Stochastic variational inference".
"""

from __future__ import annotations

from dataclasses import replace

from pyvae.mixture.gaussian_em import GaussianEM, Posterior
from pyvae.mixture.points import Points

_POWER = -0.6


def step(
    model: GaussianEM, batch: Points, seen: float, population: float | None = None
) -> Posterior:
    """Move a model's parameters, which come from ``seen`` points, by one batch.

    The sums behind them become (1 - eta) of themselves and eta of the batch's, each a point. After
    t batches of equal size eta is (t + 2)^-0.6; so seen points count as batches of this size. No
    point of the batch counts less than one before it. With ``seen=0`` they are the batch's.

    The sums are then of ``population`` points; None is those seen, with the batch. A maximum
    likelihood does not depend on it; beside a prior it does, and of a variational model this is a
    step along the natural gradient of its bound on so many points (Hoffman et al., 2013).

    Returns
    -------
    q of the batch, at the parameters from before.
    """
    behind = model.sums_behind(seen) if seen > 0 else None
    q = model.e_step(batch)
    sums, count = q.sums, q.total
    population = seen + count if population is None else population
    weighed = 0.0 if behind is None else behind.total.item()
    if behind is not None and weighed > 0:
        eta = max((seen / count + 2.0) ** _POWER, count / (seen + count))
        sums = behind.about(sums.reference) * ((1.0 - eta) * population / weighed) + sums * (
            eta * population / count
        )
    else:
        sums = sums * (population / count)
    model.m_step(replace(q, sums=sums))
    return q
