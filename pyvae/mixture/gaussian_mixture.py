# SPDX-License-Identifier: MIT
"""The Gaussian mixture as an estimator of scikit-learn's."""

from __future__ import annotations

import warnings
from dataclasses import replace
from numbers import Integral, Real
from typing import Any, ClassVar

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
from pyvae.mixture.em import Ascent, ascend
from pyvae.mixture.exchange import Exchange
from pyvae.mixture.gaussian_em import GaussianEM
from pyvae.mixture.missing import require_observed
from pyvae.mixture.points import Points
from pyvae.mixture.prior import ConjugatePrior
from pyvae.mixture.processes import Processes
from pyvae.mixture.reseeding import Reseeding
from pyvae.mixture.start import METHODS, Given, start
from pyvae.mixture.stepwise import step
from pyvae.progress import FitProgress

_NOT_CONVERGED = (
    "the best start did not converge; increase max_iter or tol, try another init_params, or look "
    "for degenerate data"
)


class GaussianMixture(Exchange):
    """Mixture of Gaussians fitted by EM, in place of ``sklearn.mixture.GaussianMixture``.

    Same parameters, attributes and methods; beside these, weights of points, points of which
    coordinates are missing, minibatches, files larger than memory, and torch tensors on any device.
    The E step is one pass of :func:`pyvae.mixture_statistics`, which writes no ``(N, K)`` matrix.

    Parameters
    ----------
    n_components, covariance_type, tol, reg_covar, max_iter, n_init, init_params, weights_init, \
means_init, precisions_init, random_state, warm_start, verbose, verbose_interval
        As scikit-learn's. With ``reg_covar=0`` the M step is exact, and each iteration checks that
        the free energy does not fall.
    missing_values
        ``"refuse"`` NaN, or ``"marginalize"``: NaN stands for what was not observed, and is
        integrated out exactly.
    reseed
        Whether a component that has lost its points, or all but copies of one, starts again amid
        those explained worst, once EM has ended; with a warning, where that leads to a better end.
        EM has ``max_iter`` iterations from there, and what is said of how it went is of these.
    prior
        A :class:`pyvae.mixture.ConjugatePrior` on the parameters: the fit is its posterior's mode.
    distributed
        Whether each process of torch's default group has other points, and all fit one mixture:
        one reduction of the sums an iteration. The start is that of rank 0, from its points, so
        let no rank have points of one kind.

    Attributes
    ----------
    weights_, means_, covariances_, precisions_, precisions_cholesky_
        The mixture, in float64, in scikit-learn's shapes: tensors on X's device after a fit of a
        tensor, arrays otherwise.
    covariance_matrices_
        The same covariances as matrices ``(K, D, D)``, whatever their type.
    converged_, n_iter_, lower_bound_, lower_bounds_
        How the best start went; bounds are mean log-likelihoods, in nats a point.
    n_features_in_, n_samples_seen_
        D, and the sum of the weights of the points behind the mixture.

    These are all of its state. Set ``weights_``, ``means_`` and ``precisions_cholesky_`` by hand,
    and it is that mixture, to be asked or to go on. As in scikit-learn densities read
    ``precisions_cholesky_``; so do samples, with a warning where ``covariances_`` are others.

    References
    ----------
    Dempster, Laird & Rubin (1977); Bishop (2006), section 9.2; for ``partial_fit`` Cappé & Moulines
    (2009), "On-line expectation-maximization algorithm for latent data models".

    Examples
    --------
    >>> import numpy as np
    >>> X = np.array([[1.0, 2.0], [1.0, 4.0], [1.0, 0.0], [10.0, 2.0], [10.0, 4.0], [10.0, 0.0]])
    >>> mixture = GaussianMixture(n_components=2, random_state=0).fit(X)
    >>> mixture.means_[mixture.predict([[0.0, 0.0], [12.0, 3.0]])].round(3)
    array([[ 1.,  2.],
           [10.,  2.]])
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "covariance_type": [StrOptions(set(COVARIANCES))],
        "tol": [Interval(Real, 0.0, None, closed="left")],
        "reg_covar": [Interval(Real, 0.0, None, closed="left")],
        "max_iter": [Interval(Integral, 0, None, closed="left")],
        "n_init": [Interval(Integral, 1, None, closed="left")],
        "init_params": [StrOptions(set(METHODS))],
        "weights_init": ["array-like", Tensor, None],
        "means_init": ["array-like", Tensor, None],
        "precisions_init": ["array-like", Tensor, None],
        "random_state": ["random_state"],
        "warm_start": ["boolean"],
        "verbose": ["verbose"],
        "verbose_interval": [Interval(Integral, 1, None, closed="left")],
        "missing_values": [StrOptions({"refuse", "marginalize"})],
        "reseed": ["boolean"],
        "prior": [ConjugatePrior, None],
        "distributed": ["boolean"],
    }

    def __init__(
        self,
        n_components: int = 1,
        *,
        covariance_type: str = "full",
        tol: float = 1e-3,
        reg_covar: float = 1e-6,
        max_iter: int = 100,
        n_init: int = 1,
        init_params: str = "kmeans",
        weights_init: Array | None = None,
        means_init: Array | None = None,
        precisions_init: Array | None = None,
        random_state: int | np.random.RandomState | None = None,
        warm_start: bool = False,
        verbose: int = 0,
        verbose_interval: int = 10,
        missing_values: str = "refuse",
        reseed: bool = True,
        prior: ConjugatePrior | None = None,
        distributed: bool = False,
    ) -> None:
        self.n_components = n_components
        self.covariance_type = covariance_type
        self.tol = tol
        self.reg_covar = reg_covar
        self.max_iter = max_iter
        self.n_init = n_init
        self.init_params = init_params
        self.weights_init = weights_init
        self.means_init = means_init
        self.precisions_init = precisions_init
        self.random_state = random_state
        self.warm_start = warm_start
        self.verbose = verbose
        self.verbose_interval = verbose_interval
        self.missing_values = missing_values
        self.reseed = reseed
        self.prior = prior
        self.distributed = distributed

    def fit(
        self, X: Array, y: object = None, sample_weight: Array | None = None
    ) -> GaussianMixture:
        """Fit by EM from ``n_init`` starts, and keep the best.

        Parameters
        ----------
        X
            Points ``(N, D)``: an array, a tensor, or an array mapped from a file
            (``np.load(path, mmap_mode="r")``), which is read in one pass an iteration.
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
            If X is not finite, holds fewer points than components, or leaves a covariance that is
            not positive definite; or if a parameter is out of its range.
        """
        self._validate_params()
        with state.unchanged_on_failure(self):
            self._fit(X, sample_weight)
        return self

    def fit_predict(self, X: Array, y: object = None, sample_weight: Array | None = None) -> Array:
        """Fit, and give the most probable component of every point, ``(N,)``."""
        return self.fit(X, y, sample_weight).predict(X)

    def partial_fit(
        self, X: Array, y: object = None, sample_weight: Array | None = None
    ) -> GaussianMixture:
        """Take one step of stepwise EM on a batch, from whatever mixture there is.

        That is from the last fit or batch, or what was set by hand; without any, the batch is what
        the first starts from. The sums behind the parameters become (1 - eta) of themselves and
        eta of the batch's, with eta = (t + 2)^-0.6 after t batches; ``n_samples_seen_`` points
        count as so many batches of this size (where it was not set, ``n_iter_`` batches).

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
            self._step(X, sample_weight)
        return self

    def _fit(self, X: Array, sample_weight: Array | None) -> None:
        processes = Processes(self.distributed)
        present = self._present("warm_start=True") if self.warm_start else None
        points = self._points(X, sample_weight, present)
        processes.agree(points.dimension, points.origin.device)
        points = replace(points, origin=processes.of_the_first([points.origin])[0])
        self._require_observed(points, processes)
        random = check_random_state(self.random_state)
        goes_on = present is not None
        best: tuple[Ascent, Parameters] | None = None
        for number in range(1 if goes_on else self.n_init):
            begin = processes.of_the_first(self._start(points, random, present))
            model = self._model(points, Parameters(*begin), processes)
            with self._progress(number) as progress:
                options = {
                    "max_iter": self.max_iter,
                    "tol": self.tol,
                    "start": getattr(self, "lower_bound_", None) if goes_on else None,
                    "told": lambda iteration, bound, change: progress.told(
                        iteration, [f"{bound:.6g} nats a point", f"change {change:.3g}"]
                    ),
                }
                if self.reseed:
                    ascent = Reseeding(model, points, random).ascend(**options)
                else:
                    ascent = ascend(model, points, **options)
            if best is None or ascent.bound > best[0].bound:
                best = ascent, model.parameters
        assert best is not None
        seen = processes.total(points.origin.new_tensor(points.total, dtype=torch.float64))
        self._keep(X, points.origin, *best, seen.item())
        if not self.converged_ and self.max_iter > 0:
            warnings.warn(_NOT_CONVERGED, ConvergenceWarning, stacklevel=3)

    def _progress(self, number: int) -> FitProgress:
        name = f"start {number + 1}"
        return FitProgress(self.verbose, self.verbose_interval, self.max_iter, name, "iteration")

    def _step(self, X: Array, sample_weight: Array | None) -> None:
        present = self._present("partial_fit")
        points = self._points(X, sample_weight, present)
        if present is None:
            self._require_observed(points, Processes(False))
            steps, seen = 0, 0.0
        else:
            points = replace(points, origin=present.centre().to(points.origin))
            steps = int(getattr(self, "n_iter_", 1))
            seen = float(getattr(self, "n_samples_seen_", max(steps, 1) * points.total))
        start = self._start(points, check_random_state(self.random_state), present)
        model = self._model(points, start)
        q = step(model, points, seen)
        ascent = Ascent([q.log_likelihood / q.sums.total.item()], converged=False)
        self._keep(X, points.origin, ascent, model.parameters, seen + points.total)
        self.n_iter_ = steps + 1

    def _present(self, way: str) -> Parameters | None:
        """Give the mixture to go on from, None where there is none yet."""
        if not state.is_mixture(self):
            return None
        return state.require_components(self._parameters(), self.n_components, way)

    def _points(self, X: Array, sample_weight: Array | None, present: Parameters | None) -> Points:
        dimension = None if present is None else present.means.shape[1]
        source = self._read(X, dimension=dimension, least=2 if present is None else 1)
        weight = read_weight(sample_weight, source)
        if present is None and len(source) < self.n_components:
            raise WrongValue(
                "Expected n_samples >= n_components but got n_components = "
                f"{self.n_components}, n_samples = {len(source)}"
            )
        return Points.about_their_mean(source, weight)

    def _require_observed(self, points: Points, processes: Processes) -> None:
        if self.missing_values == "marginalize":
            observed = column_sums(points.source, points.weight)[1]
            require_observed(processes.total(observed))

    def _model(
        self, points: Points, parameters: Parameters, processes: Processes | None = None
    ) -> GaussianEM:
        return GaussianEM(
            self._kind,
            parameters,
            dtype=points.origin.dtype,
            reg_covar=float(self.reg_covar),
            prior=None if self.prior is None else self.prior.about(points.origin),
            incomplete=self.missing_values == "marginalize",
            processes=processes,
        )

    def _start(
        self, points: Points, random: np.random.RandomState, present: Parameters | None
    ) -> Parameters:
        """Parameters about the points' origin: the present ones, or those of a new start."""
        if present is not None:
            device = points.origin.device
            return Parameters(*(values.to(device) for values in present)).about(points.origin)
        given = Given(self.weights_init, self.means_init, self.precisions_init)
        method, reg_covar = self.init_params, float(self.reg_covar)
        return start(given, self._kind, points, self.n_components, method, random, reg_covar)

    def _keep(self, X: Array, origin: Tensor, ascent: Ascent, p: Parameters, seen: float) -> None:
        """Set what a fit to X has found, with parameters about an origin."""
        self.converged_, self.n_iter_ = ascent.converged, len(ascent.bounds)
        self.lower_bounds_, self.lower_bound_ = ascent.bounds, ascent.bound
        self.n_samples_seen_ = seen
        whole = p._replace(means=p.means + origin.double())
        state.set_mixture(self, X, self._kind, whole)
