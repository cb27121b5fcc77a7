# SPDX-License-Identifier: MIT
"""What every likelihood offers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor
from torch.distributions import Distribution, Independent


class Likelihood(ABC):
    """p(x | w) of ``d`` features, independent given w, from the decoder's output.

    It holds no parameters: those are the decoder's.

    Attributes
    ----------
    name
        What a model's ``likelihood`` argument calls it.
    outputs_per_feature
        Numbers that the decoder returns for one feature.
    outputs
        What those numbers are, for error messages.
    has_units
        Whether the data are real numbers, in units of their own.
    """

    name: ClassVar[str]
    outputs_per_feature: ClassVar[int]
    outputs: ClassVar[str]
    has_units: ClassVar[bool]

    @abstractmethod
    def features(self, output: Float[Tensor, "*batch outputs"]) -> Distribution:
        """Return the distributions of the features, of batch shape ``(*batch, d)``."""

    @abstractmethod
    def check_values(self, x: Tensor) -> None:
        """Raise ``ValueError`` where ``x`` holds values outside the likelihood's support.

        It reads the data, which on an accelerator waits for the device. NaN passes: it makes the
        bound of its own example NaN.
        """

    def distribution(self, output: Float[Tensor, "*batch outputs"]) -> Independent:
        """Return the joint distribution: batch shape ``(*batch)``, event shape ``(d,)``."""
        return Independent(self.features(output), 1, validate_args=False)

    def log_prob(
        self, output: Float[Tensor, "*batch outputs"], x: Float[Tensor, "*#batch d"]
    ) -> Float[Tensor, "*batch"]:
        """Return log p(x | w) in nats, summed over the features."""
        # Not by way of Independent, whose log_prob fails on an empty batch.
        return self.features(output).log_prob(x).sum(-1)
