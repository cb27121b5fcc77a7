# SPDX-License-Identifier: MIT
"""What a fitted mixture with a component of noise says of points."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import torch
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from pyvae.errors import WrongValue
from pyvae.mixture import arrays
from pyvae.mixture.arrays import Array
from pyvae.mixture.covariance import Parameters
from pyvae.mixture.fitted import FittedMixture
from pyvae.mixture.noise import Noise, noise_of

if TYPE_CHECKING:
    from typing_extensions import Self

LABEL = -1  # of noise


class NoisyMixture(FittedMixture):
    """Base of ``GaussianMixture``: all that noise has a part in."""

    noise: str | None
    noise_weight_: float
    noise_box_: Array

    @property
    def noise_log_volume_(self) -> float:
        """Logarithm of the volume of the noise's box: minus its log-density, in nats."""
        check_is_fitted(self)
        noise = self._noise(self._parameters())
        if noise is None:
            raise AttributeError(f"this {type(self).__name__} has no noise")
        return noise.log_volume.item()

    def predict(self, X: Array) -> Array:
        """Most probable component of every point, ``(N,)``; -1 where that is the noise."""
        if not self._has_noise:
            return super().predict(X)
        return self._by_point(X, self._most_probable)

    def predict_proba(self, X: Array) -> Array:
        """Responsibilities, ``(N, K)``; with noise ``(N, K + 1)``, that of the noise the last."""
        return super().predict_proba(X)

    def score_samples(self, X: Array) -> Array:
        """Log-density of every point, ``(N,)``, in nats.

        Noise has the same density everywhere, beyond the box of the points of the fit as well.
        """
        if not self._has_noise:
            return super().score_samples(X)
        return self._by_point(X, lambda x, p: self._posterior(x, p)[1])

    def sample(self, n_samples: int = 1) -> tuple[Array, Array]:
        """Draw points, from the mixture whose densities the methods above give.

        Returns
        -------
        ``(n_samples, D)``, ordered by component, and the components ``(n_samples,)``; noise is
        drawn in its box, comes last, and is of -1.

        Raises
        ------
        ValueError
            If ``n_samples`` is below one.
        """
        if not self._has_noise:
            return super().sample(n_samples)
        random, _, p = self._ready_to_draw(n_samples)
        noise = self._noise(p)
        assert noise is not None
        count = random.binomial(n_samples, noise.weight.item())
        plain = p._replace(weights=p.weights / p.weights.sum().clamp_min(1e-300))
        points, labels = self._drawn(random, n_samples - count, plain)
        places = torch.from_numpy(random.uniform(size=(count, len(noise.box[0])))).to(points)
        scattered = noise.box[0] + places * (noise.box[1] - noise.box[0])
        points, labels = (
            torch.cat([points, scattered]),
            torch.cat([labels, labels.new_full((count,), LABEL)]),
        )
        return arrays.as_given(self.means_, points), arrays.as_given(self.means_, labels)

    def without_noise(self) -> Self:
        """Give the mixture of the components alone, with weights that sum to one.

        Of what is no noise: it has marginals and conditionals, and is a distribution of torch's and
        a mixture of scikit-learn's, which the noise of no density beyond its box has no place in.

        Raises
        ------
        NotFittedError
            If there is no mixture yet.

        Examples
        --------
        >>> import numpy as np
        >>> from pyvae.mixture import GaussianMixture
        >>> X = np.random.default_rng(0).normal(size=(100, 2))
        >>> X[:10] *= 20
        >>> mixture = GaussianMixture(noise="uniform").fit(X)
        >>> round(float(mixture.without_noise().weights_.sum()), 6)
        1.0
        """
        check_is_fitted(self)
        new = copy.copy(self)
        new.noise = None
        for name in ("noise_weight_", "noise_box_"):
            vars(new).pop(name, None)
        new.weights_ = self.weights_ / self.weights_.sum()
        return new

    @property
    def _has_noise(self) -> bool:
        return "noise_weight_" in vars(self)

    def _noise(self, p: Parameters) -> Noise | None:
        """Give the noise beside a mixture, on its device."""
        found = noise_of(self, p.means.shape[1])
        return None if found is None else found.to(p.means.device)

    def _posterior(self, x: Tensor, p: Parameters) -> tuple[Tensor, Tensor]:
        found = super()._posterior(x, p)
        noise = self._noise(p)
        return found if noise is None else noise.beside(x, *found)

    def _most_probable(self, x: Tensor, p: Parameters) -> Tensor:
        found = self._posterior(x, p)[0].argmax(1)
        return torch.where(found == len(p.weights), LABEL, found)

    def _fitted_parameters(self) -> Parameters:
        if self._has_noise:
            raise WrongValue(
                "the mixture has noise, which is uniform in a box and no Gaussian: ask "
                "without_noise(), the mixture of its components"
            )
        return super()._fitted_parameters()
