# SPDX-License-Identifier: MIT
"""What a fitted Gaussian mixture says of points: components, densities, samples."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import torch
from sklearn.base import BaseEstimator, DensityMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data
from torch import Tensor

from pyvae.errors import WrongValue
from pyvae.mixture import arrays, missing, state
from pyvae.mixture.arrays import Array, Required, Source
from pyvae.mixture.conditioning import working_dtype
from pyvae.mixture.covariance import Covariance, Parameters, covariance_of
from pyvae.mixture.points import Points
from pyvae.mixture.streams import Stream, opened


class FittedMixture(DensityMixin, BaseEstimator):
    """Base of the estimators: all that takes a mixture as it is. A subclass fits one."""

    n_components: int
    covariance_type: str
    missing_values: str
    random_state: int | np.random.RandomState | None
    n_features_in_: int
    feature_names_in_: np.ndarray  # where the points of the fit had names
    weights_: Array
    means_: Array
    covariances_: Array

    @property
    def covariance_matrices_(self) -> Array:
        """``covariances_`` as a matrix of every component, ``(K, D, D)``, whatever their type."""
        check_is_fitted(self)
        p = self._parameters()
        if "covariances_" in vars(self):
            own = arrays.numbers(self.covariances_)
            p = p._replace(covariances=own if own.shape == p.covariances.shape else p.covariances)
        return arrays.as_given(self.means_, self._matrices(p).contiguous())

    def predict(self, X: Array) -> Array:
        """Most probable component of every point, ``(N,)``."""
        if self.missing_values == "marginalize":
            return self._by_point(X, lambda x, p: self._posterior(x, p)[0].argmax(1))
        return self._by_point(X, self._kind.predict)

    def predict_proba(self, X: Array) -> Array:
        """Responsibilities, ``(N, K)``."""
        return self._by_point(X, lambda x, p: self._posterior(x, p)[0].exp())

    def score_samples(self, X: Array) -> Array:
        """Log-density of every point, ``(N,)``, in nats."""
        if self.missing_values == "marginalize":
            return self._by_point(X, lambda x, p: self._posterior(x, p)[1])
        return self._by_point(X, self._kind.log_prob)

    def score(self, X: Array, y: object = None) -> float:  # type: ignore[override]
        """Mean log-density, in nats a point."""
        return float(self.score_samples(X).mean())

    def sample(self, n_samples: int = 1) -> tuple[Array, Array]:
        """Draw points, from the mixture whose densities the methods above give.

        Returns
        -------
        ``(n_samples, D)``, ordered by component, and the components ``(n_samples,)``.

        Raises
        ------
        ValueError
            If ``n_samples`` is below one.
        """
        points, labels = self._drawn(*self._ready_to_draw(n_samples))
        return arrays.as_given(self.means_, points), arrays.as_given(self.means_, labels)

    def _ready_to_draw(self, n_samples: int) -> tuple[np.random.RandomState, int, Parameters]:
        check_is_fitted(self)
        if n_samples < 1:
            raise WrongValue(f"n_samples={n_samples}; expected at least 1 for sample()")
        p = self._parameters()
        if state.covariances_are_others(self, self._kind):
            warnings.warn(
                "covariances_ are of another mixture than precisions_cholesky_, which the points "
                "are drawn by: set both, or del precisions_cholesky_",
                stacklevel=3,
            )
        return check_random_state(self.random_state), n_samples, p

    def _drawn(
        self, random: np.random.RandomState, n_samples: int, p: Parameters
    ) -> tuple[Tensor, Tensor]:
        counts = random.multinomial(n_samples, p.weights.cpu().numpy())
        labels = torch.from_numpy(np.repeat(np.arange(len(counts)), counts)).to(p.means.device)
        return self._kind.draw(p, counts, random), labels

    @property
    def _kind(self) -> Covariance:
        return covariance_of(self.covariance_type, getattr(self, "rank", None))

    def _parameters(self) -> Parameters:
        """Give what the public attributes say, which is all there is to say."""
        return state.parameters(self, self._kind)

    def _fitted_parameters(self) -> Parameters:
        check_is_fitted(self)
        return self._parameters()

    def _matrices(self, p: Parameters) -> Tensor:
        return self._kind.matrices(p.covariances, *p.means.shape)

    def _posterior(self, x: Tensor, p: Parameters) -> tuple[Tensor, Tensor]:
        if self.missing_values == "marginalize":
            return missing.posterior(self._kind, x, p)
        return self._kind.posterior(x, p)

    def _by_point(self, X: Array, function: Any) -> Array:
        """Apply a function to all points, some at a time."""
        check_is_fitted(self)
        p, X = self._parameters(), opened(X)
        if isinstance(X, Stream):
            X.keep_order("what is said of each point")
        source = self._read(X, dimension=p.means.shape[1], least=1)
        p = p.to(arrays.like(source).device)
        points = Points(source, None, p.centre().to(arrays.like(source)))
        p, found, start = p.about(points.origin), torch.empty(0), 0
        dtype = working_dtype(self._kind, p, points.origin.dtype)
        for x, _ in points.chunks():
            part = function(x.to(dtype), p)
            part = part.to(x.dtype) if part.is_floating_point() else part
            if not start:
                found = part.new_empty(len(points), *part.shape[1:])
            found[start : start + len(part)] = part
            start += len(part)
        return arrays.as_given(X, found)

    def _read(
        self, X: Array, *, dimension: int | None, least: int, allow_nan: bool = False
    ) -> Source:
        """Check points; those of a new fit, of any dimension, say how many coordinates it has."""
        allow_nan, fits = allow_nan or self.missing_values == "marginalize", dimension is None
        name, marginalizes = type(self).__name__, "missing_values" in self.get_params(deep=False)
        required = Required(name, least, allow_nan, dimension, marginalizes)
        if arrays.is_source(X):
            source = arrays.read(X, required)
            self._agree(source, fits)
            return source
        # scikit-learn keeps the number and the names of the columns on the estimator itself.
        checked: Any = validate_data(
            self,
            X,
            reset=fits,
            dtype=[np.float64, np.float32],
            ensure_all_finite="allow-nan" if allow_nan else True,
            ensure_min_samples=least,
        )
        arrays.require_size(checked, required)
        return arrays.as_tensor(checked)

    def _agree(self, source: Source, fits: bool) -> None:
        """Keep number and names of a fit's columns; refuse other names than these."""
        names = source.feature_names if isinstance(source, Stream) else None
        if fits:
            self.n_features_in_ = source.shape[1]
            vars(self).pop("feature_names_in_", None)  # of an earlier fit
            if names is not None:
                self.feature_names_in_ = np.array(names, dtype=object)
            return
        known = vars(self).get("feature_names_in_")
        if names is not None and known is not None and names != list(known):
            raise WrongValue(
                f"X has columns {', '.join(names)}; {type(self).__name__} is expecting "
                f"{', '.join(known)}, in this order"
            )

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = self.missing_values == "marginalize"
        return tags
