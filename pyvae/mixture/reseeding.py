# SPDX-License-Identifier: MIT
"""Components of a Gaussian mixture that have lost their points, and where they start again."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from torch import Tensor

from pyvae.mixture import missing
from pyvae.mixture.covariance import Covariance
from pyvae.mixture.gaussian_em import GaussianEM, Posterior
from pyvae.mixture.points import Points
from pyvae.mixture.sums import Sums

_MOST_MOVES = 3  # of one component within a fit
_PLACES = 4096  # points of which those that are explained worst take a lost component


class Reseeding:
    """Starts lost components again, after an E step."""

    def __init__(self, model: GaussianEM, points: Points, random: np.random.RandomState) -> None:
        self._model, self._random = model, random
        self._sample, _ = points.sample(_PLACES)
        filled = self._sample.double().nan_to_num(nan=0.0)
        self._variance = model.processes.of_the_first([filled.var(0, correction=0)])[0]
        self._moves = np.zeros(len(model.parameters.weights), dtype=int)

    def __call__(self, iteration: int, q: Posterior) -> bool:
        """Move the components that are lost; tells whether there were any."""
        kind, model = self._model.kind, self._model
        components = lost(kind, q.sums, self._variance)
        components = components[torch.from_numpy(self._moves)[components.cpu()] < _MOST_MOVES]
        if not len(components) or not self._variance.mean() > 0:
            return False
        self._moves[components.cpu().numpy()] += 1
        scores = missing.posterior(kind, self._sample, model.parameters)[1]
        worst = torch.argsort(scores)[: max(len(components), len(scores) // 20)].cpu().numpy()
        drawn = self._random.choice(worst, size=len(components), replace=False)
        places = self._sample[torch.from_numpy(drawn).to(scores.device)].nan_to_num(nan=0.0)
        sums = moved(kind, q.sums, components, places, self._variance)
        sums = model.processes.sums_of_the_first(sums)
        model.m_step(Posterior(sums, q.entropy, q.log_likelihood))
        warnings.warn(
            f"iteration {iteration}: components {components.tolist()} had lost their points, or "
            "all but copies of one, and were started again amid those explained worst; fewer "
            "components may do",
            ConvergenceWarning,
            stacklevel=4,
        )
        return True


def lost(kind: Covariance, sums: Sums, variance: Tensor) -> Tensor:
    """Give the components without points, or with one point and its copies, by their numbers."""
    _, means = kind.weights_and_means(sums)
    empty = sums.counts <= 1e-10 * sums.total
    collapsed = kind.spread(sums.about(means)) <= 1e-12 * variance.mean()
    return (empty | collapsed).nonzero()[:, 0]


def moved(
    kind: Covariance, sums: Sums, components: Tensor, places: Tensor, variance: Tensor
) -> Sums:
    """Give sums in which these components have points as widely spread as all, about places.

    ``places`` is ``(components, D)``, and ``variance (D,)`` that of all points.
    """
    counts, first, second = sums.counts.clone(), sums.first.clone(), sums.second.clone()
    share = sums.total / len(counts)
    gaps = places.double() - sums.reference[components]
    counts[components], first[components] = share, share * gaps
    if not kind.pooled:
        for component, gap in zip(components, gaps, strict=True):
            second[component] = kind.scatter(gap[None], share.item(), share * variance)[0]
    return replace(sums, counts=counts, first=first, second=second)
