# SPDX-License-Identifier: MIT
"""Information criteria of a fitted mixture, of whatever family its components are."""

from __future__ import annotations

import math
from typing import Protocol

import torch

from pyvae.mixture.arrays import Array, as_tensor
from pyvae.mixture.streams import opened


class _Judged(Protocol):
    """What a criterion asks of an estimator."""

    @property
    def n_parameters_(self) -> int: ...

    def score(self, X: Array, y: object = None) -> float: ...

    def predict_proba(self, X: Array) -> Array: ...

    def bic(self, X: Array) -> float: ...


class Criteria:
    """Criteria by what an estimator says of points; ``n_parameters_`` is what they charge for."""

    def aic(self: _Judged, X: Array) -> float:
        """Akaike's information criterion on X: lower is better."""
        X = opened(X)
        return -2.0 * self.score(X) * len(X) + 2.0 * self.n_parameters_

    def bic(self: _Judged, X: Array) -> float:
        """Bayesian information criterion on X: lower is better."""
        X = opened(X)
        return -2.0 * self.score(X) * len(X) + self.n_parameters_ * math.log(len(X))

    def icl(self: _Judged, X: Array) -> float:
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
        X = opened(X)
        entropy = torch.special.entr(as_tensor(self.predict_proba(X))).sum()
        return self.bic(X) + 2.0 * float(entropy)
