# SPDX-License-Identifier: MIT
"""What a fitted mixture of products says of points, draws, and keeps in a file."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from sklearn.base import BaseEstimator, DensityMixin
from sklearn.exceptions import NotFittedError
from sklearn.utils import check_random_state
from torch import Tensor

from pyvae.errors import WrongValue
from pyvae.mixture import arrays
from pyvae.mixture.arrays import Array, read_weight
from pyvae.mixture.criteria import Criteria
from pyvae.mixture.file_layout import located
from pyvae.mixture.products import files, reading
from pyvae.mixture.products.layout import Layout
from pyvae.mixture.products.product import Product, ProductParameters
from pyvae.mixture.products.reading import Given
from pyvae.mixture.products.rows import Rows
from pyvae.mixture.streams import Stream, opened

if TYPE_CHECKING:
    from typing_extensions import Self


class FittedProduct(Criteria, DensityMixin, BaseEstimator):
    """Base of the estimators: all that takes a mixture as its public attributes say it."""

    weight_prior: float
    probability_prior: float
    variance_prior: float = 0.0
    random_state: int | np.random.RandomState | None
    missing_values: str
    n_features_in_: int
    feature_names_in_: np.ndarray  # where the columns of the fit had names
    weights_: Array
    _labels: ClassVar[bool] = True  # whether columns may hold something else than numbers
    _settings: ClassVar[dict[str, Any]] = files.SETTINGS  # that are saved

    def predict(self, X: Array) -> Array:
        """Most probable component of every point, ``(N,)``."""
        X = opened(X)
        found = self._by_point(X, lambda product, x, p: product.posterior(x, p)[0].argmax(1))
        return arrays.as_given(X, found)

    def predict_proba(self, X: Array) -> Array:
        """Responsibilities, ``(N, K)``; the weights, of a point that no component can have made."""
        X = opened(X)
        found = self._by_point(X, lambda product, x, p: product.posterior(x, p)[0].exp())
        return arrays.as_given(X, found)

    def score_samples(self, X: Array) -> Array:
        """Log-density of every point, ``(N,)``, in nats; of values that have no chance, -inf."""
        X = opened(X)
        found = self._by_point(X, lambda product, x, p: product.posterior(x, p)[1])
        return arrays.as_given(X, found)

    def score(self, X: Array, y: object = None) -> float:  # type: ignore[override]
        """Mean log-density, in nats a point."""
        return float(self.score_samples(X).mean())

    def sample(self, n_samples: int = 1) -> tuple[Array, Array]:
        """Draw points.

        Returns
        -------
        ``(n_samples, D)``, ordered by component, of the kind that was fitted; and the components
        ``(n_samples,)``.

        Raises
        ------
        ValueError
            If ``n_samples`` is below one.
        """
        p = self._fitted()
        if n_samples < 1:
            raise WrongValue(f"n_samples={n_samples}; expected at least 1 for sample()")
        product = self._product(self._layout())
        drawn, labels = product.drawn(p, n_samples, check_random_state(self.random_state))
        return self._values(drawn, None), arrays.as_given(self.weights_, labels)

    def impute(self, X: Array) -> Array:
        """Give the points with what is missing in its place.

        Of numbers that is their conditional expectation given what was observed, of other columns
        the most probable value.

        Returns
        -------
        ``(N, D)``, of the kind of X.

        Examples
        --------
        >>> import numpy as np
        >>> from pyvae.mixture import BernoulliMixture
        >>> X = np.repeat([[1.0, 1.0, 1.0], [0.0, 0.0, 0.0]], 10, axis=0)
        >>> mixture = BernoulliMixture(2, random_state=0).fit(X)
        >>> mixture.impute([[1.0, np.nan, 1.0], [np.nan, 0.0, 0.0]])
        array([[1., 1., 1.],
               [0., 0., 0.]])
        """
        return self._values(self._by_point(X, Product.completed, missing=True), X)

    def save(self, path: str | Path) -> None:
        """Write the fitted mixture into a file of safetensors, with the settings and its columns.

        Parameters
        ----------
        path
            The file, by its whole name; one that is there is replaced in one step.

        Raises
        ------
        NotFittedError
            If there is no mixture yet.
        ValueError
            If categories are no texts, numbers or truth values.
        """
        p, layout = self._fitted(), self._layout()
        files.save(self, p, layout, self._settings, Path(path).expanduser())

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
        path = located(path)
        stored = files.load(cls.__name__, cls._settings, path)
        kind: Any = cls  # whose constructor a subclass has
        new = kind(len(stored.weights), **stored.settings)
        new.n_features_in_ = len(stored.layout.columns)
        if stored.named:
            names = [str(column.name) for column in stored.layout.columns]
            new.feature_names_in_ = np.array(names, dtype=object)
        new._learnt(stored.layout, stored.frame)
        p = stored.parameters(new._product(stored.layout))
        new._set(p, stored.layout, np.empty(0))
        try:
            new._fitted()
        except WrongValue as error:
            raise WrongValue(f"{path}: holds no mixture: {error}") from error
        vars(new).update(stored.facts)
        return new

    @property
    def n_parameters_(self) -> int:
        """Number of free parameters: of the weights, and of every column in every component."""
        p = self._fitted()
        return self._product(self._layout()).num_parameters(len(p.weights))

    @abstractmethod
    def _layout(self) -> Layout:
        """Give what the public attributes say of the columns."""

    @abstractmethod
    def _learnt(self, layout: Layout, frame: str | None) -> None:
        """Set what the public attributes say of the columns, and of which library the table was."""

    @abstractmethod
    def _set(self, p: ProductParameters, layout: Layout, example: Array) -> None:
        """Set the attributes that say a mixture, as tensors or arrays as the example is one."""

    @abstractmethod
    def _parameters(self) -> ProductParameters:
        """Give what the public attributes say of the mixture."""

    def _fitted(self) -> ProductParameters:
        if "weights_" not in vars(self):
            raise NotFittedError(
                f"This {type(self).__name__} instance is not fitted yet: call fit() first"
            )
        return self._parameters()

    def _product(self, layout: Layout, *, missing: bool | None = None) -> Product:
        incomplete = self.missing_values == "marginalize" if missing is None else missing
        blocks = layout.blocks(float(self.probability_prior), float(self.variance_prior))
        return Product(blocks, float(self.weight_prior), incomplete=incomplete)

    def _read(self, X: Array, *, fits: bool, least: int = 1, missing: bool = False) -> Given:
        missing = missing or self.missing_values == "marginalize"
        labels = self._labels
        return reading.read(self, X, fits=fits, least=least, allow_nan=missing, labels=labels)

    def _rows(
        self, given: Given, layout: Layout, weight: Array | None, *, missing: bool = False
    ) -> Rows:
        missing = missing or self.missing_values == "marginalize"
        source, raw = layout.encoded(given, missing=missing)
        if isinstance(source, Stream) and weight is not None:
            source.keep_order("sample_weight")
        device = source.device if isinstance(source, Tensor | Stream) else None
        like = torch.empty(len(source), 0, dtype=torch.float64, device=device)
        return Rows(source, read_weight(weight, like), layout.encode if raw else Tensor.double)

    def _by_point(
        self,
        X: Array,
        function: Callable[[Product, Tensor, ProductParameters], Tensor],
        *,
        missing: bool = False,
    ) -> Tensor:
        """Apply a function to all points, some at a time."""
        p, layout = self._fitted(), self._layout()
        given = self._read(X, fits=False, missing=missing)
        rows = self._rows(given, layout, None, missing=missing)
        product = self._product(layout, missing=missing or None)
        p = p.to(rows.device)
        width = max(len(layout.columns), len(p.weights))
        return torch.cat([function(product, x, p) for x, _ in rows.chunks(width)])

    def _values(self, x: Tensor, X: Array | None) -> Array:
        """Give what numbers stand for, of the kind of X or, without, of the table of the fit."""
        layout, example = self._layout(), self.weights_ if X is None else X
        kind = vars(self).get("frame_") if X is None else reading.library(X)
        if kind is None and not layout.of("categorical"):
            return arrays.as_given(example, x)
        columns = zip(layout.columns, x.cpu().numpy().T, strict=True)
        found = {column.name: column.decoded(values) for column, values in columns}
        if kind is not None:
            return reading.frame(kind, found, X)
        values = np.stack(list(found.values()), 1)
        return torch.from_numpy(values).to(x.device) if isinstance(example, Tensor) else values

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = self.missing_values == "marginalize"
        tags.input_tags.string = self._labels
        return tags
