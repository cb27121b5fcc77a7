# SPDX-License-Identifier: MIT
"""Components of a Gaussian mixture that have lost their points, and where they start again.

A component that stands on a point mass may be what the data are like, and one that is empty may be
one too many: no test of a component alone says which. So EM goes to its end first, as it would
without any of this; then what may be lost is moved and EM goes on, and the better end is kept.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace
from functools import cached_property

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from torch import Tensor

from pyvae.mixture import missing
from pyvae.mixture.covariance import Covariance
from pyvae.mixture.em import Ascent, FreeEnergyError, ascend
from pyvae.mixture.factors import IllDefined
from pyvae.mixture.gaussian_em import GaussianEM, Posterior
from pyvae.mixture.points import Points
from pyvae.mixture.sums import Sums

_MOST_MOVES = 3  # of one component within a fit
_PLACES = 4096  # points of which those that are explained worst take a lost component
_EMPTY = 1e-10  # share of the points
_HELD_UP = 1e-3  # share of reg_covar that the points' own variance is, where only that holds it up


class Reseeding:
    """Starts lost components again.

    Its random numbers are a copy of those of the starts, which are the same without it.
    """

    def __init__(self, model: GaussianEM, points: Points, random: np.random.RandomState) -> None:
        self._model, self._points, self._random = model, points, np.random.RandomState(0)
        self._random.set_state(random.get_state())
        self._moves = np.zeros(len(model.parameters.weights), dtype=int)

    def ascend(
        self,
        *,
        max_iter: int,
        tol: float,
        start: float | None,
        told: Callable[[int, float, float], None],
    ) -> Ascent:
        """Fit by EM, and again from where lost components were moved, as long as that is better.

        Arguments are those of :func:`pyvae.mixture.ascend`; each ascent has its own ``max_iter``.
        The one that is told of led to the parameters that the model has then.
        """
        model, points = self._model, self._points
        options = {"max_iter": max_iter, "tol": tol, "told": told}
        ascent = ascend(model, points, start=start, mended=self.rescued, **options)
        for _ in range(_MOST_MOVES):
            components = self._lost()
            if not len(components):
                break
            kept, before = model.parameters, model.e_step(points)
            try:
                self._move(components, before)
                again = ascend(model, points, **options)
                reached = model.e_step(points).log_likelihood
            except (IllDefined, FreeEnergyError):  # of the move; where it came from is sound
                again, reached = Ascent(), -np.inf
            rounding = model.precision * max(model.weight(before), abs(before.log_likelihood))
            if again.bound <= ascent.bound or reached <= before.log_likelihood + rounding:
                model.parameters = kept
                break
            ascent = again
            self._say(components, "at the end of EM")
        return ascent

    def rescued(self, iteration: int, q: Posterior) -> bool:
        """Move the components of which the M step has no covariance; tells whether it could."""
        model = self._model
        try:
            model.m_step(q)
        except IllDefined as error:
            found = [k for k in error.components if self._moves[k] < _MOST_MOVES]
        else:
            return False
        if model.kind.pooled or not found or not self._variance.mean() > 0:
            return False
        self._moves[found] += 1
        components = torch.tensor(found, device=q.sums.counts.device)
        self._move(components, q)
        self._say(components, f"iteration {iteration}")
        return True

    def _lost(self) -> Tensor:
        model = self._model
        if model.last is None:  # there was no iteration
            return torch.empty(0, dtype=torch.int64)
        components = lost(model.kind, model.last.sums, model.reg_covar)
        return components if len(components) and self._variance.mean() > 0 else components[:0]

    def _move(self, components: Tensor, q: Posterior) -> None:
        model, kind = self._model, self._model.kind
        scores = missing.posterior(kind, self._sample, model.parameters)[1]
        worst = torch.argsort(scores)[: max(len(components), len(scores) // 20)].cpu().numpy()
        drawn = self._random.choice(worst, len(components), replace=len(worst) < len(components))
        places = self._sample[torch.from_numpy(drawn).to(scores.device)].nan_to_num(nan=0.0)
        places = model.processes.of_the_first([places])[0]
        model.m_step(replace(q, sums=moved(kind, q.sums, components, places, self._variance)))

    def _say(self, components: Tensor, when: str) -> None:
        warnings.warn(
            f"{when}: components {components.tolist()} had lost their points, or all but copies of "
            "one, and were started again amid those explained worst; fewer components may do",
            ConvergenceWarning,
            stacklevel=5,
        )

    @cached_property
    def _sample(self) -> Tensor:
        return self._points.sample(_PLACES)[0]

    @cached_property
    def _variance(self) -> Tensor:
        filled = self._sample.double().nan_to_num(nan=0.0)
        return self._model.processes.of_the_first([filled.var(0, correction=0)])[0]


def lost(kind: Covariance, sums: Sums, reg_covar: float) -> Tensor:
    """Give the components that may have lost their points, by their numbers.

    Those without points; and those that nothing but ``reg_covar`` holds up, on one point and its
    copies, with less than half of an even share. Without it, an M step tells by itself.
    """
    _, means = kind.weights_and_means(sums)
    empty = sums.counts <= _EMPTY * sums.total
    collapsed = kind.spread(sums.about(means)) <= _HELD_UP * reg_covar
    few = sums.counts <= 0.5 * sums.total / len(sums.counts)
    return (empty | (collapsed & few & (reg_covar > 0))).nonzero()[:, 0]


def moved(
    kind: Covariance, sums: Sums, components: Tensor, places: Tensor, variance: Tensor
) -> Sums:
    """Give sums in which these components have points as widely spread as all, about places.

    ``places`` is ``(components, D)``, and ``variance (D,)`` that of all points. Where there is one
    covariance for all, it stays.
    """
    counts, reference, first = sums.counts.clone(), sums.reference.clone(), sums.first.clone()
    share = sums.total / len(counts)
    counts[components], first[components] = share, 0.0
    reference[components] = places.double()
    found = replace(sums, counts=counts, first=first, reference=reference)
    return kind.spread_out(found, components, share * variance)
