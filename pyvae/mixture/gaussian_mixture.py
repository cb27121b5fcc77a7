# SPDX-License-Identifier: MIT
"""The Gaussian mixture as an estimator of scikit-learn's."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from sklearn.utils._param_validation import Interval, StrOptions
from torch import Tensor

from pyvae.errors import WrongValue
from pyvae.mixture.arrays import Array, as_given
from pyvae.mixture.coordinates import Coordinates
from pyvae.mixture.covariance import NAMES, LowRank, Parameters
from pyvae.mixture.criteria import Criteria
from pyvae.mixture.em import Ascent, ascend
from pyvae.mixture.estimator import RANGES, MixtureEstimator
from pyvae.mixture.exchange import Exchange
from pyvae.mixture.gaussian_em import GaussianEM
from pyvae.mixture.noise import Noise
from pyvae.mixture.noise_em import NoiseEM
from pyvae.mixture.noisy import NoisyMixture
from pyvae.mixture.points import Points
from pyvae.mixture.prior import ConjugatePrior
from pyvae.mixture.processes import Processes
from pyvae.mixture.reseeding import Reseeding
from pyvae.mixture.start import Given, start
from pyvae.mixture.trimming import SHARES, trimmed_method

_NOT_OF_FACTORS = ("covariances_", "precisions_", "precisions_cholesky_")


class GaussianMixture(
    MixtureEstimator[GaussianEM],
    Coordinates["GaussianMixture"],
    NoisyMixture,
    Criteria,
    Exchange,
):
    """Mixture of Gaussians fitted by EM, in place of ``sklearn.mixture.GaussianMixture``.

    Same parameters, attributes and methods; beside these, weights of points, points of which
    coordinates are missing, minibatches, files larger than memory, and torch tensors on any device.
    The E step is one pass of :func:`pyvae.mixture_statistics`, which writes no ``(N, K)`` matrix.

    Parameters
    ----------
    covariance_type
        ``"full"``, ``"tied"``, ``"diag"`` or ``"spherical"``, as scikit-learn's; of all components
        ``"tied_diag"``, one variance a coordinate, ``(D,)``, or ``"tied_spherical"``, one number.
        ``"low_rank"`` is a mixture of factor analysers: ``rank`` factors and noise of its own a
        coordinate, for points of many coordinates, of which no D x D matrix is made.
    rank
        Factors a component of ``"low_rank"``, below D; others have no use for it.
    n_components, tol, reg_covar, max_iter, n_init, init_params, weights_init, means_init, \
