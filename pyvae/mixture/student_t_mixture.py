# SPDX-License-Identifier: MIT
"""The mixture of Student t distributions as an estimator of scikit-learn's kind."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from pyvae.errors import WrongValue
from pyvae.mixture import state, student_t, student_t_file
from pyvae.mixture.arrays import Array, as_given
from pyvae.mixture.covariance import Moments, Parameters, moments_of
from pyvae.mixture.criteria import Criteria
from pyvae.mixture.em import Ascent, ascend
from pyvae.mixture.estimator import RANGES, MixtureEstimator
from pyvae.mixture.file_layout import located
from pyvae.mixture.points import Points
from pyvae.mixture.processes import Processes
from pyvae.mixture.start import Given, start
from pyvae.mixture.student_t_em import StudentTEM

if TYPE_CHECKING:
    from typing_extensions import Self

_SPREADS = (state.SCALES,)
_START = 4.0  # degrees of freedom: tails that hold outliers, and a covariance that there is


class StudentTMixture(MixtureEstimator[StudentTEM], Criteria):
    """Mixture of multivariate Student t distributions fitted by EM, robust against outliers.

    A Gaussian's mean and covariance follow a point however far it is. A t has tails: in its fit a
    point at a squared Mahalanobis distance delta counts (nu + D) / (nu + delta) times, so that far
    ones count next to nothing. Methods are those of :class:`GaussianMixture`, with weights of
    points, labels, minibatches, mapped files, and torch tensors on any device. Beside the op's
    densities the E step writes responsibilities, a part of the points at a time.

    Parameters
    ----------
    n_components
        K.
    covariance_type
        Of the scale matrices, as :class:`GaussianMixture`'s of its covariances, but for
        ``"low_rank"``.
    degrees_of_freedom
        ``"free"``, fitted for each component; ``"tied"``, one number that is fitted for all; or a
        number that they have. Fitted ones are sought from 0.1 to 100,000, which is a Gaussian's.
    tol, reg_covar, max_iter, n_init, random_state, warm_start, verbose, verbose_interval
        As :class:`GaussianMixture`'s.
    init_params
        As :class:`GaussianMixture`'s. The default is k-means that leaves out the points that are
        farthest: k-means gives outliers clusters of their own.
    weights_init, means_init, precisions_init
        Where a fit starts; precisions are inverses of scale matrices.
    distributed
        As :class:`GaussianMixture`'s.

    Attributes
    ----------
    weights_, means_
        ``(K,)`` and ``(K, D)``, in float64: tensors on X's device after a fit of a tensor, arrays
        otherwise. A component of one degree of freedom or less has no mean; its place is here.
    scales_
        Scale matrices, in the shapes of scikit-learn's ``covariances_``.
    degrees_of_freedom_
        ``(K,)``.
    covariance_matrices_
        Covariances ``(K, D, D)``: nu / (nu - 2) times the scale matrices, NaN where nu is 2 or
        less and there are none.
    converged_, n_iter_, lower_bound_, lower_bounds_
        How the best start went; bounds are mean log-likelihoods, in nats a point.
    n_features_in_, n_samples_seen_
        D, and the sum of the weights of the points behind the mixture.

    Notes
    -----
    As of Gaussians, the attributes are all of its state: set ``weights_``, ``means_``, ``scales_``
    and ``degrees_of_freedom_`` by hand, and it is that mixture.

    References
    ----------
    Peel & McLachlan (2000), "Robust mixture modelling using the t distribution"; Liu & Rubin
    (1995), "ML estimation of the t distribution using EM and its extensions, ECM and ECME".

    Examples
    --------
    >>> import numpy as np
    >>> X = np.random.default_rng(0).normal(size=(200, 2))
    >>> X[:20] += 100.0  # a tenth is somewhere else
    >>> StudentTMixture(degrees_of_freedom=2.0).fit(X).means_.round(1) + 0.0
    array([[ 0. , -0.1]])
    """

    missing_values = "refuse"
    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **{name: range_ for name, range_ in RANGES.items() if name != "missing_values"},
        "degrees_of_freedom": [
            StrOptions({"free", "tied"}), Interval(Real, 0.0, None, closed="neither"),
        ],
        "weights_init": ["array-like", Tensor, None],
        "means_init": ["array-like", Tensor, None],
        "precisions_init": [
            Interval(Real, 0.0, None, closed="neither"), "array-like", np.ndarray, Tensor, None,
        ],
    }  # fmt: skip
    scales_: Array
    degrees_of_freedom_: Array

    def __init__(
        self,
        n_components: int = 1,
        *,
        covariance_type: str = "full",
        degrees_of_freedom: str | float = "free",
        tol: float = 1e-3,
        reg_covar: float = 1e-6,
        max_iter: int = 100,
        n_init: int = 1,
        init_params: str = "trimmed_kmeans",
        weights_init: Array | None = None,
        means_init: Array | None = None,
        precisions_init: Array | None = None,
        random_state: int | np.random.RandomState | None = None,
        warm_start: bool = False,
        verbose: int = 0,
        verbose_interval: int = 10,
        distributed: bool = False,
    ) -> None:
        self.n_components = n_components
        self.covariance_type = covariance_type
        self.degrees_of_freedom = degrees_of_freedom
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
        self.distributed = distributed

    @property
    def n_parameters_(self) -> int:
        """Number of free parameters: of weights, means, scales, and fitted degrees of freedom."""
        k, d = self._parameters().means.shape
        degrees = {"free": k, "tied": 1}.get(str(self.degrees_of_freedom), 0)
        return self._kind.parameters(k, d) + k * d + k - 1 + degrees

    @property
    def covariance_matrices_(self) -> Array:
        """Covariance of every component, ``(K, D, D)``; NaN where it has none."""
        check_is_fitted(self)
        p = self._parameters()
        degrees = self._degrees(p)[:, None, None]
        factor = torch.where(degrees > 2.0, degrees / (degrees - 2.0), torch.nan)
        return as_given(self.means_, factor * self._matrices(p))

    def predict(self, X: Array) -> Array:
        """Most probable component of every point, ``(N,)``."""
        return self._by_point(X, lambda x, p: self._posterior(x, p)[0].argmax(1))

    def score_samples(self, X: Array) -> Array:
        """Log-density of every point, ``(N,)``, in nats."""
        return self._by_point(X, lambda x, p: self._posterior(x, p)[1])

    def save(self, path: str | Path) -> None:
        """Write the mixture into a file of safetensors, with the settings and how the fit went.

        Parameters
        ----------
        path
            The file, by its whole name; one that is there is replaced in one step.

        Raises
        ------
        NotFittedError
            If there is no mixture yet.
        """
        student_t_file.save(self, Path(path).expanduser())

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Give the mixture of a file that :meth:`save` wrote, or of ``pyvae fit-mixture``'s folder.

        Nothing in it is executed.

        Raises
        ------
        FileNotFoundError
            If there is none.
        ValueError
            If it is damaged, or holds something else.
        """
        return student_t_file.load(cls, located(path))

    @property
    def _kind(self) -> Moments:
        return moments_of(self.covariance_type)

    def _parameters(self) -> Parameters:
        return state.parameters(self, self._kind, _SPREADS)

    def _degrees(self, p: Parameters) -> Tensor:
        """Give the degrees of freedom beside the other parameters, on their device."""
        found = state.shaped(
            self, "degrees_of_freedom_", (len(p.means),), "one a component", p.means.device
        )
        if not (found > 0).all():
            raise WrongValue("degrees_of_freedom_ must be above zero")
        return found

    def _posterior(self, x: Tensor, p: Parameters) -> tuple[Tensor, Tensor]:
        return student_t.posterior(self._kind, x, p, self._degrees(p))

    def _drawn(
        self, random: np.random.RandomState, n_samples: int, p: Parameters
    ) -> tuple[Tensor, Tensor]:
        points, labels = super()._drawn(random, n_samples, p)
        half = 0.5 * self._degrees(p)[labels].cpu().numpy()
        scale = torch.from_numpy(random.gamma(half, 1.0 / half)).to(points)
        means = p.means[labels]
        return means + (points - means) * scale.rsqrt()[:, None], labels

    def _model(
        self,
        points: Points,
        random: np.random.RandomState,
        present: Parameters | None,
        processes: Processes,
        *,
        batch: bool,
    ) -> StudentTEM:
        fitted = isinstance(self.degrees_of_freedom, str)
        begin = _START if fitted else float(self.degrees_of_freedom)
        degrees = points.origin.new_full((self.n_components,), begin, dtype=torch.float64)
        if present is None:
            given = Given(self.weights_init, self.means_init, self.precisions_init)
            p = start(
                given, self._kind, points, self.n_components, self.init_params, random,
                float(self.reg_covar),
            )  # fmt: skip
        else:
            degrees = self._degrees(present).to(degrees.device) if fitted else degrees
            p = present.to(degrees.device).about(points.origin)
        return StudentTEM(
            self._kind,
            Parameters(*processes.of_the_first(p[:3])),
            degrees=processes.of_the_first([degrees])[0],
            fitted=fitted,
            tied=self.degrees_of_freedom == "tied",
            dtype=points.origin.dtype,
            reg_covar=float(self.reg_covar),
            processes=processes,
        )

    def _ascend(
        self,
        model: StudentTEM,
        points: Points,
        random: np.random.RandomState,
        start: float | None,
        told: Callable[[int, float, float], None],
    ) -> Ascent:
        options = {"max_iter": self.max_iter, "tol": self.tol, "start": start, "told": told}
        return ascend(model, points, **options)

    def _keep(
        self, X: Array, origin: Tensor, ascent: Ascent, model: StudentTEM, seen: float
    ) -> None:
        super()._keep(X, origin, ascent, model, seen)
        self.degrees_of_freedom_ = as_given(X, model.degrees)

    def _is_mixture(self) -> bool:
        return state.is_mixture(self, _SPREADS)

    def _set_mixture(self, X: Array, p: Parameters) -> None:
        self.weights_, self.means_ = as_given(X, p.weights), as_given(X, p.means)
        self.scales_ = as_given(X, p.covariances)
        self.n_features_in_ = p.means.shape[1]
