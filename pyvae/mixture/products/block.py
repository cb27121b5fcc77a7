# SPDX-License-Identifier: MIT
"""What a block is: columns of one family, independent of each other given the component."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TypeAlias

import numpy as np
from torch import Tensor

Numbers: TypeAlias = tuple[Tensor, ...]  # parameters of a block, or its sums over points


class Block(ABC):
    """A family's formulas for its ``D`` columns and ``K`` components, in float64.

    Points are ``x (N, D)``. What was not observed is NaN where ``seen (N, D)`` is False; ``seen``
    is None where all is. Shares ``(N, K)`` are responsibilities times the weights of the points.
    Sums are additive over points. They may be about the parameters that they were taken at, which
    are then told (``reference``).
    """

    @abstractmethod
    def reference(self, x: Tensor, seen: Tensor | None) -> Numbers:
        """Give parameters of one component amid these points, for the first sums to be about."""

    @abstractmethod
    def whole(self, counts: Tensor, parameters: Numbers) -> Numbers:
        """Give parameters of one component amid the points behind a mixture.

        ``counts (K,)`` are the points of its components, of whose sums it is the M step.
        """

    @abstractmethod
    def of_data(self, whole: Numbers) -> Block:
        """Give the block with its priors in units of the data, of which ``whole`` is the fit.

        Raises
        ------
        ValueError
            If the family says nothing of such data.
        """

    @abstractmethod
    def log_prob(self, x: Tensor, seen: Tensor | None, parameters: Numbers) -> Tensor:
        """Log-density of what was observed in every component, ``(N, K)``."""

    @abstractmethod
    def sums(self, x: Tensor, seen: Tensor | None, shares: Tensor, reference: Numbers) -> Numbers:
        """Give all that an M step knows of the points."""

    @abstractmethod
    def m_step(self, sums: Numbers, reference: Numbers) -> Numbers:
        """Give the parameters of the largest expected log-density, with the log-prior.

        Of a column of which a component has no points they are as they were.
        """

    @abstractmethod
    def sums_behind(self, parameters: Numbers, counts: Tensor) -> Numbers:
        """Give the sums of ``counts (K,)`` points of which the parameters are the M step.

        They are about the parameters. What the prior alone speaks for has none.
        """

    @abstractmethod
    def expected(self, sums: Numbers, reference: Numbers, parameters: Numbers) -> Tensor:
        """Sum of r log p(x | z) over the points behind sums, ``()``, in nats."""

    @abstractmethod
    def log_prior(self, parameters: Numbers) -> Tensor:
        """Logarithm of the prior's density, ``()``, up to its constant."""

    @abstractmethod
    def num_parameters(self, k: int) -> int:
        """Count free parameters."""

    @abstractmethod
    def shapes(self, k: int) -> dict[str, tuple[int, ...]]:
        """Name the parameters, and give their shapes."""

    @abstractmethod
    def rounding(self, weights: Tensor, reference: Numbers | None, parameters: Numbers) -> float:
        """Give what F may be off at these parameters, in nats a point."""

    @abstractmethod
    def drawn(self, parameters: Numbers, labels: Tensor, random: np.random.RandomState) -> Tensor:
        """Draw a point of each label's component, ``(N, D)``."""

    @abstractmethod
    def completed(self, x: Tensor, seen: Tensor, shares: Tensor, parameters: Numbers) -> Tensor:
        """Give the points with what is missing in its place, by responsibilities ``(N, K)``."""

    @abstractmethod
    def embedded(self, x: Tensor, seen: Tensor | None, whole: Numbers) -> Tensor:
        """Give the points where Euclidean distances tell them apart, ``(N, E)``."""
