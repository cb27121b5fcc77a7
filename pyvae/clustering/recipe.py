# SPDX-License-Identifier: MIT
"""One run of the clustering: over-cluster, merge, refine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from pyvae.clustering.bottleneck import merge
from pyvae.clustering.information import joint, mutual_information
from pyvae.clustering.views import Views
from pyvae.errors import WrongValue

# Behind the joint that clusters are merged by, and the information of a run.
_PAIRS_EACH, _LEAST_PAIRS, _MOST_PAIRS = 32, 4000, 40_000
_MERGE_STARTS = 30
_BLOCK = 2000  # examples at a time where nothing is learnt
_WARM_UP = 0.1  # of the steps
Told = Callable[[int, float], None]


@dataclass(frozen=True)
class Recipe:
    """How a network is trained; as the estimator's parameters of the same names."""

    n_clusters: int
    n_overclusters: int
    views: Views
    neighbor_share: float
    n_steps: int
    n_refining_steps: int
    batch_size: int
    learning_rate: float
    balance: float
    half: bool  # forward and backward passes in bfloat16


@dataclass(frozen=True)
class Restart:
    """How a run went.

    Attributes
    ----------
    seed
        Of the run.
    over_information, merged_information, information
        In nats: of the clusters before they were merged, right after it, and at the end.
    """

    seed: int
    over_information: float
    merged_information: float
    information: float


@dataclass(frozen=True)
class Run:
    """What a run has found: the cluster that each of the M went into, ``(M,)``, and more."""

    network: nn.Module
    into: np.ndarray
    restart: Restart


