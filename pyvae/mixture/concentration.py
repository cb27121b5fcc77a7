# SPDX-License-Identifier: MIT
"""The two distributions of a variational mixture's weights, by their concentrations.

A Dirichlet distribution of the K weights, ``(K,)``; or of the Dirichlet process's stick-breaking
pi_k = v_k prod_{j<k} (1 - v_j) the K Beta distributions, ``(2, K)``. Either is Dirichlet along its
first axis, of K or of two.

Source: Bishop (2006), section 10.2 and appendix B; Blei & Jordan (2006), "Variational inference
for Dirichlet process mixtures"; with v_K free, as here, Kurihara, Welling & Vlassis (2006).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import torch
from torch import Tensor

from pyvae.mixture.arrays import Array, as_given


class Weights(ABC):
    """A kind of distribution of the weights; ``name`` is scikit-learn's."""

    name: str

    @abstractmethod
    def given(self, concentration: float, counts: Tensor) -> Tensor:
        """Concentrations of the posterior given the components' counts of points, ``(K,)``.

        Without points these are the prior's.
        """

    @abstractmethod
    def means(self, concentrations: Tensor) -> Tensor:
        """Expected weights, as shares of their sum, ``(K,)``."""

    @abstractmethod
    def mean_logs(self, concentrations: Tensor) -> Tensor:
        """Expected logarithms of the weights, ``(K,)``."""

    @abstractmethod
    def as_attribute(self, X: Array, concentrations: Tensor) -> Any:
        """Give them as scikit-learn's ``weight_concentration_``."""

    @abstractmethod
    def shape(self, k: int) -> tuple[int, ...]:
        """Shape of the concentrations."""


class _Dirichlet(Weights):
    name = "dirichlet_distribution"

    def given(self, concentration: float, counts: Tensor) -> Tensor:
        return concentration + counts

    def means(self, concentrations: Tensor) -> Tensor:
        return concentrations / concentrations.sum()

    def mean_logs(self, concentrations: Tensor) -> Tensor:
        return expected_logs(concentrations)

    def as_attribute(self, X: Array, concentrations: Tensor) -> Any:
        return as_given(X, concentrations)

    def shape(self, k: int) -> tuple[int, ...]:
        return (k,)


class _DirichletProcess(Weights):
    name = "dirichlet_process"

    def given(self, concentration: float, counts: Tensor) -> Tensor:
        from_here_on = counts.flip(0).cumsum(0).flip(0)
        beyond = torch.cat([from_here_on[1:], counts.new_zeros(1)])
        return torch.stack([1.0 + counts, concentration + beyond])

    def means(self, concentrations: Tensor) -> Tensor:
        taken, left = concentrations / concentrations.sum(0)
        found = taken * _before(left, 1.0).cumprod(0)
        return found / found.sum()

    def mean_logs(self, concentrations: Tensor) -> Tensor:
        taken, left = expected_logs(concentrations)
        return taken + _before(left, 0.0).cumsum(0)

    def as_attribute(self, X: Array, concentrations: Tensor) -> Any:
        return tuple(as_given(X, row.clone()) for row in concentrations)

    def shape(self, k: int) -> tuple[int, ...]:
        return 2, k


WEIGHTS: dict[str, Weights] = {kind.name: kind for kind in (_DirichletProcess(), _Dirichlet())}


def expected_logs(concentrations: Tensor) -> Tensor:
    """E[log p] of p from Dirichlet distributions along the first axis (Bishop, B.21)."""
    return torch.digamma(concentrations) - torch.digamma(concentrations.sum(0))


def log_partition(concentrations: Tensor) -> Tensor:
    """Logarithm of the densities' normalising constants, summed over the distributions, ``()``."""
    return torch.lgamma(concentrations).sum() - torch.lgamma(concentrations.sum(0)).sum()


def _before(left: Tensor, whole: float) -> Tensor:
    """Give what stands before each stick: the whole, then what the last one left of its own."""
    return torch.cat([left.new_full((1,), whole), left[:-1]])
