# SPDX-License-Identifier: MIT
"""Variational Bayes as a model that :func:`pyvae.mixture.ascend` can fit."""

from __future__ import annotations

import math

import torch

from pyvae.mixture.covariance import Parameters
from pyvae.mixture.gaussian_em import GaussianEM, Posterior
from pyvae.mixture.processes import Processes
from pyvae.mixture.sums import Sums
from pyvae.mixture.variational import ParameterPosterior, ParameterPrior, constant


class VariationalEM(GaussianEM):
    """A Gaussian mixture whose parameters have a posterior.

    F is the evidence lower bound E_q[log p(x, z, theta)] + H(q), but for the prior's normalising
    constant. Given q(theta) the E step is that of a Gaussian mixture, with scores in place of
    weights; it maximises F over q(z), and the M step over q(theta).

    Parameters
    ----------
    beliefs
        p(theta), about the points' origin.
    posterior
        q(theta) to start from.
    dtype, reg_covar, incomplete, processes
        As :class:`GaussianEM`'s.
    """

    def __init__(
        self,
        beliefs: ParameterPrior,
        posterior: ParameterPosterior,
        *,
        dtype: torch.dtype = torch.float64,
        reg_covar: float = 0.0,
        incomplete: bool = False,
        processes: Processes | None = None,
    ) -> None:
        super().__init__(
            beliefs.kind,
            posterior.expected(),
            dtype=dtype,
            reg_covar=reg_covar,
            incomplete=incomplete,
            processes=processes,
        )
        self.beliefs, self.posterior = beliefs, posterior

    def sums_behind(self, total: float) -> Sums:
        """Give the sums of which q(theta) is the M step; it says of how many points."""
        return self.beliefs.sums_behind(self.posterior, self.reg_covar)

    def lower_bound(self, q: Posterior) -> float:
        """Give F after the M step for q as scikit-learn does: without constants, in nats.

        There F is H(q(z)) and the difference of the log-partition functions of q(theta) and
        p(theta). Of points whose covariances ``reg_covar`` adds to it is this as well.
        """
        k, d = self.posterior.means.shape
        return q.entropy + self.posterior.log_partition().item() + constant(k, d, 0.0)

    def batch_bound(self, q: Posterior, population: float) -> float:
        """Estimate it from a batch of so many points, at q(theta) before its step."""
        k, d = self.posterior.means.shape
        rest = population / q.total - 1.0
        reached = q.log_likelihood + rest * q.sums.log_likelihood.item()
        return reached + constant(k, d, population)

    def left_out(self) -> float:
        """Give the constants that scikit-learn's bound leaves out, with their sign.

        -inf, where the prior's covariance is singular: points off its span were impossible.
        """
        if self.beliefs.is_singular(self.reg_covar):
            return -math.inf
        k, d = self.posterior.means.shape
        total = (self.posterior.mean_precision - self.beliefs.mean_precision).sum().item()
        return -constant(k, d, total) - self.beliefs.log_partition(k)

    def _maximum(self, sums: Sums) -> Parameters:
        self.posterior = self.beliefs.posterior(sums, self.reg_covar)
        return self.posterior.expected()

    def _log_prior(self) -> float:
        return self.beliefs.log_density(self.posterior)
