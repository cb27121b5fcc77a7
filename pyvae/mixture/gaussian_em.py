# SPDX-License-Identifier: MIT
"""A Gaussian mixture as a model that EM can fit.

A label restricts the E step of its point to one component, and evidence of several weighs them
(:mod:`pyvae.mixture.labels`); the M step is the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from operator import add

import torch
from torch import Tensor

from pyvae.mixture import missing
from pyvae.mixture.conditioning import UNIT, rounding, working_dtype
from pyvae.mixture.covariance import Covariance, Moments, Parameters
from pyvae.mixture.labels import GRADED, UNKNOWN, Labels
from pyvae.mixture.points import Points
from pyvae.mixture.prior import ConjugatePrior
from pyvae.mixture.processes import Processes
from pyvae.mixture.sums import Sums
from pyvae.mixture.tensors import to_host

# Up to so many responsibilities their entropy is summed by points, so that F = log p(x) after the
# E step is a check; beyond, it is what log p(x) leaves of the expected log-joint.
_MOST_SHARES = 2**20


@dataclass(frozen=True)
class Posterior:
    """q of all points: its sums, its entropy, and log p(x) with the log-prior.

    With the entropy stands what of E_q[log p(x, z)] does not depend on theta. The total is that of
    the points' weights.
    """

    sums: Sums
    entropy: float
    log_likelihood: float
    total: float


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
        self._known: tuple[Sums, Parameters, float] | None = None  # E_q[log p(x, z)] of the E step

    @property
    def precision(self) -> float:
        """Rounding of F at the present parameters, where a fall would be an error."""
        if not self.exact:
            return UNIT[self.dtype]
        return rounding(self.kind, self.parameters, self._dtype(), self._step)

    def _dtype(self) -> torch.dtype:
        return working_dtype(self.kind, self.parameters, self.dtype)

    def sums(self, x: Tensor, weight: Tensor | None, labels: Labels | None = None) -> Sums:
        """Give the sums of one chunk of points."""
        if labels is None:
            return self._unlabelled(x, weight)
        weight = x.new_ones(len(x)) if weight is None else weight
        rows = [(labels.component == k).nonzero()[:, 0] for k in range(len(self.parameters.means))]
        found = self._by_component([(x[some], weight[some]) for some in rows])
        chosen = torch.where(found.counts > 0, found.counts * self.parameters.log_weights, 0.0)
        found = replace(found, log_likelihood=found.log_likelihood + chosen.sum())
        unknown, graded = (labels.component == group for group in (UNKNOWN, GRADED))
        if unknown.any():
            found = found + self._unlabelled(x[unknown], weight[unknown])
        if graded.any():
            evidence = labels.of(graded).dense(len(self.parameters.means))
            found = found + self._graded(x[graded], weight[graded], evidence)
        return found

    def e_step(self, data: Points) -> Posterior:
        """As :class:`pyvae.mixture.LatentVariableEM`."""
        sums = reduce(add, (self.sums(*chunk) for chunk in self._chunks(data)))
        sums = self.processes.added(sums)
        reached, total, expected = to_host(sums.log_likelihood, sums.total, self._expected(sums))
        self._known = sums, self.parameters, expected
        entropy = reached - expected
        few = len(data) * len(self.parameters.weights) <= _MOST_SHARES
        if self.exact and few and not self.processes.several:
            entropy = sum(self._entropy(*chunk) for chunk in self._chunks(data))
        self.last = Posterior(sums, entropy, reached + self._log_prior(), total)
        return self.last

    def m_step(self, q: Posterior) -> None:
        """As :class:`pyvae.mixture.LatentVariableEM`."""
        self.parameters = self._maximum(q.sums)
        self._step = self.parameters.means - q.sums.reference

    def sums_behind(self, total: float) -> Sums:
        """Give the sums of so many points of which the present parameters are the M step."""
        if self.prior is None:
            return self.kind.sums_behind(self.parameters, total, self.reg_covar)
        return self.prior.sums_behind(self._moments, self.parameters, total, self.reg_covar)

    def free_energy(self, q: Posterior) -> float:
        """As :class:`pyvae.mixture.LatentVariableEM`."""
        known = self._known
        if known is not None and known[0] is q.sums and known[1] is self.parameters:
            expected = known[2]
        else:
            expected = self._expected(q.sums).item()
        return expected + q.entropy + self._log_prior()

    def log_likelihood(self, q: Posterior) -> float:
        """As :class:`pyvae.mixture.LatentVariableEM`."""
        return q.log_likelihood

    def weight(self, q: Posterior) -> float:
        """As :class:`pyvae.mixture.LatentVariableEM`."""
        return q.total

    def batch_bound(self, q: Posterior, population: float) -> float:
        """Give the bound that a batch of so many points tells of: their mean log-likelihood."""
        return q.log_likelihood / q.total

    @property
    def _moments(self) -> Moments:
        """The kind, of which there are second sums divided by a number."""
        assert isinstance(self.kind, Moments)  # others have no conjugate prior
        return self.kind

    def _maximum(self, sums: Sums) -> Parameters:
        if self.prior is None:
            return m_step(self.kind, sums, self.reg_covar)
        return self.prior.m_step(self._moments, sums, self.reg_covar)

    def _log_prior(self) -> float:
        if self.prior is None:
            return 0.0
        return self.prior.log_density(self._moments, self.parameters)

    def _expected(self, sums: Sums) -> Tensor:
        """Give E_q[log p(x, z)] at the present parameters, as far as it depends on them, ``()``."""
        return self.kind.expected_log_joint(sums, self.parameters)

    def _chunks(self, data: Points) -> Iterator[tuple[Tensor, Tensor | None, Labels | None]]:
        """Give the points in a dtype that has digits enough for the present covariances."""
        dtype = self._dtype()
        for x, weight, labels in data.labelled_chunks():
            yield x.to(dtype), None if weight is None else weight.to(dtype), labels

    def _sums(self, x: Tensor, weight: Tensor | None, p: Parameters) -> Sums:
        """Give the sums of points by a mixture of all the components, or of some."""
        if self.incomplete and len(x):
            return missing.sums(self.kind, x, weight, p)
        return self.kind.sums(x, weight, p)

    def _unlabelled(self, x: Tensor, weight: Tensor | None) -> Sums:
        return self._sums(x, weight, self.parameters)

    def _by_component(self, parts: Sequence[tuple[Tensor, Tensor]]) -> Sums:
        """Give the sums of points, and their weights, of which each component has its own.

        Their log-likelihood is that of the points given the components.
        """
        kind, p = self.kind, self.parameters
        return kind.together([self._sums(*part, kind.alone(p, k)) for k, part in enumerate(parts)])

    def _graded(self, x: Tensor, weight: Tensor, log_evidence: Tensor) -> Sums:
        """Give the sums of points of which each has evidence ``(N, K)`` of its own."""
        log_shares, density = self._posterior(x)
        joint = log_shares + density + log_evidence
        log_prob = joint.logsumexp(1)
        shares = ((joint - log_prob[:, None]).exp() * weight[:, None]).to(x.dtype)
        found = self._by_component([(x, share.contiguous()) for share in shares.T])
        return replace(found, log_likelihood=weight.double() @ log_prob)

    def _posterior(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Logarithms of the responsibilities ``(N, K)``, and the log-density ``(N, 1)``."""
        score = missing.posterior if self.incomplete else type(self.kind).posterior
        log_shares, log_prob = score(self.kind, x, self.parameters)
        return log_shares.double(), log_prob.double()[:, None]

    def _explained(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Logarithms of all shares, ``(N, columns)``; and what F has for each beside its entropy.

        That is what does not depend on theta. The first columns are the components'.
        """
        log_shares = self._posterior(x)[0]
        return log_shares, torch.zeros_like(log_shares)

    def _entropy(self, x: Tensor, weight: Tensor | None, labels: Labels | None) -> float:
        log_shares, beside = self._explained(x)
        if labels is not None:
            evidence = labels.dense(log_shares.shape[1])
            log_shares = (log_shares + evidence).log_softmax(1)
            beside = beside + evidence.nan_to_num(neginf=0.0)
        shares = log_shares.exp() if weight is None else log_shares.exp() * weight.double()[:, None]
        found = (shares * (beside - log_shares.nan_to_num(neginf=0.0))).sum()
        if self.incomplete:
            of_components = shares[:, : len(self.parameters.means)]
            found = found + missing.entropy(self.kind, x, of_components, self.parameters)
        return found.item()


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
