# SPDX-License-Identifier: MIT
"""What the estimators of mixtures share: how one is fitted, in passes or in batches."""

from __future__ import annotations

import warnings
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import replace
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions
from torch import Tensor

from pyvae.errors import WrongValue
from pyvae.mixture import state
from pyvae.mixture.arrays import Array, column_sums, read_weight
from pyvae.mixture.covariance import COVARIANCES, Parameters
from pyvae.mixture.em import Ascent
from pyvae.mixture.fitted import FittedMixture
from pyvae.mixture.gaussian_em import GaussianEM
from pyvae.mixture.labelled_start import require_labels_of_the_first
from pyvae.mixture.labels import read_labels, require_possible
from pyvae.mixture.missing import require_observed
from pyvae.mixture.points import Points
from pyvae.mixture.processes import Processes
from pyvae.mixture.start import METHODS
from pyvae.mixture.stepwise import each_batch, step
from pyvae.mixture.streams import opened
from pyvae.progress import FitProgress

if TYPE_CHECKING:
    from typing_extensions import Self

_NOT_CONVERGED = (
    "the best start did not converge; increase max_iter or tol, try another init_params, or look "
    "for degenerate data"
)
# Ranges of the parameters that all have.
RANGES: dict[str, Any] = {
    "n_components": [Interval(Integral, 1, None, closed="left")],
    "covariance_type": [StrOptions(set(COVARIANCES))],
    "tol": [Interval(Real, 0.0, None, closed="left")],
    "reg_covar": [Interval(Real, 0.0, None, closed="left")],
    "max_iter": [Interval(Integral, 0, None, closed="left")],
    "n_init": [Interval(Integral, 1, None, closed="left")],
    "init_params": [StrOptions(set(METHODS))],
    "random_state": ["random_state"],
    "warm_start": ["boolean"],
    "verbose": ["verbose"],
    "verbose_interval": [Interval(Integral, 1, None, closed="left")],
    "missing_values": [StrOptions({"refuse", "marginalize"})],
    "distributed": ["boolean"],
}
Model = TypeVar("Model", bound=GaussianEM)


