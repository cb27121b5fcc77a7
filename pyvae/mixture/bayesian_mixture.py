# SPDX-License-Identifier: MIT
"""The Bayesian Gaussian mixture as an estimator of scikit-learn's."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from sklearn.exceptions import NotFittedError
from sklearn.utils._param_validation import Interval, StrOptions
from torch import Tensor

from pyvae.errors import WrongValue
from pyvae.mixture import bayesian_file, state
from pyvae.mixture.arrays import Array, as_given
from pyvae.mixture.concentration import WEIGHTS, Weights
from pyvae.mixture.coordinates import Coordinates
from pyvae.mixture.covariance import Moments, Parameters, moments_of
from pyvae.mixture.em import Ascent, ascend
from pyvae.mixture.estimator import RANGES, MixtureEstimator
from pyvae.mixture.gaussian_mixture import GaussianMixture
from pyvae.mixture.points import Points
from pyvae.mixture.processes import Processes
from pyvae.mixture.start import first_sums
from pyvae.mixture.told_prior import ToldPrior
from pyvae.mixture.variational import ParameterPosterior
from pyvae.mixture.variational_em import VariationalEM

if TYPE_CHECKING:
    from typing_extensions import Self

_BELIEFS = ("weight_concentration_", "mean_precision_", "degrees_of_freedom_")
_PRIORS = (
    "weight_concentration",
    "mean_precision",
    "mean",
    "degrees_of_freedom",
    "covariance",
)
# Starts in which every point has its share.
_EVENLY = ("short_em", "kmeans", "trimmed_kmeans", "random")


class BayesianGaussianMixture(MixtureEstimator[VariationalEM], Coordinates[GaussianMixture]):
    """Mixture of Gaussians by variational Bayes, in place of scikit-learn's.

    That is ``sklearn.mixture.BayesianGaussianMixture``: same parameters, attributes and methods,
    and what :class:`GaussianMixture` has beside them, conversions excepted. The fit is a
    distribution of the weights, means and precisions, and components that the points do not ask for
    stay at their prior. The E step is one pass of :func:`pyvae.mixture_statistics`, which writes no
    ``(N, K)`` matrix.

    Densities, responsibilities and clusters are scikit-learn's, of exp E[log p(x, z)]; samples are
    of the mean weights and ``covariances_``. ``marginal`` and ``condition`` give a
    :class:`GaussianMixture` of the same density, made to integrate to one, which
    ``marginal(slice(None))`` is of all coordinates.

    Parameters
    ----------
    covariance_type
        As :class:`GaussianMixture`'s but for ``"low_rank"``: restrictions of the Wishart
        distributions.
    n_components, tol, reg_covar, max_iter, n_init, init_params, random_state, \
