# SPDX-License-Identifier: MIT
"""A mixture of products of Bernoulli distributions, fitted by EM."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from pyvae.errors import WrongValue
from pyvae.mixture.em import ascend


@dataclass(frozen=True)
class BernoulliSums:
    """q of all points: counts ``(K,)`` and ones ``(K, D)``, the entropy, and log p(x)."""

    counts: Tensor
    ones: Tensor
    entropy: float
    log_likelihood: float
    total: float


class BernoulliMixture:
    """Mixture of K products of D Bernoulli distributions, for binary data.

    A model for :func:`pyvae.mixture.ascend`.

    Parameters
    ----------
    num_components
        K.
    weight_prior
        Concentration of a symmetric Dirichlet prior on the weights, at least 1.
    pixel_prior
        Both parameters of a symmetric Beta prior on every probability, at least 1. At 1, the
        default of either, the prior is flat and EM finds the maximum likelihood.
    seed
        Of the first responsibilities.

    Attributes
    ----------
    weights, probabilities
        ``(K,)`` and ``(K, D)``, in float64.

    Raises
    ------
    ValueError
        If K is below one or a prior below 1: its mode would lie on the boundary.

    References
    ----------
    Bishop (2006), section 9.3.3; for the priors, section 2.1.1 and equation 2.38.

    Examples
    --------
    >>> x = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    >>> BernoulliMixture(1).fit(x).probabilities
    tensor([[0.6667, 0.3333]], dtype=torch.float64)
    """

    exact = True
    precision = 1e-10

    def __init__(
        self,
        num_components: int,
        *,
        weight_prior: float = 1.0,
        pixel_prior: float = 1.0,
        seed: int = 0,
    ) -> None:
        if num_components < 1:
            raise WrongValue(f"num_components={num_components}; expected at least 1")
        for name, value in (("weight_prior", weight_prior), ("pixel_prior", pixel_prior)):
            if not value >= 1.0:
                raise WrongValue(f"{name}={value}; expected at least 1, where a mode exists")
        self.num_components, self.seed = num_components, seed
        self.weight_prior, self.pixel_prior = weight_prior, pixel_prior
        self.weights = self.probabilities = torch.empty(0, dtype=torch.float64)

    def fit(
        self, x: Float[Tensor, "n d"], *, max_iter: int = 200, tol: float = 1e-6
    ) -> BernoulliMixture:
        """Start, and ascend until F by points changes by less than ``tol``."""
        ascend(self.start(x), x, max_iter=max_iter, tol=tol)
        return self

    def start(self, x: Float[Tensor, "n d"]) -> BernoulliMixture:
        """Set the parameters by one M step from random responsibilities.

        Raises
        ------
        ValueError
            If ``x`` is not a matrix of zeros and ones.
        """
        if x.ndim != 2 or not ((x == 0) | (x == 1)).all():
            raise WrongValue(
                f"x of shape {tuple(x.shape)} must be a matrix of zeros and ones; binarise it, as "
                "by (x > 0.5).double()"
            )
        generator = torch.Generator().manual_seed(self.seed)
        shares = torch.rand(len(x), self.num_components, generator=generator, dtype=torch.float64)
        shares = shares.to(x.device)
        self.m_step(self._sums(x.double(), torch.log(shares / shares.sum(1, keepdim=True))))
        return self

    def log_prob(self, x: Float[Tensor, "n d"]) -> Float[Tensor, "n"]:
        """Log-probability of every point, in nats."""
        return torch.logsumexp(self._log_joint(x.double()), 1)

    def e_step(self, data: Tensor) -> BernoulliSums:
        """As :class:`pyvae.mixture.LatentVariableEM`."""
        joint = self._log_joint(data.double())
        log_prob = torch.logsumexp(joint, 1)
        sums = self._sums(data.double(), joint - log_prob[:, None])
        reached = log_prob.sum().item() + self.log_prior()
        return BernoulliSums(sums.counts, sums.ones, sums.entropy, reached, sums.total)

    def m_step(self, q: BernoulliSums) -> None:
        """As :class:`pyvae.mixture.LatentVariableEM`."""
        counts = q.counts + (self.weight_prior - 1.0)
        self.weights = counts / counts.sum()
        extra = self.pixel_prior - 1.0
        tiny = torch.finfo(torch.float64).tiny
        self.probabilities = (q.ones + extra) / (q.counts[:, None] + 2.0 * extra).clamp_min(tiny)
        self.probabilities = self.probabilities.clamp(0.0, 1.0)

    def free_energy(self, q: BernoulliSums) -> float:
        """As :class:`pyvae.mixture.LatentVariableEM`."""
        zeros = (q.counts[:, None] - q.ones).clamp_min(0.0)
        joint = torch.special.xlogy(q.counts, self.weights).sum()
        joint = joint + torch.special.xlogy(q.ones, self.probabilities).sum()
        joint = joint + torch.special.xlog1py(zeros, -self.probabilities).sum()
        return joint.item() + q.entropy + self.log_prior()

    def log_likelihood(self, q: BernoulliSums) -> float:
        """As :class:`pyvae.mixture.LatentVariableEM`."""
        return q.log_likelihood

    def weight(self, q: BernoulliSums) -> float:
        """As :class:`pyvae.mixture.LatentVariableEM`."""
        return q.total

    def log_prior(self) -> float:
        """Logarithm of the priors' densities, up to their constants."""
        extra = torch.tensor(self.pixel_prior - 1.0, dtype=torch.float64)
        p = self.probabilities
        pixels = torch.special.xlogy(extra, p) + torch.special.xlog1py(extra, -p)
        weights = torch.tensor(self.weight_prior - 1.0, dtype=torch.float64)
        return (torch.special.xlogy(weights, self.weights).sum() + pixels.sum()).item()

    def _log_joint(self, x: Tensor) -> Tensor:
        p = self.probabilities
        # Products with the logarithms of 0 would be NaN; a one where none can be costs -inf.
        ones = torch.log(p).nan_to_num(neginf=-1e300)
        zeros = torch.log1p(-p).nan_to_num(neginf=-1e300)
        return torch.log(self.weights) + x @ ones.T + (1.0 - x) @ zeros.T

    def _sums(self, x: Tensor, log_shares: Tensor) -> BernoulliSums:
        shares = log_shares.exp()
        entropy = -(shares * log_shares.nan_to_num(neginf=0.0)).sum().item()
        return BernoulliSums(shares.sum(0), shares.T @ x, entropy, 0.0, float(len(x)))
