# SPDX-License-Identifier: MIT
"""What the estimators of mixtures of products share: how one is fitted."""

from __future__ import annotations

import hashlib
import json
import warnings
from abc import abstractmethod
from numbers import Real
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions
from torch import Tensor

from pyvae.errors import WrongValue
from pyvae.mixture import estimator, state
from pyvae.mixture.arrays import Array
from pyvae.mixture.em import Ascent, ascend
from pyvae.mixture.missing import require_observed
from pyvae.mixture.processes import Processes
from pyvae.mixture.products import files, reading
from pyvae.mixture.products.em import ProductEM
from pyvae.mixture.products.fitted import FittedProduct
from pyvae.mixture.products.layout import Layout
from pyvae.mixture.products.product import ProductParameters
from pyvae.mixture.products.reading import Given
from pyvae.mixture.products.rows import Rows
from pyvae.mixture.products.start import METHODS, of_one_component, start
from pyvae.mixture.stepwise import each_batch, step
from pyvae.mixture.streams import opened
from pyvae.progress import FitProgress

if TYPE_CHECKING:
    from typing_extensions import Self

_CONCENTRATION = [Interval(Real, 1.0, None, closed="left")]
_AS_GAUSSIAN = ("n_components", "tol", "max_iter", "n_init", "random_state", "warm_start",
                "verbose", "verbose_interval", "missing_values", "distributed")  # fmt: skip
# Ranges of the parameters that all have.
RANGES: dict[str, Any] = {
    **{name: estimator.RANGES[name] for name in _AS_GAUSSIAN},
    "init_params": [StrOptions(set(METHODS))],
    "weight_prior": _CONCENTRATION,
    "probability_prior": _CONCENTRATION,
}