@dataclass(frozen=True)
class Examples:
    """Examples ``(N, ...)``, and the nearest neighbours of each, ``(N, count)`` or None."""

    x: Tensor
    neighbors: Tensor | None

    def pairs(self, index: Tensor, recipe: Recipe, generator: torch.Generator) -> Tensor:
        """Give two views of so many examples, one behind the other, ``(2 B, ...)``."""
        other = index
        if self.neighbors is not None:
            options = {"generator": generator, "device": index.device}
            column = torch.randint(self.neighbors.shape[1], index.shape, **options)
            of_neighbor = torch.rand(index.shape, **options) < recipe.neighbor_share
            other = torch.where(of_neighbor, self.neighbors[index, column], index)
        return recipe.views(self.x[torch.cat([index, other])], generator)

    def batches(self, size: int, count: int, generator: torch.Generator) -> Iterator[Tensor]:
        """Give so many batches of indices; each example once before any comes again."""
        size = min(size, len(self.x))
        while True:
            order = torch.randperm(len(self.x), generator=generator, device=self.x.device)
            for batch in order.split(size)[: len(self.x) // size]:
                if count == 0:
                    return
                count -= 1
                yield batch


def run(
    recipe: Recipe,
    examples: Examples,
    make: Callable[[int], nn.Module],
    seed: int,
    told: Told | None = None,
) -> Run:
    """Train a network that ``make`` makes for so many classes.

    Torch's own generators, which its layers draw from, are as before when it returns.

    Raises
    ------
    ValueError
        If the network gives something else than so many finite logits an example.
    """
    device = examples.x.device
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        return _run(recipe, examples, make, seed, told)


def _run(
    recipe: Recipe,
    examples: Examples,
    make: Callable[[int], nn.Module],
    seed: int,
    told: Told | None,
) -> Run:
    device = examples.x.device
    generator = torch.Generator(device).manual_seed(seed)
    network = laid_out(make(recipe.n_overclusters).to(device), examples.x.ndim)
    over = torch.eye(recipe.n_overclusters, device=device)  # each for itself
    rate = recipe.learning_rate
    _train(network, over, recipe, examples, recipe.n_steps, rate, generator, told)
    pairs = _estimate(network, over, recipe, examples, seed)
    if not bool(pairs.isfinite().all()):
        raise WrongValue(
            "the network's logits are not finite after training: lower learning_rate, or look at "
            "the views and at the network"
        )
    found = merge(
        pairs.cpu().numpy(), recipe.n_clusters, np.random.RandomState(seed), _MERGE_STARTS
    )
    into = torch.from_numpy(found.into).to(device)
    members = members_of(into, recipe.n_clusters)
    steps = recipe.n_refining_steps
    _train(
        network, members, recipe, examples, steps, 0.5 * rate, generator,
        None if told is None else lambda step, nats: told(recipe.n_steps + step, nats),
    )  # fmt: skip
    reached = mutual_information(_estimate(network, members, recipe, examples, seed))
    over = mutual_information(pairs).item()
    return Run(network, found.into, Restart(seed, over, found.information, reached.item()))


def members_of(into: Tensor, clusters: int) -> Tensor:
    """Give the map of M clusters to K as a matrix of ones and zeros, ``(M, K)``."""
    return nn.functional.one_hot(into, clusters).float()


def laid_out(network: nn.Module, dimensions: int) -> nn.Module:
    """Give the network, its filters in the order in which images ``(N, C, H, W)`` come to it."""
    if dimensions == 4:
        network.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    return network


def probabilities(network: nn.Module, x: Tensor, members: Tensor, half: bool) -> Tensor:
    """Give the probabilities of the clusters of every example, ``(N, K)``, in eval mode."""
    network.eval()
    with torch.no_grad():
        parts = [_clusters(network, part, members, half) for part in x.split(_BLOCK)]
        return torch.cat(parts)


def _clusters(network: nn.Module, x: Tensor, members: Tensor, half: bool) -> Tensor:
    if x.ndim == 4:
        x = x.contiguous(memory_format=torch.channels_last)
    with torch.autocast(x.device.type, dtype=torch.bfloat16, enabled=half):
        logits = network(x)
    if logits.shape != (len(x), len(members)):
        raise WrongValue(
            f"the network gives {tuple(logits.shape)} for {len(x)} examples; expected "
            f"({len(x)}, {len(members)}): a logit of each of the n_overclusters"
        )
    return logits.to(members.dtype).softmax(-1) @ members


def _train(
    network: nn.Module,
    members: Tensor,
    recipe: Recipe,
    examples: Examples,
    steps: int,
    rate: float,
    generator: torch.Generator,
    told: Told | None,
) -> None:
    """Maximise the information of the clusters that ``members (M, K)`` makes of the network's."""
    if steps == 0:
        return
    network.train()
    optimizer = torch.optim.Adam(network.parameters(), rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, rate, total_steps=max(2, steps), pct_start=max(_WARM_UP, min(1.0, 2.0 / steps))
    )
    for step, index in enumerate(examples.batches(recipe.batch_size, steps, generator), 1):
        views = examples.pairs(index, recipe, generator)
        shares = _clusters(network, views, members, recipe.half)
        pairs = joint(*shares.chunk(2))
        loss = -mutual_information(pairs, recipe.balance)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step < steps:
            schedule.step()
        if told is not None:  # else nothing waits for the device
            told(step, mutual_information(pairs.detach()).item())


def _estimate(
    network: nn.Module, members: Tensor, recipe: Recipe, examples: Examples, seed: int
) -> Tensor:
    """Estimate the joint over many pairs, ``(K, K)`` in float64; the same pairs for one seed."""
    device, count = examples.x.device, len(examples.x)
    generator = torch.Generator(device).manual_seed(seed)
    total = torch.zeros(members.shape[1], members.shape[1], dtype=torch.float64, device=device)
    drawn = min(_MOST_PAIRS, max(_LEAST_PAIRS, _PAIRS_EACH * count))
    chosen = torch.randint(count, (drawn,), generator=generator, device=device)
    for index in chosen.split(_BLOCK // 2):
        views = examples.pairs(index, recipe, generator)
        shares = probabilities(network, views, members, recipe.half).double()
        total += joint(*shares.chunk(2)) * (len(index) / drawn)
    return total