precisions_init, random_state, warm_start, verbose, verbose_interval
        As scikit-learn's. With ``reg_covar=0`` the M step is exact, and each iteration checks that
        the free energy does not fall. ``init_params="short_em"``, the default, is the best of three
        short runs of EM, on a sample of many points; scikit-learn's names mean what they do there;
        and ``"trimmed_kmeans"`` is k-means without the tenth of the points that is farthest, or
        without more where more are far away. With labels, a ``prior`` or factors the default is
        k-means.
    missing_values
        ``"refuse"`` NaN, or ``"marginalize"``: NaN stands for what was not observed, and is
        integrated out exactly.
    reseed
        Whether a component that has lost its points, or all but copies of one, starts again amid
        those explained worst, once EM has ended; with a warning, where that leads to a better end.
        EM has ``max_iter`` iterations from there, and what is said of how it went is of these.
    prior
        A :class:`pyvae.mixture.ConjugatePrior` on the parameters: the fit is its posterior's mode.
        Of ``"low_rank"`` there is none.
    noise
        ``"uniform"`` adds a component of noise, uniform in the box of X, for points that are of no
        cluster. The default and ``init_params="kmeans"`` then stand for ``"trimmed_kmeans"``, and
        a start at single points is refused.
    distributed
        Whether each process of torch's default group has other points, and all fit one mixture:
        one reduction of the sums an iteration. The start is that of rank 0, from its points, so
        let no rank have points of one kind.

    Attributes
    ----------
    weights_, means_, covariances_, precisions_, precisions_cholesky_
        The mixture, in float64, in scikit-learn's shapes: tensors on X's device after a fit of a
        tensor, arrays otherwise.
    factors_, noise_variances_
        Of ``"low_rank"`` in place of the last three: loadings ``(K, D, rank)`` and variances
        ``(K, D)``. Covariances are ``factors_ @ factors_.mT`` with these on the diagonal.
    noise_weight_, noise_box_, noise_log_volume_
        With noise its weight, which ``weights_`` leave of one, the corners of its box ``(2, D)``,
        and the logarithm of the box's volume.
    covariance_matrices_
        The same covariances as matrices ``(K, D, D)``, whatever their type.
    converged_, n_iter_, lower_bound_, lower_bounds_
        How the best start went; bounds are mean log-likelihoods, in nats a point.
    n_features_in_, n_samples_seen_
        D, and the sum of the weights of the points behind the mixture.

    Notes
    -----
    The attributes are all of its state. Set ``weights_``, ``means_`` and ``precisions_cholesky_``
    by hand, and it is that mixture, to be asked or to go on. As in scikit-learn densities read
    ``precisions_cholesky_``; so do samples, with a warning where ``covariances_`` are others. Of
    ``"low_rank"`` all read ``factors_``, whose columns may be rotated, and ``noise_variances_``.

    References
    ----------
    Dempster, Laird & Rubin (1977); Bishop (2006), section 9.2; for ``partial_fit`` Cappé & Moulines
    (2009), "On-line expectation-maximization algorithm for latent data models"; for ``"low_rank"``
    Ghahramani & Hinton (1996), "The EM algorithm for mixtures of factor analyzers".

    Examples
    --------
    >>> import numpy as np
    >>> X = np.array([[1.0, 2.0], [1.0, 4.0], [1.0, 0.0], [10.0, 2.0], [10.0, 4.0], [10.0, 0.0]])
    >>> mixture = GaussianMixture(n_components=2, random_state=0).fit(X)
    >>> mixture.means_[mixture.predict([[0.0, 0.0], [12.0, 3.0]])].round(3)
    array([[ 1.,  2.],
           [10.,  2.]])
    >>> GaussianMixture(2, covariance_type="tied_diag", random_state=0).fit(X).covariances_.round(2)
    array([0.  , 2.67])
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **RANGES,
        "covariance_type": [StrOptions(set(NAMES))],
        "rank": [Interval(Integral, 1, None, closed="left"), None],
        "weights_init": ["array-like", Tensor, None],
        "means_init": ["array-like", Tensor, None],
        "precisions_init": [
            Interval(Real, 0.0, None, closed="neither"), "array-like", np.ndarray, Tensor, None,
        ],
        "reseed": ["boolean"],
        "prior": [ConjugatePrior, None],
        "noise": [StrOptions({"uniform"}), None],
    }  # fmt: skip

    def __init__(
        self,
        n_components: int = 1,
        *,
        covariance_type: str = "full",
        rank: int | None = None,
        tol: float = 1e-3,
        reg_covar: float = 1e-6,
        max_iter: int = 100,
        n_init: int = 1,
        init_params: str = "short_em",
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
        noise: str | None = None,
        distributed: bool = False,
    ) -> None:
        self.n_components = n_components
        self.covariance_type = covariance_type
        self.rank = rank
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
        self.noise = noise
        self.distributed = distributed

    if not TYPE_CHECKING:  # where it would say that there is every attribute

        def __getattr__(self, name: str) -> Any:
            if name in _NOT_OF_FACTORS and vars(self).get("covariance_type") == LowRank.name:
                raise AttributeError(
                    f"a low_rank mixture has no {name}: it has factors_ and noise_variances_, and "
                    "covariance_matrices_ makes (K, D, D) of them"
                )
            return super().__getattribute__(name)  # which says why there is none

    @property
    def n_parameters_(self) -> int:
        """Number of free parameters: of weights, means and covariances.

        Noise has two, its weight and its volume.
        """
        k, d = self._parameters().means.shape
        return self._kind.parameters(k, d) + k * d + k - 1 + 2 * self._has_noise

    @property
    def _plain(self) -> type[GaussianMixture]:
        return type(self)

    def _model(
        self,
        points: Points,
        random: np.random.RandomState,
        present: Parameters | None,
        processes: Processes,
        *,
        batch: bool,
    ) -> GaussianEM:
        if isinstance(self._kind, LowRank):
            self._kind.require_dimension(points.dimension)
            if self.prior is not None:
                raise WrongValue(
                    "prior= with covariance_type='low_rank', which has no conjugate prior: leave "
                    "it out (reg_covar bounds the noise's variances), or take another type"
                )
        begin = self._start(points, random, present)
        begin = Parameters(*processes.of_the_first(begin[:3]))
        options: dict[str, Any] = {
            "dtype": points.origin.dtype,
            "reg_covar": float(self.reg_covar),
            "prior": None if self.prior is None else self.prior.about(points.origin),
            "incomplete": self.missing_values == "marginalize",
            "processes": processes,
        }
        if self.noise is None:
            return GaussianEM(self._kind, begin, **options)
        before = None if present is None else self._noise(present)
        weight = SHARES[0] if before is None else before.weight.item()
        noise = Noise.about(points, weight, processes, before if batch else None)
        return NoiseEM(self._kind, begin, noise=noise, **options)

    def _start(
        self, points: Points, random: np.random.RandomState, present: Parameters | None
    ) -> Parameters:
        """Parameters about the points' origin: the present ones, or those of a new start."""
        if present is not None:
            return present.to(points.origin.device).about(points.origin)
        given = Given(self.weights_init, self.means_init, self.precisions_init)
        method, reg_covar = self.init_params, float(self.reg_covar)
        if self.noise is not None:
            method = trimmed_method(method)
        elif self.prior is not None and method == "short_em":
            method = "kmeans"  # short runs go by the likelihood, which may be of another shape
        return start(given, self._kind, points, self.n_components, method, random, reg_covar)

    def _ascend(
        self,
        model: GaussianEM,
        points: Points,
        random: np.random.RandomState,
        start: float | None,
        told: Callable[[int, float, float], None],
    ) -> Ascent:
        max_iter, tol = self.max_iter, self.tol
        if self.reseed:
            reseeding = Reseeding(model, points, random)
            return reseeding.ascend(max_iter=max_iter, tol=tol, start=start, told=told)
        return ascend(model, points, max_iter=max_iter, tol=tol, start=start, told=told)

    def _keep(
        self, X: Array, origin: Tensor, ascent: Ascent, model: GaussianEM, seen: float
    ) -> None:
        super()._keep(X, origin, ascent, model, seen)
        if isinstance(model, NoiseEM):
            self.noise_weight_ = model.noise.weight.item()
            self.noise_box_ = as_given(X, model.noise.box)
        elif self._has_noise:
            del self.noise_weight_, self.noise_box_
