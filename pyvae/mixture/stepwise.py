# SPDX-License-Identifier: MIT
"""Stepwise EM: a mixture that goes on from what it has seen, batch by batch.

Nothing is kept beside the parameters and how many points they come from: the sums behind them
follow, for a maximum has one gradient. Of whatever fitted the mixture, the next batch goes on.

Source: Cappé & Moulines (2009), "On-line expectation-maximization algorithm for latent data
models"; Hoffman, Blei, Wang & Paisley (2013), "Stochastic variational inference".
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Protocol, TypeVar

from pyvae.errors import WrongValue
from pyvae.mixture.streams import batches_once, is_batches

_POWER = -0.6
Batch = TypeVar("Batch", contravariant=True)
# A dataclass with `sums` of a batch and the `total` of its weights. Sums have a `total` and a
# `reference`, can be taken `about` another's, added, and multiplied.
Posterior = TypeVar("Posterior", bound=Any)


class Stepwise(Protocol[Batch, Posterior]):
    """A model that knows the sums behind its parameters."""

    def sums_behind(self, total: float) -> Any:
        """Give the sums of so many points of which the present parameters are the M step."""
        ...

    def e_step(self, data: Batch) -> Posterior:
        """As :class:`pyvae.mixture.LatentVariableEM`."""
        ...

    def m_step(self, q: Posterior) -> None:
        """As :class:`pyvae.mixture.LatentVariableEM`."""
        ...


def each_batch(
    X: Any,
    of_one: str,
    given: bool,
    step: Callable[[Any], None],
    as_it_is: Callable[[Any], bool] | None = None,
) -> None:
    """Take a step on X, or on each of its batches where it comes in such.

    Batches are made matrices of, but for those that ``as_it_is`` is true of.

    Raises
    ------
    ValueError
        If what is ``of_one`` batch was ``given`` and there are several, or there is none.
    """
    if not is_batches(X):
        step(X)
        return
    if given:
        raise WrongValue(f"{of_one} for one batch; call partial_fit for each of X's with its own")
    none = True
    for batch in batches_once(X, as_it_is):
        step(batch)
        none = False
    if none:
        raise WrongValue(f"X is a {type(X).__name__} without batches; expected some")


def step(
    model: Stepwise[Batch, Posterior], batch: Batch, seen: float, population: float | None = None
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
