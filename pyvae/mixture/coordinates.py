# SPDX-License-Identifier: MIT
"""What some coordinates of a fitted mixture say of the others, as methods of the estimator."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Generic, TypeVar

import numpy as np
from sklearn.utils import check_random_state

from pyvae.distributions import Regression
from pyvae.distributions.columns import Columns, others
from pyvae.errors import WrongValue
from pyvae.mixture import arrays, conditionals, state
from pyvae.mixture.arrays import Array
from pyvae.mixture.conditionals import ConditionalMixtures
from pyvae.mixture.conversion import as_distribution, of_distribution
from pyvae.mixture.covariance import Parameters
from pyvae.mixture.fitted import FittedMixture
from pyvae.mixture.streams import Stream, opened

Plain = TypeVar("Plain", bound=FittedMixture)


class Coordinates(FittedMixture, Generic[Plain]):
    """Base of the estimators: all that takes some of the coordinates, or gives some.

    A subclass says of which class a mixture of weights, means and covariances is.
    """

    @property
    @abstractmethod
    def _plain(self) -> Callable[..., Plain]: ...

    def marginal(self, columns: Columns) -> Plain:
        """Mixture of some coordinates, whatever the others are, as a ``GaussianMixture``.

        Parameters
        ----------
        columns
            Which, in the order that is wanted: numbers from 0 on (or from -1 down), a slice, a mask
            ``(D,)``, or names, where the points of the fit came with some.

        Raises
        ------
        ValueError
            If there is none, one is named twice, or one is not there.

        Examples
        --------
        >>> from pyvae.mixture import GaussianMixture
        >>> X = np.array([[0.0, 1.0, 5.0], [2.0, 3.0, 5.0], [4.0, 8.0, 6.0]])
        >>> GaussianMixture().fit(X).marginal([2, 0]).means_.round(2)
        array([[5.33, 2.  ]])
        """
        p = self._fitted_parameters()
        kept = conditionals.read_columns(self, columns, p.means.shape[1], "marginal")
        return self._other(conditionals.marginal(self._kind, p, kept), kept)

    def condition(self, columns: Columns, values: Array) -> Plain | ConditionalMixtures:
        """Mixture of the other coordinates, given values of some.

        Its weights are p(z | x_a), and its components the conditional Gaussians, whose covariances
        do not depend on the values. Of values so far that no density is above zero, the nearest
        component takes all.

        Parameters
        ----------
        columns
            The given coordinates a, as of :meth:`marginal`.
        values
            Their values in that order, ``(a,)``, or ``(N, a)`` of N points.

        Returns
        -------
        A ``GaussianMixture``; of N points a :class:`ConditionalMixtures`, in float64: weights
        ``(N, K)``, means ``(N, K, D - a)``, and the covariances that all have in common.

        Raises
        ------
        ValueError
            If a column is named twice or is not there, all are given, or the values are no finite
            numbers, one a column.

        References
        ----------
        Bishop (2006), section 2.3.1; Ghahramani & Jordan (1994), section 3.

        Examples
        --------
        >>> from pyvae.mixture import GaussianMixture
        >>> X = np.array([[0.0, 1.0], [1.0, 3.0], [2.0, 5.0], [3.0, 7.5]])
        >>> line = GaussianMixture(reg_covar=0.0).fit(X)
        >>> line.condition([0], [4.0]).means_.round(2)
        array([[9.5]])
        >>> line.condition([0], [[4.0], [5.0]]).means[:, 0].round(2)
        array([[ 9.5 ],
               [11.65]])
        """
        p = self._fitted_parameters()
        d = p.means.shape[1]
        given = conditionals.read_columns(self, columns, d, "condition")
        x, p = conditionals.given_values(values, p)
        found = as_distribution(self._kind, p).condition(given, x)
        rest = of_distribution(self._kind, found)
        if x.ndim == 1:
            return self._other(rest, others(given, d))
        means = rest.means.expand(len(x), -1, -1)
        parts = (arrays.as_given(values, part) for part in (rest.weights, means, rest.covariances))
        return ConditionalMixtures(*parts)

    def regress(
        self,
        columns: Columns,
        values: Array,
        targets: Columns | None = None,
        *,
        full_covariance: bool = False,
    ) -> Regression:
        """E[y | x], and the variances of y given x: regression by the mixture.

        Parameters
        ----------
        columns, values
            x, as of :meth:`condition`.
        targets
            The coordinates y; all others if left out.
        full_covariance
            Give the covariances ``(N, Dy, Dy)`` in place of the variances ``(N, Dy)``.

        Returns
        -------
        ``mean (N, Dy)`` and ``covariance``, in float64; without N of values ``(a,)``.

        Raises
        ------
        ValueError
            As :meth:`condition` does, or if a target is among the given.

        Examples
        --------
        >>> from pyvae.mixture import GaussianMixture
        >>> X = np.array([[0.0, 1.0], [1.0, 3.0], [2.0, 5.0], [3.0, 7.5]])
        >>> mean, variance = GaussianMixture(reg_covar=0.0).fit(X).regress([0], [[4.0], [5.0]])
        >>> mean.round(2), variance.round(4)
        (array([[ 9.5 ],
               [11.65]]), array([[0.0187],
               [0.0187]]))
        """
        p = self._fitted_parameters()
        d = p.means.shape[1]
        given = conditionals.read_columns(self, columns, d, "regress")
        if targets is not None:
            wanted = conditionals.read_columns(self, targets, d, "regress")
            kept = conditionals.read_columns(self, [*given, *wanted], d, "regress")
            p, given = conditionals.marginal(self._kind, p, kept), list(range(len(given)))
        x, p = conditionals.given_values(values, p)
        mixture = as_distribution(self._kind, p)
        return conditionals.regression(mixture, given, values, x, full_covariance)

    def impute(
        self,
        X: Array,
        *,
        n_draws: int | None = None,
        random_state: int | np.random.RandomState | None = None,
    ) -> Array:
        """Points with their missing coordinates filled in from those that were observed.

        Parameters
        ----------
        X
            Points ``(N, D)``, NaN for what was not observed, whatever ``missing_values`` is.
        n_draws
            None fills in the conditional mean, E[x_missing | x_seen]: the least squared error, and
            too little variance. A number draws as many from p(x_missing | x_seen), for multiple
            imputation: what is computed of each says by its spread how much is not known.
        random_state
            Of the draws; the estimator's own if left out.

        Returns
        -------
        ``(N, D)``, or with draws ``(n_draws, N, D)``, in the dtype of X; what was observed is as it
        was.

        Raises
        ------
        ValueError
            If X is infinite somewhere or has another number of coordinates, or ``n_draws`` is below
            one.

        References
        ----------
        Ghahramani & Jordan (1994); Rubin (1987), "Multiple imputation for nonresponse in surveys".

        Examples
        --------
        >>> from pyvae.mixture import GaussianMixture
        >>> X = np.array([[0.0, 1.0], [1.0, 3.0], [2.0, 5.0], [3.0, 7.5]])
        >>> line = GaussianMixture(reg_covar=0.0).fit(X)
        >>> line.impute([[4.0, np.nan], [np.nan, np.nan]]).round(3)
        array([[4.   , 9.5  ],
               [1.5  , 4.125]])
        """
        p, X = self._fitted_parameters(), opened(X)
        if isinstance(X, Stream):
            X.keep_order("impute")
        source = self._read(X, dimension=p.means.shape[1], least=1, allow_nan=True)
        if n_draws is not None and n_draws < 1:
            raise WrongValue(f"n_draws={n_draws}; expected at least 1, or None for the mean")
        x = arrays.rows(source, slice(None))
        mixture = as_distribution(self._kind, p.to(x.device))
        random = self.random_state if random_state is None else random_state
        with conditionals.seeded(check_random_state(random), x.device):
            found = conditionals.impute(mixture, x.double(), n_draws)
        return arrays.as_given(X, found.to(x.dtype))

    def _other(self, p: Parameters, columns: list[int]) -> Plain:
        """Give an estimator that is the mixture of some of the columns."""
        settings = {"covariance_type": self.covariance_type, "rank": getattr(self, "rank", None)}
        new = self._plain(
            n_components=len(p.weights),
            missing_values=self.missing_values,
            random_state=self.random_state,
            **settings,
        )
        state.set_mixture(new, self.means_, self._kind, p._replace(weights=p.shares))
        names = vars(self).get("feature_names_in_")
        if names is not None:
            new.feature_names_in_ = names[columns]
        return new
