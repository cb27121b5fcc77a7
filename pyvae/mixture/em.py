# SPDX-License-Identifier: MIT
"""Expectation-maximisation as coordinate ascent on a free energy.

For a model p_theta(x, z) of observed x and hidden z, and any distribution q over z,

    F(theta, q) = E_q[log p_theta(x, z)] + H(q) = log p_theta(x) - KL(q || p_theta(z | x)).

The E step maximises F over q: the posterior, where F = log p_theta(x). The M step maximises it
over theta. So neither can lower F, and a fall beyond rounding is a defect of the model's code.
With a prior on theta, F gains log p(theta), and EM finds the posterior's mode. With a
distribution q(theta) in theta's place, F is the evidence lower bound E[log p(x, z, theta)] + H(q),
and coordinate ascent is variational Bayes.

Source: Neal & Hinton (1998), "A view of the EM algorithm that justifies incremental, sparse, and
other variants".
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol, TypeVar, runtime_checkable

from pyvae.errors import WrongValue

Data = TypeVar("Data", contravariant=True)
Hidden = TypeVar("Hidden")


@runtime_checkable
class LatentVariableEM(Protocol[Data, Hidden]):
    """A model that EM can fit; ``Hidden`` is what its E step says of q, sums as a rule.

    Of a variational model read q(theta) for theta, and the largest F over q(z) for log p(x).

    Attributes
    ----------
    exact
        Whether the M step is the argmax, so that a fall of F is an error.
    precision
        Rounding of F relative to itself, and at least to one nat a point; it may depend on theta.
    """

    exact: bool

    @property
    def precision(self) -> float:
        """As above; a plain attribute will do."""
        ...

    def e_step(self, data: Data) -> Hidden:
        """Give q = p_theta(z | x)."""
        ...

    def m_step(self, q: Hidden) -> None:
        """Set theta to the argmax of F( . , q)."""
        ...

    def free_energy(self, q: Hidden) -> float:
        """Give F(theta, q) at the present theta, in nats, with log p(theta) where there is one."""
        ...

    def log_likelihood(self, q: Hidden) -> float:
        """Give log p_theta(x) of the theta whose posterior q is, with log p(theta)."""
        ...

    def weight(self, q: Hidden) -> float:
        """Give the number of points, by which ``tol`` is divided."""
        ...


class NoMaximum(WrongValue):
    """Raised by an M step where F has no maximum over theta."""


class FreeEnergyError(ArithmeticError):
    """Raised where an E step or an exact M step has lowered the free energy."""


@dataclass
class Ascent:
    """How a fit went.

    Attributes
    ----------
    bounds
        F divided by the number of points, after every E step; or what was watched in its place.
    converged
        Whether the last change was below ``tol``.
    falls
        Falls of F where the M step is not exact: iteration and amount, in nats.
    """

    bounds: list[float] = field(default_factory=list)
    converged: bool = False
    falls: list[tuple[int, float]] = field(default_factory=list)

    @property
    def bound(self) -> float:
        """The last of the bounds, -inf where there is none."""
        return self.bounds[-1] if self.bounds else -math.inf


def ascend(
    model: LatentVariableEM[Data, Hidden],
    data: Data,
    *,
    max_iter: int = 100,
    tol: float = 1e-3,
    start: float | None = None,
    watched: Callable[[Hidden], float] | None = None,
    told: Callable[[int, float, float], None] = lambda iteration, bound, change: None,
    mended: Callable[[int, Hidden], bool] = lambda iteration, q: False,
) -> Ascent:
    """Fit a model by EM.

    Parameters
    ----------
    model
        With parameters to start from; they are changed in place.
    data
        Whatever its E step takes.
    max_iter
        Most iterations, of an E step and an M step each.
    tol
        Stops when F divided by the number of points changes by less.
    start
        F divided by the number of points of an earlier fit that goes on.
    watched
        Called after each M step with its q for the number whose change ends the fit, and which is
        told and kept; None is F divided by the number of points, after the E step.
    told
        Called after each iteration with its number, F by points, and the change.
    mended
        Called where an M step has no maximum; True where it set the parameters itself (moved the
        component that has none), so that the next F may be lower and its change means nothing.

    Returns
    -------
    How it went; the parameters are the model's.

    Raises
    ------
    FreeEnergyError
        If F falls beyond rounding, or is not log p(x) after an E step.
    NoMaximum
        From the model's M step.

    Examples
    --------
    Exponential waiting times in hours, of which some are only known to be longer. The rest of these
    is hidden; given the time so far its distribution is that of the whole, and its entropy
    1 - log(rate).

    >>> class Waiting:
    ...     exact, precision, rate = True, 1e-12, 1.0
    ...
    ...     def e_step(self, data):
    ...         time, ended, longer = data
    ...         log_likelihood = ended * math.log(self.rate) - time * self.rate
    ...         entropy = longer * (1 - math.log(self.rate))
    ...         return ended + longer, time + longer / self.rate, entropy, log_likelihood
    ...
    ...     def m_step(self, q):
    ...         count, time, entropy, log_likelihood = q
    ...         self.rate = count / time
    ...
    ...     def free_energy(self, q):
    ...         count, time, entropy, log_likelihood = q
    ...         return count * math.log(self.rate) - time * self.rate + entropy
    ...
    ...     def log_likelihood(self, q):
    ...         return q[3]
    ...
    ...     def weight(self, q):
    ...         return q[0]
    >>> model = Waiting()
    >>> ascent = ascend(model, (20.0, 6, 4), tol=1e-12)
    >>> ascent.converged, round(model.rate, 5)  # six ended within twenty hours
    (True, 0.3)
    """
    ascent = Ascent()
    previous, free_energy = start, None
    for iteration in range(1, max_iter + 1):
        q = model.e_step(data)
        reached = model.log_likelihood(q)
        scale = max(model.weight(q), abs(reached))
        slack = model.precision * scale
        if free_energy is not None:
            _require(model, ascent, iteration, "the E step", reached - free_energy, slack)
        tight = model.free_energy(q)
        if abs(tight - reached) > slack:
            raise FreeEnergyError(
                f"iteration {iteration}: after the E step F is {tight:.10g} and log p(x) is "
                f"{reached:.10g} nats; the posterior makes them equal"
            )
        try:
            model.m_step(q)
        except NoMaximum:
            if not mended(iteration, q):
                raise
            ascent.bounds.append(reached / model.weight(q))
            previous = free_energy = None
            continue
        free_energy = model.free_energy(q)
        slack = max(slack, model.precision * scale)  # whose covariances may be others
        _require(model, ascent, iteration, "the M step", free_energy - tight, slack)
        bound = reached / model.weight(q) if watched is None else watched(q)
        change = float("inf") if previous is None else bound - previous
        ascent.bounds.append(bound)
        told(iteration, bound, change)
        previous = bound
        if abs(change) < tol:
            ascent.converged = True
            break
    return ascent


def _require(
    model: LatentVariableEM, ascent: Ascent, iteration: int, step: str, gain: float, slack: float
) -> None:
    """Refuse a fall of F, or note it where the M step does not claim to be the argmax."""
    if gain >= -slack:
        return
    if model.exact:
        raise FreeEnergyError(
            f"iteration {iteration}: {step} lowered the free energy by {-gain:.6g} nats, beyond "
            f"its rounding of {slack:.2g}; it must not fall"
        )
    ascent.falls.append((iteration, -gain))
