# SPDX-License-Identifier: MIT
"""What a network is trained by: examples in pairs of views, and the clusters that it gives them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from pyvae.clustering.information import joint
from pyvae.clustering.views import Views
from pyvae.errors import WrongValue

# Behind the joint that clusters are merged by, and the information of a run.
_PAIRS_EACH, _LEAST_PAIRS, _MOST_PAIRS = 32, 4000, 40_000
_BLOCK = 2000  # examples at a time where nothing is learnt
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
    balance: float | None  # as the merge finds it
    half: bool  # forward and backward passes in bfloat16


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


def members_of(into: Tensor, clusters: int) -> Tensor:
    """Give the map of M clusters to K as a matrix of ones and zeros, ``(M, K)``."""
    return nn.functional.one_hot(into, clusters).float()


def must_be_finite(found: Tensor) -> None:
    """Refuse what a network that diverged makes."""
    if not bool(found.isfinite().all()):
        raise WrongValue(
            "the network's logits are not finite after training: lower learning_rate, or look at "
            "the views and at the network"
        )


def takes_half(precision: str, device: torch.device) -> bool:
    """Tell whether passes through the network are in bfloat16."""
    if precision != "auto":
        return precision == "bfloat16"
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return device.type == "cpu" and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def laid_out(network: nn.Module, dimensions: int) -> nn.Module:
    """Give the network, its filters in the order in which images ``(N, C, H, W)`` come to it."""
    if dimensions == 4:
        network.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    return network


def probabilities(network: nn.Module, x: Tensor, members: Tensor, half: bool) -> Tensor:
    """Give the probabilities of the clusters of every example, ``(N, K)``, in eval mode."""
    network.eval()
    with torch.no_grad():
        parts = [clusters(network, part, members, half) for part in x.split(_BLOCK)]
        return torch.cat(parts)


def clusters(network: nn.Module, x: Tensor, members: Tensor, half: bool) -> Tensor:
    """Give the probabilities of the clusters of some examples, ``(N, K)``, with gradients.

    Raises
    ------
    ValueError
        If the network gives something else than M logits an example.
    """
    if x.ndim == 4:
        x = x.contiguous(memory_format=torch.channels_last)
    with torch.autocast(x.device.type, dtype=torch.bfloat16, enabled=half):
        logits = network(x)
    if logits.shape != (len(x), len(members)):
        raise WrongValue(
            f"the network gives {tuple(logits.shape)} for {len(x)} examples; expected "
            f"({len(x)}, {len(members)}): a logit of each of {len(members)} clusters"
        )
    return logits.to(members.dtype).softmax(-1) @ members


def estimate(
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
