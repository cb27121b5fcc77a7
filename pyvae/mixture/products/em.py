# SPDX-License-Identifier: MIT
"""A mixture of products as a model that EM can fit."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from operator import add

from pyvae.errors import WrongValue
from pyvae.mixture.processes import Processes
from pyvae.mixture.products.product import Product, ProductParameters, ProductSums
from pyvae.mixture.products.rows import Rows


@dataclass(frozen=True)
class ProductPosterior:
    """q of all points: its sums, and log p(x) with the log-prior."""

    sums: ProductSums
    log_likelihood: float

    @property
    def total(self) -> float:
        """Points, by their weights."""
        return self.sums.total.item()


class ProductEM:
    """A model for :func:`pyvae.mixture.ascend`, over :class:`Rows`; its M step is exact.

    Parameters
    ----------
    product
        The formulas.
    parameters
        To start from.
    processes
        Those that have the other points.
    batch
        Whether the points are one of several batches, which may hold what no component can have
        made before: they are then points of every component, by its weight.
    """

    exact = True

    def __init__(
        self,
        product: Product,
        parameters: ProductParameters,
        processes: Processes,
        *,
        batch: bool = False,
    ) -> None:
        self.product, self.parameters, self.processes = product, parameters, processes
        self._batch = batch
        self._before: ProductParameters | None = None

    @property
    def precision(self) -> float:
        """Rounding of F at the present parameters."""
        return self.product.rounding(self._before, self.parameters)

    def e_step(self, data: Rows) -> ProductPosterior:
        """As :class:`pyvae.mixture.LatentVariableEM`."""
        width = max(data.source.shape[1], len(self.parameters.weights))
        parts = (self.product.e_step(x, w, self.parameters) for x, w in data.chunks(width))
        sums = reduce(add, parts)
        sums = sums.from_flat(self.processes.total(sums.flat()))
        reached = sums.log_likelihood.item()
        if reached == -float("inf") and not self._batch:
            raise WrongValue(
                "X holds points that no component of the mixture can have made, which it went on "
                "from: start anew with warm_start=False, or take probability_prior above 1"
            )
        return ProductPosterior(sums, reached + self._log_prior())

    def sums_behind(self, total: float) -> ProductSums:
        """Give the sums of so many points of which the present parameters are the M step."""
        return self.product.sums_behind(self.parameters, total)

    def m_step(self, q: ProductPosterior) -> None:
        """As :class:`pyvae.mixture.LatentVariableEM`."""
        self._before, self.parameters = q.sums.reference, self.product.m_step(q.sums)

    def free_energy(self, q: ProductPosterior) -> float:
        """As :class:`pyvae.mixture.LatentVariableEM`."""
        expected = self.product.expected_log_joint(q.sums, self.parameters)
        return (expected + q.sums.entropy).item() + self._log_prior()

    def log_likelihood(self, q: ProductPosterior) -> float:
        """As :class:`pyvae.mixture.LatentVariableEM`."""
        return q.log_likelihood

    def weight(self, q: ProductPosterior) -> float:
        """As :class:`pyvae.mixture.LatentVariableEM`."""
        return q.total

    def _log_prior(self) -> float:
        return self.product.log_prior(self.parameters).item()
