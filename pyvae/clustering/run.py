# SPDX-License-Identifier: MIT
"""One run of the clustering: over-cluster, merge, refine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

from pyvae.clustering.bottleneck import merge
from pyvae.clustering.information import mutual_information
from pyvae.clustering.recipe import (
    Examples,
    Recipe,
    estimate,
    laid_out,
    members_of,
    must_be_finite,
)
from pyvae.clustering.training import Training, information_lost

_MERGE_STARTS = 30
Told = Callable[[int, float], None]


@dataclass(frozen=True)
class Restart:
    """How a run went.

    Attributes
    ----------
    seed
        Of the run.
    over_information, merged_information, information
        In nats: of the clusters before they were merged, right after it, and at the end.
    objective
        What runs are compared by: I(K; K') + (balance - 1) H(K) at the end, in nats.
    agreement
        Mean normalised mutual information with the clusters of the other runs, of those that have
        within a hundredth of the highest objective; None of another, or of one alone.
    """

    seed: int
    over_information: float
    merged_information: float
    information: float
    objective: float
    agreement: float | None = None


@dataclass(frozen=True)
class Merged:
    """The cluster that each of the M went into, ``(M,)``; information before and after, in nats."""

    into: np.ndarray
    over_information: float
    merged_information: float


@dataclass(frozen=True)
class Run:
    """What a run has found."""

    network: nn.Module
    into: np.ndarray
    restart: Restart


class Moment(Protocol):
    """A moment of a run that was kept."""

    @property
    def merged(self) -> Merged | None:
        """None before clusters are merged."""

    def restore(self, training: Training) -> None:
        """Go on there."""


class Keeper(Protocol):
    """Keeps what a run has done, so that another process can go on with it."""

    def finished(self, network: nn.Module) -> Run | None:
        """Give the run that has come to its end, in that network, if it has."""

    def finish(self, run: Run) -> None:
        """Keep it."""

    def last(self) -> Moment | None:
        """Give the last moment that was kept, if there is one."""

    def keep(self, training: Training, merged: Merged | None) -> None:
        """Keep this moment, now and then."""


def run(
    recipe: Recipe,
    examples: Examples,
    make: Callable[[int], nn.Module],
    seed: int,
    told: Told | None = None,
    keeper: Keeper | None = None,
) -> Run:
    """Train a network that ``make`` makes for so many classes.

    Torch's own generators, which its layers draw from, are as before when it returns. What
    ``keeper`` has of the run is not done again.

    Raises
    ------
    ValueError
        If the network gives something else than so many finite logits an example.
    """
    device = examples.x.device
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        network = laid_out(make(recipe.n_overclusters).to(device), examples.x.ndim)
        found = None if keeper is None else keeper.finished(network)
        if found is None:
            found = _run(recipe, examples, network, seed, told, keeper)
            if keeper is not None:
                keeper.finish(found)
        return found


def _run(
    recipe: Recipe,
    examples: Examples,
    network: nn.Module,
    seed: int,
    told: Told | None,
    keeper: Keeper | None,
) -> Run:
    device = examples.x.device
    generator = torch.Generator(device).manual_seed(seed)
    moment = None if keeper is None else keeper.last()
    merged = None if moment is None else moment.merged

    def train(members: Tensor, steps: int, rate: float, before: int) -> None:
        if steps == 0:
            return
        loss = information_lost(network, members, recipe, examples, generator)
        training = Training(network, loss, examples.x, recipe.batch_size, steps, rate, generator)
        if moment is not None:
            moment.restore(training)
        while training.step < steps:
            figure = training.advance()
            if told is not None:  # else nothing waits for the device
                told(before + training.step, figure.item())
            if keeper is not None:
                keeper.keep(training, merged)

    if merged is None:
        over = torch.eye(recipe.n_overclusters, device=device)  # each for itself
        train(over, recipe.n_steps, recipe.learning_rate, 0)
        merged, moment = (
            _merged(estimate(network, over, recipe, examples, seed), recipe, seed),
            None,
        )
    members = members_of(torch.from_numpy(merged.into).to(device), recipe.n_clusters)
    train(members, recipe.n_refining_steps, 0.5 * recipe.learning_rate, recipe.n_steps)
    pairs = estimate(network, members, recipe, examples, seed)
    reached = [mutual_information(pairs, weight).item() for weight in (1.0, recipe.balance)]
    restart = Restart(seed, merged.over_information, merged.merged_information, *reached)
    return Run(network, merged.into, restart)


def _merged(pairs: Tensor, recipe: Recipe, seed: int) -> Merged:
    must_be_finite(pairs)
    random = np.random.RandomState(seed)
    found = merge(pairs.cpu().numpy(), recipe.n_clusters, random, _MERGE_STARTS, recipe.balance)
    return Merged(found.into, mutual_information(pairs).item(), found.information)
