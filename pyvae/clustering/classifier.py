# SPDX-License-Identifier: MIT
"""A clustering as a module, to be asked and built on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from pyvae.clustering.examples import Scaling
from pyvae.clustering.networks import built_in, checked_config, config_of
from pyvae.clustering.recipe import probabilities
from pyvae.errors import WrongValue
from pyvae.storage.form import Fields, Integer, Place, Plain, Rows

# Of what a config asks for; the first are such that no product of sizes overflows.
_MOST_SIDE, _MOST_FEATURES, _MOST_CLUSTERS = 2**14, 2**30, 2**20
_MOST_NUMBERS = 2**30  # in all, 4 GiB in float32
_PLACE = Place("the config of a Classifier")


@dataclass(frozen=True)
class ClassifierConfig:
    """What a config of a :class:`Classifier` says; ``network`` is None of the user's own."""

    network: dict[str, Any] | None
    shape: tuple[int, ...]
    n_overclusters: int
    n_clusters: int

    @classmethod
    def taken(cls, config: Any) -> ClassifierConfig:
        """Compare a config with its form.

        Raises
        ------
        ValueError
            If it is of something else.
        """
        size, any_count = Integer(1, _MOST_FEATURES), Integer(1, _MOST_CLUSTERS)
        found = Fields({
            "network": Plain(),
            "shape": Rows(lambda _: size),
            "n_overclusters": any_count,
            "n_clusters": any_count,
        }).taken(config, _PLACE)  # fmt: skip
        shape = tuple(found["shape"])
        if len(shape) == 3:
            for i, each in enumerate(shape):
                Integer(1, _MOST_SIDE).taken(each, _PLACE.of("shape").of(i))
        elif len(shape) != 1:
            _PLACE.of("shape").refuse(found["shape"], "[C, H, W] of images or [D] of a table")
        Integer(1, found["n_overclusters"]).taken(found["n_clusters"], _PLACE.of("n_clusters"))
        if found["network"] is not None:
            found["network"] = checked_config(found["network"], shape, _PLACE.of("network"))
        return cls(**{**found, "shape": shape})


class Classifier(nn.Module):
    """Probabilities of clusters, by a network that learns no more.

    It takes examples as they were given to the fit, flattened or not, and stays in eval mode
    whatever becomes of the module that it is part of.

    Parameters
    ----------
    network
        From scaled examples to the logits of M clusters.
    members
        ``(M, K)``: one where a cluster went into one of the K.
    scaling
        Of examples.
    shape
        Of an example, ``(C, H, W)`` or ``(D,)``.
    information
        I(K; K') of the clusters at the fit, in nats.
    """

    members: Tensor
    centre: Tensor
    scale: Tensor
    information: Tensor

    def __init__(
        self,
        network: nn.Module,
        members: Tensor,
        scaling: Scaling,
        shape: tuple[int, ...],
        information: float = 0.0,
    ) -> None:
        super().__init__()
        self.network, self.shape = network, shape
        self.register_buffer("members", members)
        # Whatever the dtype of a model that it is part of, a difference to an offset is exact.
        self.register_buffer("centre", scaling.centre.double().expand(shape).clone())
        self.register_buffer("scale", scaling.scale.double().expand(shape).clone())
        self.register_buffer("information", torch.tensor(information, device=members.device))
        self.requires_grad_(False)
        self.eval()

    @classmethod
    def from_config(cls, config: dict[str, Any], network: nn.Module | None = None) -> Classifier:
        """Build what :attr:`config` describes, untrained, on torch's default device.

        Parameters
        ----------
        config
            From :attr:`config`, as it was or from a file.
        network
            One like the fit's own, where that was no built-in one.

        Raises
        ------
        ValueError
            If the config is of something else, asks for more than 2^30 numbers, or a network is
            missing or superfluous.
        """
        asked = ClassifierConfig.taken(config)
        if (network is None) == (asked.network is None):
            raise WrongValue(
                f"{_PLACE} is of a network of your own; pass one of the same architecture as "
                "network="
                if network is None
                else f"{_PLACE} is of the built-in network; leave out network="
            )

        def build() -> Classifier:
            over, clusters = asked.n_overclusters, asked.n_clusters
            members = torch.eye(clusters).repeat(-(-over // clusters), 1)[:over].clone()
            scaling = Scaling(torch.zeros(()), torch.ones(()))
            own = built_in(asked.shape, over, asked.network) if network is None else network
            return cls(own, members, scaling, asked.shape)

        with torch.device("meta"):
            count = sum(value.numel() for value in build().state_dict().values())
        if count > _MOST_NUMBERS:
            raise WrongValue(f"{_PLACE} asks for {count} numbers; expected {_MOST_NUMBERS} at most")
        return build()

    @property
    def config(self) -> dict[str, Any]:
        """The built-in network (None of your own), the shape, M and K, ready for JSON."""
        return {
            "network": config_of(self.network, self.shape),
            "shape": list(self.shape),
            "n_overclusters": self.members.shape[0],
            "n_clusters": self.num_clusters,
        }

    @property
    def num_clusters(self) -> int:
        """K."""
        return self.members.shape[1]

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(N, ...)`` to probabilities ``(N, K)``, which have no gradients by x."""
        return self.overclusters(x) @ self.members

    def overclusters(self, x: Tensor) -> Tensor:
        """Return the probabilities of the M clusters that were merged, ``(N, M)``."""
        x = x if x.is_floating_point() else x.float()
        scaling = Scaling(self.centre, self.scale)
        scaled = scaling(x.reshape(-1, *self.shape), self.members.dtype)
        each = torch.eye(len(self.members), dtype=scaled.dtype, device=scaled.device)
        return probabilities(self.network, scaled, each, half=False)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Classifier:
        exact = {"centre": self.centre, "scale": self.scale}
        super()._apply(fn, recurse)
        for name, value in exact.items():  # of half(), say, only the device is followed
            setattr(self, name, value.to(getattr(self, name).device))
        return self

    def train(self, mode: bool = True) -> Classifier:
        """Stay in eval mode: the network's running statistics are those of the fit."""
        return super().train(False)
