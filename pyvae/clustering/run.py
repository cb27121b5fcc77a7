# SPDX-License-Identifier: MIT
"""One run of the clustering: over-cluster, merge, refine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

from pyvae.clustering.bottleneck import merge, merge_uncut
from pyvae.clustering.information import entropy, mutual_information
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
    entropy
        H(K) at the end, in nats.
    balance
        Its weight, by which clusters were merged and refined.
    agreement
        Mean normalised mutual information with the clusters of the other runs, of those that have
        about as much information; None of another, or of one alone.
    """

    seed: int
    over_information: float
    merged_information: float
    information: float
    entropy: float
    balance: float
    agreement: float | None = None


@dataclass(frozen=True)
class Merged:
    """The cluster that each of the M went into, ``(M,)``; information before and after, in nats."""

    into: np.ndarray
    over_information: float
    merged_information: float
    balance: float


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

    def train(members: Tensor, balance: float, steps: int, rate: float, before: int) -> None:
        if steps == 0:
            return
        loss = information_lost(network, members, recipe, examples, generator, balance)
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
        train(over, 1.0, recipe.n_steps, recipe.learning_rate, 0)
        merged, moment = (
            _merged(estimate(network, over, recipe, examples, seed), recipe, seed),
            None,
        )
    members = members_of(torch.from_numpy(merged.into).to(device), recipe.n_clusters)
    rate = 0.5 * recipe.learning_rate
    train(members, merged.balance, recipe.n_refining_steps, rate, recipe.n_steps)
    pairs = estimate(network, members, recipe, examples, seed)
    must_be_finite(pairs)
    restart = Restart(
        seed, merged.over_information, merged.merged_information,
        mutual_information(pairs).item(), entropy(pairs.sum(1)).item(), merged.balance,
    )  # fmt: skip
    return Run(network, merged.into, restart)


def _merged(pairs: Tensor, recipe: Recipe, seed: int) -> Merged:
    must_be_finite(pairs)
    random = np.random.RandomState(seed)
    given = pairs.cpu().numpy(), recipe.n_clusters, random, _MERGE_STARTS
    found = merge_uncut(*given) if recipe.balance is None else merge(*given, recipe.balance)
    before = mutual_information(pairs).item()
    return Merged(found.into, before, found.information, found.balance)
