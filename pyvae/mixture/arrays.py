# SPDX-License-Identifier: MIT
"""What the estimator is given, as tensors: arrays, tensors, mapped files, and their checks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from sklearn.utils.validation import _check_sample_weight, validate_data
from torch import Tensor

from pyvae.mixture.covariance import IllDefined
from pyvae.mixture.points import Points

if TYPE_CHECKING:
    from pyvae.mixture.fitted import FittedMixture
    from pyvae.mixture.gaussian_mixture import GaussianMixture

Array = Any  # whatever scikit-learn takes as an array, or a torch tensor
Source = Tensor | np.memmap
_ROWS = 2**16  # of a mapped file, checked at a time


def read(estimator: FittedMixture, X: Array, *, reset: bool, allow_nan: bool, least: int) -> Source:
    """Check points, and give them as a tensor, or as they are where they are mapped from a file.

    Raises
    ------
    ValueError
        If they are no matrix of finite numbers (or NaN, where that is allowed), are fewer than
        ``least``, or have another number of coordinates than at the fit.
    """
    if isinstance(X, Tensor):
        return _tensor(estimator, X, reset, allow_nan, least)
    if isinstance(X, np.memmap) and X.dtype in (np.float32, np.float64) and X.ndim == 2:
        _require_size(estimator, X, reset, least)
        for at in range(0, len(X), _ROWS):
            _require_finite(torch.from_numpy(np.array(X[at : at + _ROWS])), allow_nan, at)
        return X
    finite = "allow-nan" if allow_nan else True
    array: Any = validate_data(
        estimator,
        X,  # type: ignore[arg-type]  # it says "no_validation" of its default only
        reset=reset,
        dtype=[np.float64, np.float32],
        ensure_all_finite=finite,
        ensure_min_samples=least,
    )
    return torch.from_numpy(array if array.flags.writeable else array.copy())


def like(source: Source) -> Tensor:
    """Give an empty tensor of the same dtype on the same device."""
    if isinstance(source, Tensor):
        return source.new_empty(0)
    return torch.from_numpy(np.empty(0, dtype=source.dtype))


def read_weight(weight: Array | None, source: Source) -> Tensor | None:
    """Check weights ``(N,)``, and give them in the dtype of the points.

    Raises
    ------
    ValueError
        If they have another shape, are negative or not finite, or all zero.
    """
    if weight is None:
        return None
    if isinstance(weight, Tensor):
        found = weight.detach()
        if found.shape != (len(source),):
            raise ValueError(
                f"sample_weight has shape {tuple(found.shape)}; expected ({len(source)},)"
            )
    else:
        shaped = np.empty((len(source), 1), dtype=np.float64)
        found = torch.from_numpy(np.array(_check_sample_weight(weight, shaped)))
    found = found.to(like(source))
    if not (found >= 0).all() or not found.isfinite().all():
        raise ValueError("sample_weight must be finite and not negative")
    if not found.sum() > 0:
        raise ValueError("sample_weight is zero for every point; expected some above zero")
    return found


def given(estimator: GaussianMixture, points: Points) -> tuple[Tensor | None, ...]:
    """Give the weights, means (about the origin) and covariances to start from, checked.

    Raises
    ------
    ValueError
        If one has another shape, weights are not in [0, 1] or do not sum to one, or precisions are
        not positive definite.
    """
    kind, k, d = estimator._kind, estimator.n_components, points.dimension
    shapes = {"weights": (k,), "means": (k, d), "precisions": kind.shape(k, d)}
    found: dict[str, Tensor | None] = {}
    for name, shape in shapes.items():
        value = getattr(estimator, f"{name}_init")
        if value is not None:
            value = torch.as_tensor(value if isinstance(value, Tensor) else np.asarray(value))
            value = value.double().to(points.origin.device)
            if value.shape != shape:
                raise ValueError(
                    f"The parameter '{name}' should have the shape of {shape}, "
                    f"but got {tuple(value.shape)}"
                )
        found[name] = value
    weights, means, precisions = found.values()
    if weights is not None and not ((weights >= 0) & (weights <= 1)).all():
        raise ValueError("The parameter 'weights' should be in the range [0, 1]")
    if weights is not None and abs(weights.sum().item() - 1.0) > 1e-6:
        raise ValueError(
            f"The parameter 'weights' should be normalized, but got sum(weights) = {weights.sum()}"
        )
    means = None if means is None else means - points.origin.double()
    return weights, means, None if precisions is None else _covariances(estimator, precisions)


def _covariances(estimator: GaussianMixture, precisions: Tensor) -> Tensor:
    kind = estimator._kind
    message = f"The parameter '{kind.name} precision' should be positive"
    try:
        kind.precisions_cholesky(precisions)
    except IllDefined:
        raise ValueError(f"{message} definite" * kind.has_matrices or message) from None
    if kind.has_matrices and not torch.allclose(precisions, precisions.mT):
        raise ValueError(f"The parameter '{kind.name} precision' should be symmetric")
    return kind.from_precisions(precisions)


def _tensor(
    estimator: FittedMixture, X: Tensor, reset: bool, allow_nan: bool, least: int
) -> Tensor:
    if X.ndim != 2:
        raise ValueError(f"X has shape {tuple(X.shape)}; expected points (N, D)")
    if X.is_complex():
        raise ValueError(f"X is of {X.dtype}; expected real numbers")
    _require_size(estimator, X, reset, least)
    X = X.detach()
    if not X.is_floating_point():
        X = X.double()
    elif X.dtype not in (torch.float32, torch.float64):
        X = X.float()
    _require_finite(X, allow_nan, 0)
    return X


def _require_size(estimator: FittedMixture, X: Source, reset: bool, least: int) -> None:
    count, dimension = X.shape
    if count < least or dimension == 0:
        raise ValueError(
            f"Found array with {count} sample(s) and {dimension} feature(s) while a minimum of "
            f"{least} and 1 is required"
        )
    if reset:
        estimator.n_features_in_ = dimension
    elif dimension != estimator.n_features_in_:
        raise ValueError(
            f"X has {dimension} features, but {type(estimator).__name__} is expecting "
            f"{estimator.n_features_in_} features as input"
        )


def _require_finite(rows: Tensor, allow_nan: bool, first: int) -> None:
    wrong = rows.isinf() if allow_nan else ~rows.isfinite()
    if wrong.any():
        row = first + int(wrong.any(1).int().argmax())
        way_out = "" if allow_nan else '; missing_values="marginalize" takes NaN for unobserved'
        raise ValueError(
            f"X holds {'infinity' if allow_nan else 'NaN or infinity'} in row {row} (counted from "
            f"0){way_out}"
        )
