# SPDX-License-Identifier: MIT
"""Information criteria of a fitted mixture."""

from __future__ import annotations

import math
from abc import abstractmethod

import torch

from pyvae.mixture.arrays import Array
from pyvae.mixture.fitted import FittedMixture


class Criteria(FittedMixture):
    """Base of the estimators that have so many parameters, and one value of each."""

    @property
    @abstractmethod
    def n_parameters_(self) -> int:
        """Number of free parameters."""

    def aic(self, X: Array) -> float:
        """Akaike's information criterion on X: lower is better."""
        return -2.0 * self.score(X) * len(X) + 2.0 * self.n_parameters_

    def bic(self, X: Array) -> float:
        """Bayesian information criterion on X: lower is better."""
        return -2.0 * self.score(X) * len(X) + self.n_parameters_ * math.log(len(X))

    def icl(self, X: Array) -> float:
        """Integrated completed likelihood on X, in the form of :meth:`bic`: lower is better.

        BIC and twice the entropy of the responsibilities, -sum r log r over points and components:
        beside a density that fits, it asks for components that are told apart. Where each point has
        its component for certain it is BIC.

        References
        ----------
        Biernacki, Celeux & Govaert (2000), whose criterion is -1/2 of this, and is maximised.

        Examples
        --------
        >>> import numpy as np
        >>> from pyvae.mixture import GaussianMixture
        >>> X = np.array([[0.0], [1.0], [2.0], [50.0], [51.0], [53.0]])
        >>> mixture = GaussianMixture(2, random_state=0).fit(X)
        >>> round(mixture.icl(X) - mixture.bic(X), 6)
        0.0
        """
        entropy = self._by_point(
            X, lambda x, p: torch.special.entr(self._posterior(x, p)[0].exp()).sum(1)
        )
        return self.bic(X) + 2.0 * float(entropy.sum())
