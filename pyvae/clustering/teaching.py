# SPDX-License-Identifier: MIT
"""A network that learns clusters which are known, and goes on by what views share."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from pyvae.clustering.recipe import (
    Examples,
    Recipe,
    clusters,
    laid_out,
    must_be_finite,
    probabilities,
)
from pyvae.clustering.training import Loss, Training, information_lost

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
        network = laid_out(make(recipe.n_clusters).to(device), examples.x.ndim)
        each = torch.eye(recipe.n_clusters, device=device)

        def cross_entropy(index: Tensor) -> tuple[Tensor, Tensor]:
            views = recipe.views(examples.x[index], generator)
            found = clusters(network, views, each, recipe.half)
            tiny = torch.finfo(found.dtype).tiny
            loss = nn.functional.nll_loss(found.clamp_min(tiny).log(), labels[index])
            return loss, loss.detach()

        def train(loss: Loss, name: str, steps: int, rate: float, before: int) -> None:
            if steps == 0:
                return
            size = recipe.batch_size
            training = Training(network, loss, examples.x, size, steps, rate, generator)
            while training.step < steps:
                figure = training.advance()
                if told is not None:  # else nothing waits for the device
                    told(before + training.step, name, figure.item())

        rate, first = recipe.learning_rate, recipe.n_steps
        train(cross_entropy, "cross-entropy", first, rate, 0)
        balance = 1.0 if recipe.balance is None else recipe.balance
        shared = information_lost(network, each, recipe, examples, generator, balance)
        train(shared, "I", recipe.n_refining_steps, 0.5 * rate, first)
        must_be_finite(probabilities(network, examples.x, each, recipe.half))
        return network
