# SPDX-License-Identifier: MIT
"""The mixture for tables: columns of numbers, of truth values and of categories side by side."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Real
from typing import Any, ClassVar

import numpy as np
import torch
from sklearn.utils._param_validation import Interval, StrOptions
from torch import Tensor

from pyvae.errors import WrongValue
from pyvae.mixture import arrays, state
from pyvae.mixture.arrays import Array
from pyvae.mixture.products import attributes, reading
from pyvae.mixture.products.block import Numbers
from pyvae.mixture.products.discrete import interleaved, pair
from pyvae.mixture.products.estimator import RANGES, ProductMixture
from pyvae.mixture.products.files import SETTINGS
from pyvae.mixture.products.layout import FAMILIES, Column, Layout, chosen
from pyvae.mixture.products.product import ProductParameters
from pyvae.mixture.products.reading import Given
from pyvae.storage.form import Real as RealForm


class TableMixture(ProductMixture):
    """Mixture for tables of mixed columns, independent given the component, fitted by EM.

    A column is Gaussian, Bernoulli or categorical: latent profile and latent class analysis in one.
    It takes frames of pandas and polars, arrays and tensors.

    Parameters
    ----------
    n_components
        K.
    columns
        ``"auto"``, or families by the names of columns (by their numbers, where they have none):
        ``{"age": "gaussian", "smokes": "bernoulli", "town": "categorical"}``. Of columns that are
        not named, and by ``"auto"``, truth values and numbers that are all 0 or 1 are Bernoulli,
        other numbers Gaussian, and all else is categorical. ``columns_`` says what was chosen.
    tol
        EM stops when its bound changes by less, in nats a point.
    max_iter, n_init
        Most iterations of a start, and starts, of which the best is kept.
    init_params
        ``"kmeans"``: first responsibilities are nine tenths for the nearest centre of k-means on
        numbers in standard units, truth values, and one column a category (one-hot), what is
        missing at its column's mean, and a tenth evenly for all components; or ``"random"``.
    weight_prior
        Concentration of a symmetric Dirichlet prior on the weights, at least 1.
    probability_prior
        Concentration of a symmetric Dirichlet prior on the probabilities of each discrete column in
        each component, at least 1. At 1, the default of either, the prior is flat; above it no
        value is impossible.
    variance_prior
        Prior on the variances, as good as so many points in each component at its mean with the
        variance of all data, whatever the columns' units. At 0 the fit is the maximum likelihood,
        of which there is none where a component closes in on equal values: an error.
    random_state, warm_start, verbose, verbose_interval
        As scikit-learn's mixtures have them.
    missing_values
        ``"refuse"`` NaN and None, or ``"marginalize"``: they stand for what was not observed, and
        are integrated out exactly.
    distributed
        Whether each process of torch's default group has other points, and all fit one mixture.

    Attributes
    ----------
    columns_
        The family of every column, by its name or number.
    weights_
        ``(K,)``, in float64: a tensor on X's device after a fit of a tensor, an array otherwise.
    means_, variances_
        Of the Gaussian columns, in their order, ``(K, D_g)``.
    probabilities_
        By the names of the other columns: of ones ``(K,)``, of categories ``(K, C_j)``.
    categories_
        An array of the categories of every categorical column, by its name.
    converged_, n_iter_, lower_bound_, lower_bounds_
        How the best start went; bounds are log-likelihoods with the log-prior, in nats a point,
        after ``partial_fit`` the log-likelihood of the batch.
    n_features_in_, n_samples_seen_, n_parameters_
        D, the sum of the weights of the points behind the mixture, and the number of free
        parameters.

    References
    ----------
    Lazarsfeld & Henry (1968), "Latent structure analysis"; Everitt (1988), "A finite mixture model
    for the clustering of mixed-mode data"; for the prior on the variances Fraley & Raftery (2007).

    Examples
    --------
    >>> import pandas as pd
    >>> X = pd.DataFrame({"size": [1.0, 1.2, 0.9, 8.0, 8.3], "kind": ["cat"] * 3 + ["dog"] * 2})
    >>> mixture = TableMixture(2, random_state=0).fit(X)
    >>> mixture.columns_
    {'size': 'gaussian', 'kind': 'categorical'}
    >>> mixture.impute(pd.DataFrame({"size": [8.1, None], "kind": [None, "cat"]})).round(2)
       size kind
    0  8.10  dog
    1  1.03  cat
    """

    _settings: ClassVar[dict[str, Any]] = {
        **SETTINGS,
        "variance_prior": RealForm(0.0),
    }
    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **RANGES,
        "columns": [StrOptions({"auto"}), dict],
        "variance_prior": [Interval(Real, 0.0, None, closed="left")],
    }

    def __init__(
        self,
        n_components: int = 1,
        *,
        columns: str | Mapping[Any, str] = "auto",
        tol: float = 1e-4,
        max_iter: int = 300,
        n_init: int = 1,
        init_params: str = "kmeans",
        weight_prior: float = 1.0,
        probability_prior: float = 1.0,
        variance_prior: float = 0.01,
        random_state: int | np.random.RandomState | None = None,
        warm_start: bool = False,
        verbose: int = 0,
        verbose_interval: int = 10,
        missing_values: str = "refuse",
        distributed: bool = False,
    ) -> None:
        self.n_components = n_components
        self.columns = columns
        self.tol = tol
        self.max_iter = max_iter
        self.n_init = n_init
        self.init_params = init_params
        self.weight_prior = weight_prior
        self.probability_prior = probability_prior
        self.variance_prior = variance_prior
        self.random_state = random_state
        self.warm_start = warm_start
        self.verbose = verbose
        self.verbose_interval = verbose_interval
        self.missing_values = missing_values
        self.distributed = distributed

    def _learn(self, given: Given) -> Layout:
        names = reading.names(self)
        told = {} if isinstance(self.columns, str) else self.columns
        for name, family in told.items():
            if name not in names:
                some = ", ".join(map(repr, names[:8])) + ", ..." * (len(names) > 8)
                raise WrongValue(f"columns names {name!r}, and X has {some}")
            if family not in FAMILIES:
                raise WrongValue(
                    f"columns[{name!r}]={family!r}; expected one of {', '.join(FAMILIES)}"
                )
        return Layout(
            tuple(chosen(given, at, name, told.get(name)) for at, name in enumerate(names))
        )

    def _layout(self) -> Layout:
        dtypes = self._dtypes
        return Layout(
            tuple(
                Column(name, family, dtypes[at], self.categories_.get(name))
                for at, (name, family) in enumerate(self.columns_.items())
            )
        )

    def _learnt(self, layout: Layout, frame: str | None) -> None:
        self.columns_ = {column.name: column.family for column in layout.columns}
        self.categories_ = {
            c.name: c.categories for c in layout.columns if c.categories is not None
        }
        self._dtypes = [column.dtype for column in layout.columns]
        self.frame_ = frame

    def _set(self, p: ProductParameters, layout: Layout, example: Array) -> None:
        found = _by_family(layout, p.blocks)
        self.weights_ = arrays.as_given(example, p.weights)
        means, variances = found.get("gaussian", (p.weights.new_empty(len(p.weights), 0),) * 2)
        self.means_ = arrays.as_given(example, means)
        self.variances_ = arrays.as_given(example, variances)
        tables: dict[Any, Tensor] = {}
        if "bernoulli" in found:
            ones = pair(found["bernoulli"][0])[1]
            tables |= {
                layout.columns[at].name: ones[:, i] for i, at in enumerate(layout.of("bernoulli"))
            }
        if "categorical" in found:
            names = [layout.columns[at].name for at in layout.of("categorical")]
            sizes = [len(self.categories_[name]) for name in names]
            tables |= dict(zip(names, found["categorical"][0].split(sizes, 1), strict=True))
        self.probabilities_ = {
            name: arrays.as_given(example, tables[name].contiguous())
            for name, family in self.columns_.items()
            if family != "gaussian"
        }

    def _parameters(self) -> ProductParameters:
        weights, layout = attributes.weights(self), self._layout()
        k, device = len(weights), weights.device
        blocks: list[Numbers] = []
        if gaussian := layout.of("gaussian"):
            shape, reason = (k, len(gaussian)), "components and Gaussian columns"
            means, variances = (
                state.shaped(self, name, shape, reason, device) for name in ("means_", "variances_")
            )
            if not (variances > 0).all():
                raise WrongValue("variances_ holds numbers that are not above zero")
            blocks.append((means, variances))
        if bernoulli := layout.of("bernoulli"):
            columns = [self._table(layout.columns[at], (k,), device) for at in bernoulli]
            ones = torch.stack(columns, 1)
            blocks.append((interleaved(1.0 - ones, ones),))
        if categorical := layout.of("categorical"):
            names = [layout.columns[at] for at in categorical]
            columns = [self._table(c, (k, len(self.categories_[c.name])), device) for c in names]
            blocks.append((torch.cat(columns, 1),))
        return ProductParameters(weights, tuple(blocks))

    def _table(self, column: Column, shape: tuple[int, ...], device: torch.device) -> Tensor:
        name = f"probabilities_[{column.name!r}]"
        return attributes.table(name, self.probabilities_.get(column.name), shape, device)


def _by_family(layout: Layout, blocks: tuple[Numbers, ...]) -> dict[str, Numbers]:
    """Name the blocks, which come in the order of the families."""
    return dict(zip([family for family in FAMILIES if layout.of(family)], blocks, strict=True))