class MixtureEstimator(FittedMixture, Generic[Model]):
    """Base of the estimators. A subclass makes the model, and says how it ascends."""

    tol: float
    reg_covar: float
    max_iter: int
    n_init: int
    init_params: str
    warm_start: bool
    verbose: int
    verbose_interval: int
    distributed: bool
    unit = "nats a point"  # of the bounds
    total_samples: float | None = None

    def fit(
        self,
        X: Array,
        y: object = None,
        sample_weight: Array | None = None,
        labels: Array | None = None,
    ) -> Self:
        """Fit from ``n_init`` starts, and keep the best.

        Parameters
        ----------
        X
            Points ``(N, D)``: an array, a tensor, or what is read in one pass an iteration, of
            which little is held in memory: an array mapped from a file
            (``np.load(path, mmap_mode="r")``), or batches that can be read again, of a DataLoader,
            a Dataset, pyarrow's tables, Parquet files and datasets, or any other iterable.
        y
            Ignored.
        sample_weight
            How often each point counts, ``(N,)``; None is once.
        labels
            What is known of the points' components: their numbers ``(N,)``, -1 for unknown; or
            probabilities ``(N, K)``, rows of one value, or of NaN, for unknown. A known component
            is its point's only one. Probabilities weigh the components of a point, beside the
            weights of the mixture and the densities, and so do they in its likelihood, divided by
            the largest of the row. Components begin where their
            labelled points are. The mixture that is fitted knows nothing of them.

        Returns
        -------
        The estimator itself.

        Raises
        ------
        ValueError
            If X is not finite, holds fewer points than components, or leaves a covariance that is
            not positive definite; if labels are of no component, or a parameter is out of its
            range.
        """
        self._validate_params()
        with state.unchanged_on_failure(self):
            self._fit(X, sample_weight, labels)
        return self

    def fit_predict(
        self,
        X: Array,
        y: object = None,
        sample_weight: Array | None = None,
        labels: Array | None = None,
    ) -> Array:
        """Fit, and give the most probable component of every point, ``(N,)``."""
        return self.fit(X, y, sample_weight, labels).predict(X)

    def partial_fit(
        self,
        X: Array,
        y: object = None,
        sample_weight: Array | None = None,
        labels: Array | None = None,
    ) -> Self:
        """Take one step on a batch, from whatever mixture there is.

        That is from the last fit or batch, or what was set by hand; without any, the batch is what
        the first starts from. The sums behind the parameters become (1 - eta) of themselves and
        eta of the batch's, with eta = (t + 2)^-0.6 after t batches; ``n_samples_seen_`` points
        count as so many batches of this size (where it was not set, ``n_iter_`` batches). Of
        a DataLoader or any other iterable each batch is one step.

        Returns
        -------
        The estimator itself.

        Raises
        ------
        ValueError
            If the batch is no matrix of finite numbers, or the mixture does not fit it, or
            ``n_components`` or ``covariance_type``; the estimator is then as it was.
        """
        self._validate_params()
        with state.unchanged_on_failure(self):
            given = sample_weight is not None or labels is not None
            each_batch(
                X, "sample_weight and labels are", given,
                lambda batch: self._step(batch, sample_weight, labels),
            )  # fmt: skip
        return self

    @abstractmethod
    def _model(
        self,
        points: Points,
        random: np.random.RandomState,
        present: Parameters | None,
        processes: Processes,
        *,
        batch: bool,
    ) -> Model:
        """Give the model at a start: the present mixture, or a new one.

        ``batch`` tells whether the points are one of a ``partial_fit``, of which there are more.
        """

    @abstractmethod
    def _ascend(
        self,
        model: Model,
        points: Points,
        random: np.random.RandomState,
        start: float | None,
        told: Callable[[int, float, float], None],
    ) -> Ascent:
        """Fit the model."""

    def _fit(self, X: Array, sample_weight: Array | None, labels: Array | None) -> None:
        processes = Processes(self.distributed)
        X = opened(X)
        present = self._present("warm_start=True") if self.warm_start else None
        points = self._points(X, sample_weight, labels, present)
        processes.agree(points.dimension, points.origin.device)
        points = replace(points, origin=processes.of_the_first([points.origin])[0])
        self._require_observed(points, processes)
        require_labels_of_the_first(points, self.n_components, processes)
        random = check_random_state(self.random_state)
        goes_on = present is not None
        before = getattr(self, "lower_bound_", None) if goes_on else None
        best: tuple[Ascent, Model] | None = None
        for number in range(1 if goes_on else self.n_init):
            model = self._model(points, random, present, processes, batch=False)
            require_possible(points.labels, model.parameters.log_weights)
            with self._progress(number) as progress:
                ascent = self._ascend(
                    model,
                    points,
                    random,
                    before,
                    lambda iteration, bound, change: progress.told(
                        iteration, [f"{bound:.6g} {self.unit}", f"change {change:.3g}"]
                    ),
                )
            if best is None or ascent.bound > best[0].bound:
                best = ascent, model
        assert best is not None
        seen = processes.total(points.origin.new_tensor(points.total, dtype=torch.float64))
        self._keep(X, points.origin, *best, seen.item())
        if not self.converged_ and self.max_iter > 0:
            warnings.warn(_NOT_CONVERGED, ConvergenceWarning, stacklevel=3)

    def _progress(self, number: int) -> FitProgress:
        name = f"start {number + 1}"
        return FitProgress(self.verbose, self.verbose_interval, self.max_iter, name, "iteration")

    def _step(self, X: Array, sample_weight: Array | None, labels: Array | None) -> None:
        alone = Processes(False)
        present = self._present("partial_fit")
        points = self._points(X, sample_weight, labels, present)
        if present is None:
            self._require_observed(points, alone)
            steps, seen = 0, 0.0
        else:
            points = replace(points, origin=present.centre().to(points.origin))
            steps = int(getattr(self, "n_iter_", 1))
            seen = float(getattr(self, "n_samples_seen_", max(steps, 1) * points.total))
        random = check_random_state(self.random_state)
        model = self._model(points, random, present, alone, batch=True)
        require_possible(points.labels, model.parameters.log_weights)
        together = seen + points.total
        population = together if self.total_samples is None else float(self.total_samples)
        q = step(model, points, seen, self.total_samples)
        bound = model.batch_bound(q, population)
        self._keep(X, points.origin, Ascent([bound], converged=False), model, together)
        self.n_iter_ = steps + 1

    def _present(self, way: str) -> Parameters | None:
        """Give the mixture to go on from, None where there is none yet."""
        if not self._is_mixture():
            return None
        return state.require_components(self._parameters(), self.n_components, way)

    def _points(
        self,
        X: Array,
        sample_weight: Array | None,
        labels: Array | None,
        present: Parameters | None,
    ) -> Points:
        dimension = None if present is None else present.means.shape[1]
        source = self._read(X, dimension=dimension, least=2 if present is None else 1)
        weight = read_weight(sample_weight, source)
        if present is None and len(source) < self.n_components:
            raise WrongValue(
                "Expected n_samples >= n_components but got n_components = "
                f"{self.n_components}, n_samples = {len(source)}"
            )
        known = read_labels(labels, source, self.n_components, weight)
        return Points.about_their_mean(source, weight, known)

    def _require_observed(self, points: Points, processes: Processes) -> None:
        if self.missing_values == "marginalize":
            observed = column_sums(points.source, points.weight)[1]
            require_observed(processes.total(observed))

    def _keep(self, X: Array, origin: Tensor, ascent: Ascent, model: Model, seen: float) -> None:
        """Set what a fit to X has found, with parameters about an origin."""
        self.converged_, self.n_iter_ = ascent.converged, len(ascent.bounds)
        self.lower_bounds_, self.lower_bound_ = ascent.bounds, ascent.bound
        self.n_samples_seen_ = seen
        self._set_mixture(X, model.parameters.about(-origin))

    def _is_mixture(self) -> bool:
        return state.is_mixture(self)

    def _set_mixture(self, X: Array, p: Parameters) -> None:
        state.set_mixture(self, X, self._kind, p)
