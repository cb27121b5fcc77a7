# SPDX-License-Identifier: MIT
"""The latent class model: a mixture of products of categorical distributions, as an estimator."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from sklearn.utils._param_validation import StrOptions

from pyvae.errors import WrongValue
from pyvae.mixture import arrays
from pyvae.mixture.arrays import Array
from pyvae.mixture.products import attributes, reading
from pyvae.mixture.products.estimator import RANGES, ProductMixture
from pyvae.mixture.products.layout import Layout, categorical, learnt_categories, told_categories
from pyvae.mixture.products.product import ProductParameters
from pyvae.mixture.products.reading import Given


class CategoricalMixture(ProductMixture):
    """Mixture of K products of categorical distributions: latent class analysis, fitted by EM.

    Columns hold codes, texts or other labels, and are independent given the component. Categories
    are those of the fit, in order, as ``sklearn.preprocessing.OrdinalEncoder`` has them; another
    one is refused later.

    Parameters
    ----------
    n_components
        K.
    categories
        ``"auto"``, or those of every column, in any order: a list of lists.
    tol
        EM stops when its bound changes by less, in nats a point.
    max_iter, n_init
        Most iterations of a start, and starts, of which the best is kept.
    init_params
        ``"kmeans"``: first responsibilities are nine tenths for the nearest centre of k-means on
        one column a category (one-hot), what is missing at its column's frequencies, and a tenth
        evenly for all components; or ``"random"``.
    weight_prior
        Concentration of a symmetric Dirichlet prior on the weights, at least 1.
    probability_prior
        Concentration of a symmetric Dirichlet prior on the probabilities of each column in each
        component, at least 1. At 1, the default of either, the prior is flat and EM finds the
        maximum likelihood; above it no category is impossible.
    random_state, warm_start, verbose, verbose_interval
        As scikit-learn's mixtures have them.
    missing_values
        ``"refuse"`` NaN and None, or ``"marginalize"``: they stand for what was not observed, and
        are integrated out exactly.
    distributed
        Whether each process of torch's default group has other points, and all fit one mixture;
        tell ``categories`` where not every process has points of all.

    Attributes
    ----------
    weights_
        ``(K,)``, in float64: a tensor on X's device after a fit of a tensor, an array otherwise.
    probabilities_
        A list with ``(K, C_j)`` for every column.
    categories_
        A list with an array of the categories of every column.
    converged_, n_iter_, lower_bound_, lower_bounds_
        How the best start went; bounds are log-likelihoods with the log-prior, in nats a point,
        after ``partial_fit`` the log-likelihood of the batch.
    n_features_in_, n_samples_seen_, n_parameters_
        D, the sum of the weights of the points behind the mixture, and the number of free
        parameters.

    References
    ----------
    Goodman (1974), "Exploratory latent structure analysis using both identifiable and
    unidentifiable models"; Bishop (2006), section 9.3.3.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.array([["red", "round"], ["red", "round"], ["blue", "flat"], ["blue", "flat"]])
    >>> mixture = CategoricalMixture(2, random_state=0).fit(X)
    >>> mixture.categories_[0].tolist(), mixture.probabilities_[0].round(3).max(1).tolist()
    (['blue', 'red'], [1.0, 1.0])
    >>> mixture.predict_proba([["red", "round"]]).round(3).max()
    np.float64(1.0)
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **RANGES,
        "categories": [StrOptions({"auto"}), list],
    }

    def __init__(
        self,
        n_components: int = 1,
        *,
        categories: str | Sequence[Sequence[Any]] = "auto",
        tol: float = 1e-4,
        max_iter: int = 300,
        n_init: int = 1,
        init_params: str = "kmeans",
        weight_prior: float = 1.0,
        probability_prior: float = 1.0,
        random_state: int | np.random.RandomState | None = None,
        warm_start: bool = False,
        verbose: int = 0,
        verbose_interval: int = 10,
        missing_values: str = "refuse",
        distributed: bool = False,
    ) -> None:
        self.n_components = n_components
        self.categories = categories
        self.tol = tol
        self.max_iter = max_iter
        self.n_init = n_init
        self.init_params = init_params
        self.weight_prior = weight_prior
        self.probability_prior = probability_prior
        self.random_state = random_state
        self.warm_start = warm_start
        self.verbose = verbose
        self.verbose_interval = verbose_interval
        self.missing_values = missing_values
        self.distributed = distributed

    def _learn(self, given: Given) -> Layout:
        names = reading.names(self)
        if isinstance(self.categories, str):
            found = [learnt_categories(given, at, name) for at, name in enumerate(names)]
        elif len(self.categories) != len(names):
            raise WrongValue(
                f"categories has {len(self.categories)} lists, and X {len(names)} columns; "
                "expected one list a column"
            )
        else:
            pairs = zip(self.categories, names, strict=True)
            found = [told_categories(values, name) for values, name in pairs]
        return Layout(tuple(map(categorical, names, found)))

    def _layout(self) -> Layout:
        return Layout(tuple(map(categorical, reading.names(self), self.categories_)))

    def _learnt(self, layout: Layout, frame: str | None) -> None:
        if len(layout.of("categorical")) != len(layout.columns):
            raise WrongValue("the columns are not all categorical; load them as a TableMixture")
        self.categories_ = [c.categories for c in layout.columns if c.categories is not None]
        self.frame_ = frame

    def _set(self, p: ProductParameters, layout: Layout, example: Array) -> None:
        self.weights_ = arrays.as_given(example, p.weights)
        sizes = [len(categories) for categories in self.categories_]
        columns = p.blocks[0][0].split(sizes, 1)
        self.probabilities_ = [arrays.as_given(example, c.contiguous()) for c in columns]

    def _parameters(self) -> ProductParameters:
        weights = attributes.weights(self)
        if len(self.probabilities_) != len(self.categories_):
            raise WrongValue(
                f"probabilities_ has {len(self.probabilities_)} columns, and categories_ "
                f"{len(self.categories_)}; expected one table a column"
            )
        columns = [
            attributes.table(
                f"probabilities_[{at}]", values, (len(weights), len(categories)), weights.device
            )
            for at, (values, categories) in enumerate(
                zip(self.probabilities_, self.categories_, strict=True)
            )
        ]
        return ProductParameters(weights, ((torch.cat(columns, 1),),))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.categorical = True
        return tags
