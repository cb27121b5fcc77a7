# SPDX-License-Identifier: MIT
"""A block of Gaussian columns: what a mixture with diagonal covariances is, column by column."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from pyvae.errors import WrongValue
from pyvae.mixture import missing
from pyvae.mixture.conditioning import rounding
from pyvae.mixture.covariance import COVARIANCES, Parameters
from pyvae.mixture.em import NoMaximum
from pyvae.mixture.kind import TINY
from pyvae.mixture.products.block import Block, Numbers
from pyvae.mixture.sums import Sums

_KIND = COVARIANCES["diag"]
# Sums of all components about one origin are products of matrices. Moved to a mean they lose digits
# by its squared distance from there, in variances: beyond so many they are taken about the mean.
_FAR = 1e3


class Gaussians(Block):
    """Columns of numbers, each with a mean and a variance in every component, ``(K, D)`` both.

    Parameters
    ----------
    names
        Of the columns, for messages.
    variance_prior
        n_0 >= 0: the prior on a variance is as good as so many points at the mean, with the
        variance v_0 that the column has in all data. Its logarithm is -n_0/2 (log v + v_0/v).
    scale
        v_0, ``(D,)``; None as long as it is not known, and there is no prior.
    """

    def __init__(
        self, names: Sequence[object], variance_prior: float, scale: Tensor | None = None
    ) -> None:
        self.names, self.variance_prior, self.scale = names, variance_prior, scale

    def reference(self, x: Tensor, seen: Tensor | None) -> Numbers:
        means = (x.nanmean(0) if len(x) else x.new_zeros(x.shape[1])).nan_to_num(nan=0.0)[None]
        return means, torch.ones_like(means)

    def whole(self, counts: Tensor, parameters: Numbers) -> Numbers:
        # Of v_k = (S_k + n_0 v_0) / (N_k + n_0), solved for v_0 = sum_k (S_k + N_k gap_k^2) / N.
        means, variances = parameters
        n, n_0 = counts[:, None], self.variance_prior
        mean = (n * means).sum(0, keepdim=True) / n.sum()
        squares = (n + n_0) * variances + n * (means - mean).square()
        return mean, squares.sum(0, keepdim=True) / (n.sum() + n_0 * len(n))

    def of_data(self, whole: Numbers) -> Block:
        means, variances = (part[0] for part in whole)
        # A sum of equal numbers has a mean that is rounded, and so a variance that is not zero.
        constant = variances <= (4.0 * torch.finfo(torch.float64).eps * means).square()
        if constant.any():
            name = self.names[int(constant.int().argmax())]
            raise WrongValue(
                f"column {name!r} has one value in all rows, and a Gaussian of no variance has no "
                "density: leave it out, or name it categorical"
            )
        return Gaussians(self.names, self.variance_prior, variances)

    def log_prob(self, x: Tensor, seen: Tensor | None, parameters: Numbers) -> Tensor:
        means, variances = parameters
        p = Parameters(torch.ones_like(means[:, 0]), means, variances)
        posterior = type(_KIND).posterior if seen is None else missing.posterior
        log_shares, log_prob = posterior(_KIND, x, p)
        return log_shares + log_prob[:, None]  # of weights of one: what is weighed is p(x | z)

    def sums(self, x: Tensor, seen: Tensor | None, shares: Tensor, reference: Numbers) -> Numbers:
        means, variances = reference
        origin = means.mean(0)
        counts, first, second = _moments(x, seen, shares, origin)
        shift = means - origin
        second = second - shift * (2.0 * first - counts * shift)
        first = first - counts * shift
        far = shift.square() > _FAR * variances
        for k in far.any(1).nonzero()[:, 0].tolist():
            own, of_one = far[k], slice(k, k + 1)
            there = None if seen is None else seen[:, own]
            found = _moments(x[:, own], there, shares[:, of_one], means[k, own])
            _, first[of_one, own], second[of_one, own] = found
        return counts.expand_as(means).contiguous(), first, second

    def m_step(self, sums: Numbers, reference: Numbers) -> Numbers:
        columns = _columns(sums, reference)
        means = _KIND.weights_and_means(columns)[1]
        columns, divisor = columns.about(means), columns.counts
        if self.scale is not None:
            scatter = (self.variance_prior * self.scale).expand_as(sums[2]).reshape(-1, 1)
            columns = replace(columns, second=columns.second + scatter)
            divisor = divisor + self.variance_prior
        variances = _KIND.covariances(columns, divisor=divisor)[:, 0]
        variances = torch.where(divisor > TINY, variances, reference[1].reshape(-1))
        found = means.reshape(sums[0].shape), variances.reshape(sums[0].shape)
        if self.scale is not None:
            self._require_variance(*found)
        return found

    def sums_behind(self, parameters: Numbers, counts: Tensor) -> Numbers:
        means, variances = parameters
        number = counts[:, None].expand_as(means).contiguous()
        second = number * variances
        if self.scale is not None:
            second = (second + self.variance_prior * (variances - self.scale)).clamp_min(0.0)
        return number, torch.zeros_like(means), second

    def expected(self, sums: Numbers, reference: Numbers, parameters: Numbers) -> Tensor:
        columns = _columns(sums, reference)
        means, variances = (part.reshape(-1, 1) for part in parameters)
        p = Parameters(torch.ones_like(columns.counts), means, variances)
        return _KIND.expected_log_joint(columns, p)

    def log_prior(self, parameters: Numbers) -> Tensor:
        if self.scale is None:
            return parameters[1].new_zeros(())
        variances = parameters[1]
        return -0.5 * self.variance_prior * (variances.log() + self.scale / variances).sum()

    def num_parameters(self, k: int) -> int:
        return 2 * k * len(self.names)

    def shapes(self, k: int) -> dict[str, tuple[int, ...]]:
        shape = (k, len(self.names))
        return {"means": shape, "variances": shape}

    def rounding(self, weights: Tensor, reference: Numbers | None, parameters: Numbers) -> float:
        step = None if reference is None else parameters[0] - reference[0]
        return rounding(_KIND, Parameters(weights, *parameters), torch.float64, step)

    def drawn(self, parameters: Numbers, labels: Tensor, random: np.random.RandomState) -> Tensor:
        means, variances = parameters
        noise = torch.from_numpy(random.standard_normal((len(labels), means.shape[1])))
        return means[labels] + variances.sqrt()[labels] * noise.to(means.device)

    def completed(self, x: Tensor, seen: Tensor, shares: Tensor, parameters: Numbers) -> Tensor:
        return torch.where(seen, x, shares @ parameters[0])

    def embedded(self, x: Tensor, seen: Tensor | None, whole: Numbers) -> Tensor:
        means, variances = whole
        gaps = (x - means) / variances.sqrt()
        return gaps if seen is None else torch.where(seen, gaps, 0.0)

    def _require_variance(self, means: Tensor, variances: Tensor) -> None:
        wrong = ~(variances > (4.0 * torch.finfo(torch.float64).eps * means).square())
        if wrong.any():
            component, column = wrong.nonzero()[0].tolist()
            raise NoMaximum(
                f"component {component} has lost its variance in column {self.names[column]!r}: "
                "its points have one value there. Take variance_prior above zero, or fewer "
                "components"
            )


def _moments(x: Tensor, seen: Tensor | None, shares: Tensor, origin: Tensor) -> Numbers:
    """Give the sums of shares of points, of their gaps to an origin ``(D,)``, and of the squares.

    These are ``(K, D)``, the first ``(K, 1)`` where all is seen.
    """
    gaps = x - origin
    shares = shares.T
    if seen is None:
        return shares.sum(1, keepdim=True), shares @ gaps, shares @ gaps.square_()
    gaps = torch.where(seen, gaps, 0.0)
    return shares @ seen.double(), shares @ gaps, shares @ gaps.square_()


def _columns(sums: Numbers, reference: Numbers) -> Sums:
    """Give a column of a component as a component of one dimension, ``(K D, 1)``."""
    counts, first, second = (part.reshape(-1) for part in sums)
    zero, means = counts.new_zeros(()), reference[0].reshape(-1, 1)
    return Sums(zero, counts.sum(), counts, first[:, None], second[:, None], means)
