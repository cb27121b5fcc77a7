# SPDX-License-Identifier: MIT
"""A Gaussian mixture as a model that EM can fit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import reduce
from operator import add

import torch
from torch import Tensor

from pyvae.mixture import missing
from pyvae.mixture.conditioning import UNIT, rounding, working_dtype
from pyvae.mixture.covariance import Covariance, Moments, Parameters
from pyvae.mixture.points import Points
from pyvae.mixture.prior import ConjugatePrior
from pyvae.mixture.processes import Processes
from pyvae.mixture.sums import Sums

# Up to so many responsibilities their entropy is summed by points, so that F = log p(x) after the
# E step is a check; beyond, it is what log p(x) leaves of the expected log-joint.
_MOST_SHARES = 2**20


@dataclass(frozen=True)
class Posterior:
    """q of all points: its sums, its entropy, and log p(x) with the log-prior."""

    sums: Sums
    entropy: float
    log_likelihood: float


class GaussianEM:
    """A model for :func:`pyvae.mixture.ascend`, over :class:`Points`.

    Parameters
    ----------
    kind
        Of covariance.
    parameters
        To start from, about the points' origin.
    dtype
        Of the points.
    reg_covar
        Added to the variances by the M step, which is then not the argmax.
    prior
        On the parameters.
    incomplete
        Whether NaN stands for what was not observed.
    processes
        Those that have the other points.

    Attributes
    ----------
    last
        q of the last E step, None before the first.
    """

    def __init__(
        self,
        kind: Covariance,
        parameters: Parameters,
        *,
        dtype: torch.dtype = torch.float64,
        reg_covar: float = 0.0,
        prior: ConjugatePrior | None = None,
        incomplete: bool = False,
        processes: Processes | None = None,
    ) -> None:
        self.kind, self.parameters, self.reg_covar = kind, parameters, reg_covar
        self.prior, self.incomplete = prior, incomplete
        self.processes = Processes(False) if processes is None else processes
        self.last: Posterior | None = None
        self.exact, self.dtype = reg_covar == 0.0, dtype  # of the points
        self._step: Tensor | None = None  # that the means took in the last M step

    @property
    def precision(self) -> float:
        """Rounding of F at the present parameters, where a fall would be an error."""
        if not self.exact:
            return UNIT[self.dtype]
        return rounding(self.kind, self.parameters, self._dtype(), self._step)

    def _dtype(self) -> torch.dtype:
        return working_dtype(self.kind, self.parameters, self.dtype)

    def sums(self, x: Tensor, weight: Tensor | None) -> Sums:
        """Give the sums of one chunk of points."""
        if self.incomplete:
            return missing.sums(self.kind, x, weight, self.parameters)
        return self.kind.sums(x, weight, self.parameters)

    def e_step(self, data: Points) -> Posterior:
        """As :class:`pyvae.mixture.LatentVariableEM`."""
        sums = reduce(add, (self.sums(x, weight) for x, weight in self._chunks(data)))
        sums = self.processes.added(sums)
        expected = self.kind.expected_log_joint(sums, self.parameters).item()
        reached = sums.log_likelihood.item()
        entropy = reached - expected
        few = len(data) * len(self.parameters.weights) <= _MOST_SHARES
        if self.exact and few and not self.processes.several:
            entropy = sum(self._entropy(x, weight) for x, weight in self._chunks(data))
            entropy += missing.entropy(self.kind, data, self.parameters) if self.incomplete else 0.0
        self.last = Posterior(sums, entropy, reached + self._log_prior())
        return self.last

    def m_step(self, q: Posterior) -> None:
        """As :class:`pyvae.mixture.LatentVariableEM`."""
        self.parameters = self._maximum(q.sums)
        self._step = self.parameters.means - q.sums.reference

    def sums_behind(self, total: float) -> Sums:
        """Give the sums of so many points of which the present parameters are the M step."""
        if self.prior is None:
            return self.kind.sums_behind(self.parameters, total, self.reg_covar)
        return self.prior.sums_behind(_moments(self.kind), self.parameters, total, self.reg_covar)

    def free_energy(self, q: Posterior) -> float:
        """As :class:`pyvae.mixture.LatentVariableEM`."""
        expected = self.kind.expected_log_joint(q.sums, self.parameters)
        return expected.item() + q.entropy + self._log_prior()

    def log_likelihood(self, q: Posterior) -> float:
        """As :class:`pyvae.mixture.LatentVariableEM`."""
        return q.log_likelihood

    def weight(self, q: Posterior) -> float:
        """As :class:`pyvae.mixture.LatentVariableEM`."""
        return q.sums.total.item()

    def batch_bound(self, q: Posterior, population: float) -> float:
        """Give the bound that a batch of so many points tells of: their mean log-likelihood."""
        return q.log_likelihood / q.sums.total.item()

    def _maximum(self, sums: Sums) -> Parameters:
        if self.prior is None:
            return m_step(self.kind, sums, self.reg_covar)
        return self.prior.m_step(_moments(self.kind), sums, self.reg_covar)

    def _log_prior(self) -> float:
        if self.prior is None:
            return 0.0
        return self.prior.log_density(_moments(self.kind), self.parameters)

    def _chunks(self, data: Points) -> Iterator[tuple[Tensor, Tensor | None]]:
        """Give the points in a dtype that has digits enough for the present covariances."""
        dtype = self._dtype()
        for x, weight in data.chunks():
            yield x.to(dtype), None if weight is None else weight.to(dtype)

    def _entropy(self, x: Tensor, weight: Tensor | None) -> float:
        score = missing.posterior if self.incomplete else type(self.kind).posterior
        log_shares = score(self.kind, x, self.parameters)[0].double()
        terms = log_shares.exp() * log_shares.nan_to_num(neginf=0.0)
        by_point = -terms.sum(1)
        return (by_point if weight is None else by_point * weight.double()).sum().item()


def m_step(kind: Covariance, sums: Sums, reg_covar: float) -> Parameters:
    """Give the parameters of the largest expected log-joint.

    Raises
    ------
    IllDefined
        If a covariance is not positive definite.
    """
    weights, means = kind.weights_and_means(sums)
    covariances = kind.covariances(sums.about(means), reg_covar)
    kind.require(covariances)
    return Parameters(weights, means, covariances)


def _moments(kind: Covariance) -> Moments:
    assert isinstance(kind, Moments)  # others have no conjugate prior
    return kind
