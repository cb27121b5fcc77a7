# SPDX-License-Identifier: MIT
"""The training of a network by steps, after any of which it can stop and go on elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from pyvae.clustering.information import joint, mutual_information
from pyvae.clustering.recipe import Examples, Recipe, clusters

# Of the indices of a batch: what is minimised, and a figure to be told, in nats.
Loss = Callable[[Tensor], tuple[Tensor, Tensor]]
_WARM_UP = 0.1  # of the steps
_MOMENTS = ("exp_avg", "exp_avg_sq", "step")  # what Adam keeps of a parameter


class Training:
    """Minimises a loss of batches by Adam, on a rate that rises and falls.

    Parameters
    ----------
    network
        Whose parameters are learnt.
    loss
        Of a batch.
    x
        Examples.
    batch_size
        Examples a step.
    steps, rate
        So many, of at least one, and the rate's peak.
    generator
        Of batches, and of what the loss draws by it; layers draw from torch's own.
    """

    def __init__(
        self,
        network: nn.Module,
        loss: Loss,
        x: Tensor,
        batch_size: int,
        steps: int,
        rate: float,
        generator: torch.Generator,
    ) -> None:
        self.network, self.generator = network.train(), generator
        self._loss, self._x = loss, x
        self.steps, self.step = steps, 0
        self._optimizer = torch.optim.Adam(network.parameters(), rate)
        self._schedule = torch.optim.lr_scheduler.OneCycleLR(
            self._optimizer, rate, total_steps=max(2, steps),
            pct_start=max(_WARM_UP, min(1.0, 2.0 / steps)),
        )  # fmt: skip
        self._size = min(batch_size, len(x))
        self._shuffle()

    def advance(self) -> Tensor:
        """Take a step; gives its figure."""
        loss, figure = self._loss(self._order[self._at : self._at + self._size])
        self._optimizer.zero_grad()
        loss.backward()
        self._optimizer.step()
        self.step += 1
        if self.step < self.steps:
            self._schedule.step()
        self._at += self._size
        if self._at + self._size > len(self._order):
            self._shuffle()
        return figure

    def tensors(self) -> dict[str, Any]:
        """Give all tensors that the next step depends on, but for those of the user's network."""
        device = self._order.device
        found: dict[str, Any] = self.network.state_dict(prefix="network.")
        for i, kept in self._optimizer.state_dict()["state"].items():
            found |= {f"adam.{i}.{name}": kept[name] for name in _MOMENTS}
        found |= {"order": self._order, "generator": self.generator.get_state()}
        found["torch"] = torch.random.get_rng_state()
        if device.type == "cuda":
            found["cuda"] = torch.cuda.get_rng_state(device)
        return found

    def figures(self) -> dict[str, float]:
        """Give the numbers that it depends on besides."""
        (group,) = self._optimizer.param_groups
        return {
            "step": self.step, "at": self._at, "rate": float(group["lr"]), "beta": group["betas"][0]
        }  # fmt: skip

    def like(self, names: set[str]) -> dict[str, Any]:
        """Give tensors of the shapes that :meth:`tensors` has after a step.

        ``names`` are of those that there are: of parameters without gradients Adam keeps nothing.
        """
        found = self.tensors()
        for i, parameter in enumerate(self.network.parameters()):
            if f"adam.{i}.step" in names:
                found |= {f"adam.{i}.{name}": parameter.detach() for name in _MOMENTS[:2]}
                found[f"adam.{i}.step"] = torch.zeros(())
        return found

    def restore(self, tensors: Mapping[str, Tensor], figures: Mapping[str, Any]) -> str | None:
        """Go on where another stood; or say why nothing can stand there."""
        order, at = tensors["order"], figures["at"]
        everyone = torch.arange(len(order))
        if not torch.equal(order.sort().values.cpu(), everyone) or at % self._size:
            return "its batches are no batches of these examples"
        if figures["step"] > self.steps or at + self._size > len(order):
            return "it is beyond the end"
        self.network.load_state_dict(
            {n.removeprefix("network."): v for n, v in tensors.items() if n.startswith("network.")}
        )
        state = self._optimizer.state_dict()
        group = state["param_groups"][0]
        group |= {"lr": figures["rate"], "betas": (figures["beta"], group["betas"][1])}
        state["state"] = {
            i: {name: tensors[f"adam.{i}.{name}"] for name in _MOMENTS}
            for i in group["params"]
            if f"adam.{i}.step" in tensors
        }
        self._optimizer.load_state_dict(state)
        self.step, self._at = figures["step"], at
        self._schedule.last_epoch = min(self.step, self.steps - 1)
        self._order = order.to(self._order.device)
        try:
            self.generator.set_state(tensors["generator"])
            torch.random.set_rng_state(tensors["torch"])
            if "cuda" in tensors:
                torch.cuda.set_rng_state(tensors["cuda"], self._order.device)
        except (RuntimeError, TypeError) as error:
            return f"its random generators are none of this torch's ({error})"
        return None

    def _shuffle(self) -> None:
        """Draw an order of the examples: each comes once before any comes again."""
        options = {"generator": self.generator, "device": self._x.device}
        self._order, self._at = torch.randperm(len(self._x), **options), 0


def information_lost(
    network: nn.Module,
    members: Tensor,
    recipe: Recipe,
    examples: Examples,
    generator: torch.Generator,
    balance: float,
) -> Loss:
    """Give -I(K; K') - (balance - 1) H(K) as a loss.

    K are the clusters that ``members (M, K)`` makes of the network's.
    """

    def loss(index: Tensor) -> tuple[Tensor, Tensor]:
        views = examples.pairs(index, recipe, generator)
        pairs = joint(*clusters(network, views, members, recipe.half).chunk(2))
        return -mutual_information(pairs, balance), mutual_information(pairs.detach())

    return loss
