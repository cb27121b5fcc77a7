# SPDX-License-Identifier: MIT
"""The mixture of products of Bernoulli distributions as an estimator of scikit-learn's."""

from __future__ import annotations

from numbers import Real
from typing import Any, ClassVar

import numpy as np
from sklearn.utils._param_validation import Interval

from pyvae.errors import WrongValue
from pyvae.mixture import arrays
from pyvae.mixture.arrays import Array
from pyvae.mixture.products import attributes, reading
from pyvae.mixture.products.discrete import interleaved, pair
from pyvae.mixture.products.estimator import RANGES, ProductMixture
from pyvae.mixture.products.files import SETTINGS
from pyvae.mixture.products.layout import Layout, binary
from pyvae.mixture.products.product import ProductParameters
from pyvae.mixture.products.reading import Given
from pyvae.storage.form import Maybe
from pyvae.storage.form import Real as RealForm


class BernoulliMixture(ProductMixture):
    """Mixture of K products of D Bernoulli distributions, for binary data, fitted by EM.

    Columns are independent given the component; the log-density of all points in all components is
    one matrix product.

    Parameters
    ----------
    n_components
        K.
    tol
        EM stops when its bound changes by less, in nats a point.
    max_iter, n_init
        Most iterations of a start, and starts, of which the best is kept.
    init_params
        ``"kmeans"``: first responsibilities are nine tenths for the nearest centre of k-means on
        the columns as they are, what is missing at its column's mean, and a tenth evenly for all
        components; or ``"random"``.
    weight_prior
        Concentration of a symmetric Dirichlet prior on the weights, at least 1.
    probability_prior
        Both parameters of a symmetric Beta prior on every probability, at least 1. At 1, the
        default of either, the prior is flat and EM finds the maximum likelihood; above it no value
        is impossible.
    binarize
        The number above which a value counts as one; None takes zeros and ones alone.
    random_state, warm_start, verbose, verbose_interval
        As scikit-learn's mixtures have them.
    missing_values
        ``"refuse"`` NaN, or ``"marginalize"``: NaN stands for what was not observed, and is
        integrated out exactly.
    distributed
        Whether each process of torch's default group has other points, and all fit one mixture.

    Attributes
    ----------
    weights_, probabilities_
        ``(K,)``, and of ones ``(K, D)``, in float64: tensors on X's device after a fit of a tensor,
        arrays otherwise. They may be changed by hand.
    converged_, n_iter_, lower_bound_, lower_bounds_
        How the best start went; bounds are log-likelihoods with the log-prior, in nats a point,
        after ``partial_fit`` the log-likelihood of the batch.
    n_features_in_, n_samples_seen_, n_parameters_
        D, the sum of the weights of the points behind the mixture, and the number of free
        parameters.

    References
    ----------
    Bishop (2006), section 9.3.3; for the priors, section 2.1.1 and equation 2.38.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.array([[1, 0], [1, 0], [0, 1]])
    >>> BernoulliMixture(1).fit(X).probabilities_.round(4)
    array([[0.6667, 0.3333]])
    >>> BernoulliMixture(2, random_state=0).fit(X).weights_.round(4).max()
    np.float64(0.6667)
    """

    _labels: ClassVar[bool] = False
    _settings: ClassVar[dict[str, Any]] = {
        **SETTINGS,
        "binarize": Maybe(RealForm()),
    }
    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **RANGES,
        "binarize": [Interval(Real, None, None, closed="neither"), None],
    }

    def __init__(
        self,
        n_components: int = 1,
        *,
        tol: float = 1e-4,
        max_iter: int = 300,
        n_init: int = 1,
        init_params: str = "kmeans",
        weight_prior: float = 1.0,
        probability_prior: float = 1.0,
        binarize: float | None = None,
        random_state: int | np.random.RandomState | None = None,
        warm_start: bool = False,
        verbose: int = 0,
        verbose_interval: int = 10,
        missing_values: str = "refuse",
        distributed: bool = False,
    ) -> None:
        self.n_components = n_components
        self.tol = tol
        self.max_iter = max_iter
        self.n_init = n_init
        self.init_params = init_params
        self.weight_prior = weight_prior
        self.probability_prior = probability_prior
        self.binarize = binarize
        self.random_state = random_state
        self.warm_start = warm_start
        self.verbose = verbose
        self.verbose_interval = verbose_interval
        self.missing_values = missing_values
        self.distributed = distributed

    def _learn(self, given: Given) -> Layout:
        return self._layout()

    def _layout(self) -> Layout:
        return binary(reading.names(self), self.binarize)

    def _learnt(self, layout: Layout, frame: str | None) -> None:
        if layout.of("bernoulli") != list(range(len(layout.columns))):
            raise WrongValue("the columns are not all binary; load them as a TableMixture")
        self.frame_ = frame

    def _set(self, p: ProductParameters, layout: Layout, example: Array) -> None:
        self.weights_ = arrays.as_given(example, p.weights)
        self.probabilities_ = arrays.as_given(example, pair(p.blocks[0][0])[1].contiguous())

    def _parameters(self) -> ProductParameters:
        weights = attributes.weights(self)
        shape = len(weights), self.n_features_in_
        ones = attributes.probabilities(self, "probabilities_", shape, weights.device)
        return ProductParameters(weights, ((interleaved(1.0 - ones, ones),),))
