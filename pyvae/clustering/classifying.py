# SPDX-License-Identifier: MIT
"""What the estimators have in common whose fit ends in a classifier."""

from __future__ import annotations

import warnings
from abc import abstractmethod
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClusterMixin
from sklearn.utils.validation import check_is_fitted, validate_data
from torch import Tensor

from pyvae.clustering.classifier import Classifier
from pyvae.clustering.examples import as_examples, gathered
from pyvae.errors import WrongValue

Array = Any  # whatever numpy takes as an array, a torch tensor, or a Dataset


class ClassifyingClustering(ClusterMixin, BaseEstimator):
    """A clustering of images or of a table that has ``n_clusters`` and keeps a ``classifier_``."""

    n_clusters: int
    n_overclusters: int | None
    classifier_: Classifier

    @abstractmethod
    def fit(self, X: Array, y: object = None) -> ClassifyingClustering:
        """Find clusters."""

    def predict_proba(self, X: Array) -> Array:
        """Probabilities of the clusters of every example, ``(N, K)``: a tensor of a tensor."""
        check_is_fitted(self)
        x = self._read(X, fits=False).to(self.classifier_.members.device)
        found = self.classifier_(x)
        return found.to(X.device) if isinstance(X, Tensor) else found.cpu().numpy()

    def predict(self, X: Array) -> Array:
        """Most probable cluster of every example, ``(N,)``."""
        return self.predict_proba(X).argmax(1)

    def _given(self, X: Array) -> Tensor:
        """Read the examples of a fit, of which there have to be as many as clusters."""
        given = self._read(X, fits=True)
        if len(given) < max(self.n_clusters, 2):
            raise WrongValue(
                f"X has n_samples={len(given)}, which must be >= n_clusters={self.n_clusters} and "
                "at least 2: give more examples, or ask for fewer clusters"
            )
        return given

    def _warn_of_empty(self, into: np.ndarray, balance: float | None) -> None:
        """Warn where a merge has left a cluster without any of the M."""
        if len(np.unique(into)) < self.n_clusters:
            otherwise = "" if balance is None else ", or raise balance"
            warnings.warn(f"a cluster is empty: ask for fewer{otherwise}", stacklevel=4)

    def _overclusters(self, each: int) -> int:
        """Give M; where none were asked for, so many for each of the K."""
        over = each * self.n_clusters if self.n_overclusters is None else self.n_overclusters
        if over < self.n_clusters:
            raise WrongValue(
                f"n_overclusters={over} must be >= n_clusters={self.n_clusters}, to which they are "
                "merged"
            )
        return over

    def _read(self, X: Array, *, fits: bool) -> Tensor:
        """Check examples; those of a fit may have any shape."""
        X = gathered(X)
        if isinstance(X, Tensor) or np.ndim(X) > 2:
            x = as_examples(X, like=None if fits else self.classifier_.shape)
            if fits:
                vars(self).pop("feature_names_in_", None)  # of an earlier fit
                self.n_features_in_ = x[0].numel() if len(x) > 0 else 0
            return x
        # scikit-learn keeps the number and the names of the columns on the estimator itself.
        options: dict[str, Any] = {"dtype": [np.float64, np.float32], "reset": fits}
        return as_examples(validate_data(self, X, ensure_min_samples=2 if fits else 1, **options))
