# SPDX-License-Identifier: MIT
"""A Gaussian mixture with a component of noise as a model that EM can fit."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from pyvae.errors import WrongValue
from pyvae.mixture.covariance import Covariance, Parameters
from pyvae.mixture.gaussian_em import GaussianEM
from pyvae.mixture.noise import Noise
from pyvae.mixture.sums import Sums


class NoiseEM(GaussianEM):
    """A Gaussian mixture of which a point may be noise.

    The sums of the components are those of their mixture, of points with weights of what is no
    noise in them; so the op gives them, after the densities. What is noise in all points is what
    the components' counts leave of the total. A labelled point is none.

    Parameters
    ----------
    kind, parameters
        As :class:`GaussianEM`'s, with weights of any sum.
    noise
        To start from; its weight is taken from the others.
    options
        As :class:`GaussianEM`'s.
    """

    def __init__(
        self, kind: Covariance, parameters: Parameters, *, noise: Noise, **options: Any
    ) -> None:
        super().__init__(kind, _beside(parameters, noise.weight), **options)
        self.noise = noise

    def sums_behind(self, total: float) -> Sums:
        """As :class:`GaussianEM`: of so many points, noise among them."""
        noise = self.noise.weight.item() * (total + self._seen_before)
        found = super().sums_behind(total - noise)
        return replace(found, total=found.counts.sum() + noise)

    def _unlabelled(self, x: Tensor, weight: Tensor | None) -> Sums:
        density = self._posterior(x)[1][:, 0] if self.incomplete else self._log_prob(x)
        of_noise = self.noise.weight.log() + self.noise.log_prob(x)
        together = torch.logaddexp(density, of_noise)
        weights = torch.ones_like(together) if weight is None else weight.double()
        left = (weights * (density - together).exp()).to(x.dtype)
        found = super()._unlabelled(x, left)
        total = found.counts.sum() + weights @ (of_noise - together).exp()
        return replace(found, log_likelihood=weights @ together, total=total)

    @property
    def _seen_before(self) -> float:
        """Points that a prior on the weights adds to the components, and not to the noise."""
        concentration = 1.0 if self.prior is None else self.prior.weight_concentration
        return len(self.parameters.weights) * (concentration - 1.0)

    def _log_prob(self, x: Tensor) -> Tensor:
        return self.kind.log_prob(x, self.parameters).double()

    def _expected(self, sums: Sums) -> Tensor:
        of_noise = torch.special.xlogy(_count(sums), self.noise.weight)
        return super()._expected(sums) + of_noise

    def _explained(self, x: Tensor) -> tuple[Tensor, Tensor]:
        log_shares, density = self._posterior(x)
        log_shares, _ = self.noise.beside(x, log_shares, density[:, 0])
        beside = torch.zeros_like(log_shares)
        beside[:, -1] = self.noise.log_prob(x)
        return log_shares, beside

    def _maximum(self, sums: Sums) -> Parameters:
        if not sums.counts.sum() > 0:
            raise WrongValue(
                "the noise has taken all points: no component explains any better than a uniform "
                "density does. Fit without noise, or start elsewhere"
            )
        found, noise = super()._maximum(sums), _count(sums)
        weight = noise / (noise + sums.counts.sum() + self._seen_before)
        self.noise = self.noise._replace(weight=weight)
        return _beside(found, weight)


def _count(sums: Sums) -> Tensor:
    """Give how many points are noise."""
    return (sums.total - sums.counts.sum()).clamp_min(0.0)


def _beside(p: Parameters, weight: Tensor) -> Parameters:
    """Give the components the weight that the noise leaves."""
    return p._replace(weights=p.weights / p.weights.sum() * (1.0 - weight))