warm_start, verbose, verbose_interval
        As scikit-learn's; ``tol`` is of the whole bound, in nats. With ``reg_covar=0`` the M step
        is exact, and each iteration checks that the bound does not fall. ``init_params`` may be
        ``"short_em"`` as well.
    weight_concentration_prior_type
        ``"dirichlet_process"``, truncated at K components, or ``"dirichlet_distribution"``.
    weight_concentration_prior
        gamma of the process, or alpha_0 of the distribution: the smaller, the fewer components
        have points; None is 1/K.
    mean_precision_prior
        beta_0, in points; None is 1.
    mean_prior
        m_0, ``(D,)``; None is the mean of X.
    degrees_of_freedom_prior
        nu_0 > D - 1 of the Wishart distributions; None is D.
    covariance_prior
        The inverse of their scale: ``(D, D)``, of ``"diag"`` and ``"tied_diag"`` ``(D,)``, of
        ``"spherical"`` and ``"tied_spherical"`` a number; None is the covariance of X, in which
        what is missing stands at its coordinate's mean.
    missing_values, distributed
        As :class:`GaussianMixture`'s.
    total_samples
        How many points the batches of ``partial_fit`` stand for; None is those seen so far.

    Attributes
    ----------
    weight_concentration_
        Of the process the parameters ``(K,)``, ``(K,)`` of the Beta distributions; of the
        distribution alpha, ``(K,)``.
    mean_precision_, means_, degrees_of_freedom_, covariances_
        beta ``(K,)``, m ``(K, D)``, nu ``(K,)`` (one number, of tied covariances), and the inverse
        of the mean precisions nu W.
    weights_, precisions_, precisions_cholesky_, covariance_matrices_
        Mean weights, and the rest as :class:`GaussianMixture`'s.
    weight_concentration_prior_, mean_precision_prior_, mean_prior_
        The prior of the last fit, which ``partial_fit`` keeps.
    degrees_of_freedom_prior_, covariance_prior_
        The prior of the last fit, which ``partial_fit`` keeps.
    converged_, n_iter_, lower_bound_, lower_bounds_
        How the best start went; bounds are of all points, in nats, without scikit-learn's
        constants. After ``partial_fit`` an estimate from its batch, before its step.
    evidence_lower_bound_
        The same with the constants, below log p(X): it may be compared over ``n_components``. It
        is -inf where ``covariance_prior_`` is singular.
    n_features_in_, n_samples_seen_
        D, and the sum of the weights of the points behind the mixture.

    References
    ----------
    Bishop (2006), section 10.2; Blei & Jordan (2006), "Variational inference for Dirichlet process
    mixtures"; for ``partial_fit`` Hoffman, Blei, Wang & Paisley (2013), "Stochastic variational
    inference".

    Examples
    --------
    >>> import numpy as np
    >>> random = np.random.default_rng(0)
    >>> X = np.concatenate([random.normal(-5, 1, (200, 2)), random.normal(5, 1, (100, 2))])
    >>> mixture = BayesianGaussianMixture(6, random_state=0).fit(X)
    >>> np.sort(mixture.weights_).round(2)
    array([0.  , 0.  , 0.  , 0.  , 0.33, 0.67])
    """

    unit = "nats"
    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **RANGES,
        "weight_concentration_prior_type": [StrOptions(set(WEIGHTS))],
        "weight_concentration_prior": [Interval(Real, 0.0, None, closed="neither"), None],
        "mean_precision_prior": [Interval(Real, 0.0, None, closed="neither"), None],
        "mean_prior": ["array-like", Tensor, None],
        "degrees_of_freedom_prior": [Interval(Real, 0.0, None, closed="neither"), None],
        "covariance_prior": [
            Interval(Real, 0.0, None, closed="neither"), "array-like", Tensor, None,
        ],
        "total_samples": [Interval(Real, 0.0, None, closed="neither"), None],
    }  # fmt: skip

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
        weight_concentration_prior_type: str = "dirichlet_process",
        weight_concentration_prior: float | None = None,
        mean_precision_prior: float | None = None,
        mean_prior: Array | None = None,
        degrees_of_freedom_prior: float | None = None,
        covariance_prior: Array | None = None,
        random_state: int | np.random.RandomState | None = None,
        warm_start: bool = False,
        verbose: int = 0,
        verbose_interval: int = 10,
        missing_values: str = "refuse",
        distributed: bool = False,
        total_samples: float | None = None,
    ) -> None:
        self.n_components = n_components
        self.covariance_type = covariance_type
        self.tol = tol
        self.reg_covar = reg_covar
        self.max_iter = max_iter
        self.n_init = n_init
        self.init_params = init_params
        self.weight_concentration_prior_type = weight_concentration_prior_type
        self.weight_concentration_prior = weight_concentration_prior
        self.mean_precision_prior = mean_precision_prior
        self.mean_prior = mean_prior
        self.degrees_of_freedom_prior = degrees_of_freedom_prior
        self.covariance_prior = covariance_prior
        self.random_state = random_state
        self.warm_start = warm_start
        self.verbose = verbose
        self.verbose_interval = verbose_interval
        self.missing_values = missing_values
        self.distributed = distributed
        self.total_samples = total_samples

    def save(self, path: str | Path) -> None:
        """Write the posterior and its prior into a file of safetensors, with how the fit went.

        All of its state but a generator of random numbers and ``distributed``; of what was computed
        on a GPU, what is loaded is on the CPU.

        Parameters
        ----------
        path
            The file, by its whole name; one that is there is replaced in one step.

        Raises
        ------
        NotFittedError, ValueError
            If there is no posterior yet, or parts of it are missing.

        Examples
        --------
        >>> import tempfile
        >>> X = np.random.default_rng(0).normal(size=(50, 2))
        >>> mixture = BayesianGaussianMixture(3, random_state=0).fit(X)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     mixture.save(f"{folder}/mixture.safetensors")
        ...     again = BayesianGaussianMixture.load(f"{folder}/mixture.safetensors")
        >>> again.partial_fit(X).n_iter_ == mixture.partial_fit(X).n_iter_
        True
        """
        self._fitted_parameters()  # refuses what is no posterior
        bayesian_file.save(self, Path(path).expanduser())

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Give the posterior of a file that :meth:`save` wrote, to be asked or to go on with.

        Nothing in the file is executed, so that it need not be trusted: what is no posterior is
        refused.

        Raises
        ------
        FileNotFoundError
            If there is none.
        ValueError
            If it is damaged, or holds something else.
        """
        found = bayesian_file.load(cls, Path(path).expanduser())
        try:
            found._parameters()
        except WrongValue as error:
            raise WrongValue(f"{path}: holds no posterior: {error}") from error
        return found

    @property
    def _plain(self) -> type[GaussianMixture]:
        return GaussianMixture

    @property
    def _weights(self) -> Weights:
        return WEIGHTS[self.weight_concentration_prior_type]

    def _parameters(self) -> Parameters:
        """Give what the public attributes say, with the scores that follow from their posterior."""
        p = super()._parameters()
        return p._replace(scores=self._beliefs(p).expected().scores)

    def _beliefs(self, p: Parameters) -> ParameterPosterior:
        """Give the posterior that the attributes say.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            If some are missing.
        ValueError
            If they do not fit each other, or are no parameters of a posterior.
        """
        missing = [name for name in _BELIEFS if name not in vars(self)]
        if missing:
            raise NotFittedError(
                f"This {type(self).__name__} instance has no {', '.join(missing)}: call fit(), or "
                "set all of a posterior"
            )
        k, d = p.means.shape
        shapes = self._weights.shape(k), (k,), () if self._kind.pooled else (k,)
        found = []
        for name, shape, least in zip(_BELIEFS, shapes, (0.0, 0.0, d - 1.0), strict=True):
            value = state.shaped(self, name, shape, f"of {k} components", p.means.device)
            if not (value > least).all():
                raise WrongValue(f"{name} must be greater than {least:g}, as a posterior's are")
            found.append(value)
        concentrations, mean_precision, degrees = found
        return ParameterPosterior(
            self._kind,
            self._weights,
            concentrations,
            mean_precision,
            p.means,
            degrees.expand(k),
            p.covariances,
        )

    @property
    def _kind(self) -> Moments:
        return moments_of(self.covariance_type)

    def _told(self, kept: bool) -> ToldPrior:
        """Give the prior that was asked for, or the one that batches go on with."""
        names = [f"{name}_prior{'_' * kept}" for name in _PRIORS]
        return ToldPrior(*(getattr(self, name) for name in names))

    def _model(
        self,
        points: Points,
        random: np.random.RandomState,
        present: Parameters | None,
        processes: Processes,
        *,
        batch: bool,
    ) -> VariationalEM:
        kind, k, reg_covar = self._kind, self.n_components, float(self.reg_covar)
        kept = batch and present is not None and "covariance_prior_" in vars(self)
        prior = self._told(kept).checked(kind, self._weights, k, points, processes)
        if present is None:
            sums = first_sums(kind, points, k, self.init_params, random, reg_covar)
            if self.init_params in _EVENLY:  # of a sample, or of one process
                total = points.origin.new_tensor(points.total, dtype=torch.float64)
                sums = sums * (processes.total(total) / sums.total).item()
            posterior = prior.posterior(sums, reg_covar)
        else:
            present = present.to(points.origin.device).about(points.origin)
            posterior = self._beliefs(present)
        return VariationalEM(
            prior,
            posterior.of(processes.of_the_first(posterior.tensors())),
            dtype=points.origin.dtype,
            reg_covar=reg_covar,
            incomplete=self.missing_values == "marginalize",
            processes=processes,
        )

    def _ascend(
        self,
        model: VariationalEM,
        points: Points,
        random: np.random.RandomState,
        start: float | None,
        told: Callable[[int, float, float], None],
    ) -> Ascent:
        return ascend(
            model,
            points,
            max_iter=self.max_iter,
            tol=self.tol,
            start=start,
            watched=model.lower_bound,
            told=told,
        )

    def _keep(
        self, X: Array, origin: Tensor, ascent: Ascent, model: VariationalEM, seen: float
    ) -> None:
        super()._keep(X, origin, ascent, model, seen)
        q, prior = model.posterior, model.beliefs
        self.evidence_lower_bound_ = ascent.bound + model.left_out()
        self.weight_concentration_ = self._weights.as_attribute(X, q.concentrations)
        self.mean_precision_ = as_given(X, q.mean_precision)
        degrees = as_given(X, q.degrees)
        self.degrees_of_freedom_ = degrees[0] if self._kind.pooled else degrees
        self.weight_concentration_prior_ = prior.concentration
        self.mean_precision_prior_ = prior.mean_precision
        self.mean_prior_ = as_given(X, prior.mean + origin.double())
        self.degrees_of_freedom_prior_ = prior.degrees
        covariance = as_given(X, prior.covariance)
        self.covariance_prior_ = covariance if covariance.ndim else float(covariance)
