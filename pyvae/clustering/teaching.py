# SPDX-License-Identifier: MIT
"""A network that learns clusters which are known, and goes on by what views share."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from pyvae.clustering.recipe import (
    Examples,
    Recipe,
    descend,
    made,
    must_be_finite,
    probabilities,
    soft_clusters,
    train,
)

Told = Callable[[int, str, float], None]  # step, what of it, in nats


def taught(
    recipe: Recipe,
    examples: Examples,
    labels: Tensor,
    make: Callable[[int], nn.Module],
    seed: int,
    told: Told | None = None,
) -> nn.Module:
    """Train a network that ``make`` makes for the K clusters of ``labels (N,)``.

    Views of an example are of its cluster: ``n_steps`` by cross-entropy. Then the information of
    the clusters is maximised, as where they are found by it. Torch's own generators are as before
    when it returns.

    Raises
    ------
    ValueError
        If the network gives something else than so many finite logits an example.
    """
    device = examples.x.device
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        generator = torch.Generator(device).manual_seed(seed)
        network = made(make, recipe.n_clusters, examples.x)
        each = torch.eye(recipe.n_clusters, device=device)

        def loss(index: Tensor) -> tuple[Tensor, Tensor]:
            views = recipe.views(examples.x[index], generator)
            found = soft_clusters(network, views, each, recipe.half)
            tiny = torch.finfo(found.dtype).tiny
            loss = nn.functional.nll_loss(found.clamp_min(tiny).log(), labels[index])
            return loss, loss.detach()

        batches = examples.batches(recipe.batch_size, recipe.n_steps, generator)
        descend(
            network, loss, batches, recipe.n_steps, recipe.learning_rate,
            None if told is None else lambda step, nats: told(step, "cross-entropy", nats),
        )  # fmt: skip
        train(
            network, each, recipe, examples, recipe.n_refining_steps, 0.5 * recipe.learning_rate,
            generator,
            None if told is None else lambda step, nats: told(recipe.n_steps + step, "I", nats),
        )  # fmt: skip
        must_be_finite(probabilities(network, examples.x, each, recipe.half))
        return network
