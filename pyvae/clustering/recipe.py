# SPDX-License-Identifier: MIT
"""One run of the clustering: over-cluster, merge, refine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from pyvae.clustering.bottleneck import Merge, merge
from pyvae.clustering.information import joint, mutual_information
from pyvae.clustering.views import Views
from pyvae.errors import WrongValue

# Behind the joint that clusters are merged by, and the information of a run.
_PAIRS_EACH, _LEAST_PAIRS, _MOST_PAIRS = 32, 4000, 40_000
_MERGE_STARTS = 30
_BLOCK = 2000  # examples at a time where nothing is learnt
_WARM_UP = 0.1  # of the steps
Told = Callable[[int, float], None]
PRECISIONS = {"auto", "float32", "bfloat16"}


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
class Run:
    """What a run has found; informations in nats."""

    network: nn.Module
    merge: Merge
    over_information: float  # I(J; J') of the clusters before they were merged
    information: float  # I(K; K') at the end


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
    network = made(make, recipe.n_overclusters, examples.x)
    over = torch.eye(recipe.n_overclusters, device=device)  # each for itself
    rate = recipe.learning_rate
    train(network, over, recipe, examples, recipe.n_steps, rate, generator, told)
    pairs = _estimate(network, over, recipe, examples, seed)
    must_be_finite(pairs)
    found = merge(
        pairs.cpu().numpy(), recipe.n_clusters, np.random.RandomState(seed), _MERGE_STARTS
    )
    into = torch.from_numpy(found.into).to(device)
    members = members_of(into, recipe.n_clusters)
    steps = recipe.n_refining_steps
    train(
        network, members, recipe, examples, steps, 0.5 * rate, generator,
        None if told is None else lambda step, nats: told(recipe.n_steps + step, nats),
    )  # fmt: skip
    reached = mutual_information(_estimate(network, members, recipe, examples, seed))
    return Run(network, found, mutual_information(pairs).item(), reached.item())


def made(make: Callable[[int], nn.Module], classes: int, x: Tensor) -> nn.Module:
    """Make a network as examples are: on their device, and for images in their layout."""
    network = make(classes).to(x.device)
    if x.ndim == 4:
        network.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    return network


def must_be_finite(found: Tensor) -> None:
    """Refuse what a network that diverged makes."""
    if not bool(found.isfinite().all()):
        raise WrongValue(
            "the network's logits are not finite after training: lower learning_rate, or look at "
            "the views and at the network"
        )


def members_of(into: Tensor, clusters: int) -> Tensor:
    """Give the map of M clusters to K as a matrix of ones and zeros, ``(M, K)``."""
    return nn.functional.one_hot(into, clusters).float()


def probabilities(network: nn.Module, x: Tensor, members: Tensor, half: bool) -> Tensor:
    """Give the probabilities of the clusters of every example, ``(N, K)``, in eval mode."""
    network.eval()
    with torch.no_grad():
        parts = [soft_clusters(network, part, members, half) for part in x.split(_BLOCK)]
        return torch.cat(parts)


def soft_clusters(network: nn.Module, x: Tensor, members: Tensor, half: bool) -> Tensor:
    """Give the probabilities of the clusters, ``(N, K)``, as a loss has them: with gradients."""
    if x.ndim == 4:
        x = x.contiguous(memory_format=torch.channels_last)
    with torch.autocast(x.device.type, dtype=torch.bfloat16, enabled=half):
        logits = network(x)
    if logits.shape != (len(x), len(members)):
        raise WrongValue(
            f"the network gives {tuple(logits.shape)} for {len(x)} examples; expected "
            f"({len(x)}, {len(members)}): a logit of each of {len(members)} clusters"
        )
    return logits.float().softmax(-1) @ members


def train(
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

    def loss(index: Tensor) -> tuple[Tensor, Tensor]:
        views = examples.pairs(index, recipe, generator)
        pairs = joint(*soft_clusters(network, views, members, recipe.half).chunk(2))
        return -mutual_information(pairs, recipe.balance), mutual_information(pairs.detach())

    batches = examples.batches(recipe.batch_size, steps, generator)
    descend(network, loss, batches, steps, rate, told)


def descend(
    network: nn.Module,
    loss: Callable[[Tensor], tuple[Tensor, Tensor]],
    batches: Iterator[Tensor],
    steps: int,
    rate: float,
    told: Told | None,
) -> None:
    """Take so many steps of Adam, in one cycle of its rate.

    ``loss`` gives, of a batch, what is minimised and what is told of it.
    """
    if steps == 0:
        return
    network.train()
    optimizer = torch.optim.Adam(network.parameters(), rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, rate, total_steps=max(2, steps), pct_start=max(_WARM_UP, min(1.0, 2.0 / steps))
    )
    for step, index in enumerate(batches, 1):
        minimised, figure = loss(index)
        optimizer.zero_grad()
        minimised.backward()
        optimizer.step()
        if step < steps:
            schedule.step()
        if told is not None:  # else nothing waits for the device
            told(step, figure.item())


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


def takes_half(precision: str, device: torch.device) -> bool:
    """Tell whether passes through the network are in bfloat16."""
    if precision != "auto":
        return precision == "bfloat16"
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return device.type == "cpu" and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