class ProductMixture(FittedProduct):
    """Base of the estimators. A subclass says what its columns are, and sets its attributes."""

    n_components: int
    tol: float
    max_iter: int
    n_init: int
    init_params: str
    warm_start: bool
    verbose: int
    verbose_interval: int
    distributed: bool
    _parameter_constraints: ClassVar[dict[str, Any]] = RANGES

    def fit(self, X: Array, y: object = None, sample_weight: Array | None = None) -> Self:
        """Fit from ``n_init`` starts, and keep the best.

        Parameters
        ----------
        X
            Points ``(N, D)``: an array, a tensor, a frame, or an array of numbers mapped from a
            file (``np.load(path, mmap_mode="r")``), which is read in one pass an iteration.
        y
            Ignored.
        sample_weight
            How often each point counts, ``(N,)``; None is once.

        Returns
        -------
        The estimator itself.

        Raises
        ------
        ValueError
            If a value has no place in its column, there are fewer points than components, or a
            parameter is out of its range.
        """
        self._validate_params()
        with state.unchanged_on_failure(self):
            self._fit(X, sample_weight)
        return self

    def fit_predict(self, X: Array, y: object = None, sample_weight: Array | None = None) -> Array:
        """Fit, and give the most probable component of every point, ``(N,)``."""
        return self.fit(X, y, sample_weight).predict(X)

    def partial_fit(self, X: Array, y: object = None, sample_weight: Array | None = None) -> Self:
        """Take one step on a batch, from whatever mixture there is.

        That is from the last fit or batch, whatever attributes were changed since; without any, the
        batch says what the columns are, and is what the first starts from. The sums behind the
        parameters become (1 - eta) of themselves and eta of the batch's, with eta = (t + 2)^-0.6
        after t batches; ``n_samples_seen_`` points count as so many batches of this size (where it
        was not set, ``n_iter_`` batches). A point that no component can have made counts for all,
        by their weights. Points before count as observed in all columns, so that one which is
        seldom observed is learnt slowly. Of a DataLoader or any other iterable, of frames too, each
        batch is one step. ``distributed`` is of no account here.

        Returns
        -------
        The estimator itself.

        Raises
        ------
        ValueError
            If a value has no place in its column, or the mixture does not fit the batch, or
            ``n_components``; the estimator is then as it was.

        Examples
        --------
        >>> import numpy as np
        >>> from pyvae.mixture import BernoulliMixture
        >>> pixels = np.random.default_rng(0).random((300, 4)) < np.repeat([[0.1], [0.9]], 150, 0)
        >>> mixture = BernoulliMixture(2, random_state=0)
        >>> for batch in range(3):
        ...     mixture = mixture.partial_fit(pixels[batch::3])
        >>> mixture.n_samples_seen_
        300.0
        >>> sorted(mixture.probabilities_.mean(1).round(1).tolist())
        [0.1, 0.9]
        """
        self._validate_params()
        with state.unchanged_on_failure(self):
            given = sample_weight is not None
            each_batch(
                X, "sample_weight is", given, lambda batch: self._step(batch, sample_weight),
                as_it_is=lambda batch: reading.library(batch) is not None,
            )  # fmt: skip
        return self

    @abstractmethod
    def _learn(self, given: Given) -> Layout:
        """Tell of a table what its columns are."""

    def _fit(self, X: Array, sample_weight: Array | None) -> None:
        processes = Processes(self.distributed)
        present = self._present("warm_start=True") if self.warm_start else None
        X = opened(X)
        layout, rows = self._layout_and_rows(X, sample_weight, present)
        self._require_agreement(layout, rows, processes)
        product = self._product(layout)
        if product.incomplete:
            require_observed(processes.total(_observed(rows)))
        whole = of_one_component(product, rows, processes)
        product, random = product.of_data(whole), check_random_state(self.random_state)
        best: tuple[Ascent, ProductEM] | None = None
        for number in range(self.n_init if present is None else 1):
            begin = (
                start(product, rows, whole, self.n_components, self.init_params, random, processes)
                if present is None
                else present.to(rows.device)
            )
            model = ProductEM(product, begin, processes)
            ascent = self._ascend(model, rows, number, goes_on=present is not None)
            if best is None or ascent.bound > best[0].bound:
                best = ascent, model
        assert best is not None
        if present is None:
            self._learnt(layout, reading.library(X))
        self._keep(layout, X, *best)
        self.n_samples_seen_ = processes.total(rows.total()).item()
        if not self.converged_ and self.max_iter > 0:
            warnings.warn(
                "the best start did not converge; increase max_iter or tol, or try another "
                "init_params",
                ConvergenceWarning,
                stacklevel=3,
            )

    def _step(self, X: Array, sample_weight: Array | None) -> None:
        alone, present = Processes(False), self._present("partial_fit")
        layout, rows = self._layout_and_rows(X, sample_weight, present)
        product = self._product(layout)
        if present is None:
            if product.incomplete:
                require_observed(_observed(rows))
            whole, random = of_one_component(product, rows, alone), self.random_state
            product, random = product.of_data(whole), check_random_state(random)
            k = self.n_components
            begin = start(product, rows, whole, k, self.init_params, random, alone)
            steps, seen = 0, 0.0
        else:
            begin = present.to(rows.device)
            steps = int(getattr(self, "n_iter_", 1))
            otherwise = max(steps, 1) * rows.total().item()
            seen = float(getattr(self, "n_samples_seen_", otherwise))
            product = product.of_data(product.whole(begin, max(seen, 1.0)))
        model = ProductEM(product, begin, alone, batch=True)
        q = step(model, rows, seen)
        if present is None:
            self._learnt(layout, reading.library(X))
        reached = q.sums.log_likelihood.item() / q.total
        self._keep(layout, X, Ascent([reached], converged=False), model)
        self.n_iter_, self.n_samples_seen_ = steps + 1, seen + q.total

    def _present(self, way: str) -> ProductParameters | None:
        """Give the mixture to go on from, None where there is none yet."""
        if "weights_" not in vars(self):
            return None
        return state.require_components(self._fitted(), self.n_components, way)

    def _layout_and_rows(
        self, X: Array, sample_weight: Array | None, present: ProductParameters | None
    ) -> tuple[Layout, Rows]:
        """Give the columns, those of the mixture if there is one, and the rows."""
        given = self._read(X, fits=present is None, least=2 if present is None else 1)
        layout = self._learn(given) if present is None else self._layout()
        rows = self._rows(given, layout, sample_weight)
        if present is None and len(rows) < self.n_components:
            raise WrongValue(
                "Expected n_samples >= n_components but got n_components = "
                f"{self.n_components}, n_samples = {len(rows)}"
            )
        return layout, rows

    def _ascend(self, model: ProductEM, rows: Rows, number: int, *, goes_on: bool) -> Ascent:
        name = f"start {number + 1}"
        before = getattr(self, "lower_bound_", None) if goes_on else None
        with FitProgress(
            self.verbose, self.verbose_interval, self.max_iter, name, "iteration"
        ) as progress:
            return ascend(
                model, rows, max_iter=self.max_iter, tol=self.tol, start=before,
                told=lambda iteration, bound, change: progress.told(
                    iteration, [f"{bound:.6g} nats a point", f"change {change:.3g}"]
                ),
            )  # fmt: skip

    def _keep(self, layout: Layout, X: Array, ascent: Ascent, model: ProductEM) -> None:
        self.converged_, self.n_iter_ = ascent.converged, len(ascent.bounds)
        self.lower_bounds_, self.lower_bound_ = ascent.bounds, ascent.bound
        self._set(model.parameters, layout, X)

    def _require_agreement(self, layout: Layout, rows: Rows, processes: Processes) -> None:
        """Refuse columns that are others in other processes."""
        processes.agree(rows.source.shape[1], rows.device)
        if processes.several:
            text = json.dumps(files.described(layout), sort_keys=True).encode()
            digest = int.from_bytes(hashlib.sha256(text).digest()[:7], "little")
            own = torch.tensor([digest], device=rows.device)
            if processes.of_the_first([own])[0].item() != digest:
                raise WrongValue(
                    "the columns here have other families or categories than those of rank 0: let "
                    "every rank have points of all categories, or name the columns"
                )


def _observed(rows: Rows) -> Tensor:
    """Give how many values each column has in rows that have a weight."""
    found = torch.zeros(rows.source.shape[1], dtype=torch.float64, device=rows.device)
    for x, weight in rows.chunks(rows.source.shape[1]):
        seen = ~x.isnan() if weight is None else ~x.isnan() & (weight > 0)[:, None]
        found += seen.sum(0)
    return found
