# SPDX-License-Identifier: MIT
"""What a fitted mixture is made of: its public attributes, and nothing beside them.

They may be set by hand, reordered, or come from a file: all that is computed is computed from them.
Densities are those of ``precisions_cholesky_``, as scikit-learn's are; ``covariances_`` stand for
them where they agree, for their digits, and where there are no others. Of low_rank they are those
of ``factors_`` and ``noise_variances_``, which it has in place of these.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol, TypeVar

import torch
from sklearn.exceptions import NotFittedError
from torch import Tensor

from pyvae.errors import WrongValue
from pyvae.mixture import arrays
from pyvae.mixture.covariance import Covariance, LowRank, Moments, Parameters
from pyvae.mixture.factors import IllDefined
from pyvae.mixture.inverses import from_precisions_cholesky, misfit

SPREADS = ("precisions_cholesky_", "covariances_", "precisions_")
SCALES = "scales_"  # of Student t distributions
_FACTORS = ("factors_", "noise_variances_")
_ROUNDING = 1e-6  # within which covariances_ and precisions_cholesky_ agree
_ANOTHER = 1e-2  # beyond which they are not of the same mixture


class _Weighted(Protocol):
    @property
    def weights(self) -> Tensor: ...


Mixture = TypeVar("Mixture", bound=_Weighted)


@contextmanager
def unchanged_on_failure(estimator: object) -> Iterator[None]:
    """Put all attributes back where a call fails or is interrupted."""
    attributes = vars(estimator)
    before = dict(attributes)
    try:
        yield
    except BaseException:
        attributes.clear()
        attributes.update(before)
        raise


def is_mixture(estimator: object, spreads: Sequence[str] = SPREADS) -> bool:
    """Tell whether the attributes say all of a mixture, whoever set them."""
    held = vars(estimator)
    some = any(name in held for name in spreads) or set(_FACTORS) <= held.keys()
    return {"weights_", "means_"} <= held.keys() and some


def parameters(estimator: object, kind: Covariance, spreads: Sequence[str] = SPREADS) -> Parameters:
    """Give the mixture that an estimator's attributes describe, of the first spread that it has.

    Raises
    ------
    sklearn.exceptions.NotFittedError
        If some are missing.
    ValueError
        If they do not fit each other or the kind of covariance, or are no numbers of a mixture.
    """
    held = vars(estimator)
    missing = [name for name in ("weights_", "means_") if name not in held]
    if isinstance(kind, LowRank):
        needed = " and ".join(_FACTORS)
        missing += [name for name in _FACTORS if name not in held]
    else:
        needed = spreads[0]
        missing += [" or ".join(spreads)] * (not any(name in held for name in spreads))
    if missing:
        raise NotFittedError(
            f"This {type(estimator).__name__} instance has no {', '.join(missing)}: call fit(), or "
            f"set weights_, means_ and {needed}"
        )
    means = _finite(estimator, "means_", None)
    if means.ndim != 2:
        raise WrongValue(f"means_ has shape {tuple(means.shape)}; expected (K, D)")
    shape, reason = (len(means),), "one for each row of means_"
    weights = shaped(estimator, "weights_", shape, reason, means.device)
    if not (weights >= 0).all() or not weights.sum() > 0:
        raise WrongValue("weights_ must not be negative, nor all zero")
    return Parameters(weights, means, _covariances(estimator, kind, means, spreads))


def set_mixture(estimator: Any, example: arrays.Array, kind: Covariance, p: Parameters) -> None:
    """Set all attributes that say a mixture, as tensors or arrays as the example is one."""
    said = {"weights_": p.weights, "means_": p.means}
    if isinstance(kind, Moments):
        cholesky = kind.precisions_cholesky(p.covariances)
        said |= {"covariances_": p.covariances, "precisions_cholesky_": cholesky}
        said["precisions_"] = kind.precisions(cholesky)
    else:
        kind.require(p.covariances)
        said |= {f"{name}_": part for name, part in kind.parts(p.covariances).items()}
    for name in (*SPREADS, *_FACTORS):  # of an earlier fit of another kind
        vars(estimator).pop(name, None)
    for name, value in said.items():
        setattr(estimator, name, arrays.as_given(example, value.contiguous()))
    estimator.n_features_in_ = p.means.shape[1]


def require_components(present: Mixture, n_components: int, way: str) -> Mixture:
    """Give the mixture that a fit goes on from, if it has as many components as asked for.

    Raises
    ------
    ValueError
        If it has another number of them.
    """
    if len(present.weights) != n_components:
        raise WrongValue(
            f"n_components={n_components}, and the mixture that {way} goes on from has "
            f"{len(present.weights)}: set n_components to that, or call fit() with "
            "warm_start=False to start anew"
        )
    return present


def covariances_are_others(estimator: object, kind: Covariance) -> bool:
    """Tell whether ``covariances_`` and ``precisions_cholesky_`` are of different mixtures."""
    held = vars(estimator)
    if not {"covariances_", "precisions_cholesky_"} <= held.keys() or not isinstance(kind, Moments):
        return False
    covariances = arrays.numbers(held["covariances_"])
    cholesky = arrays.numbers(held["precisions_cholesky_"], covariances.device)
    return not _agree(kind, covariances, cholesky, _ANOTHER)


def _covariances(
    estimator: object, kind: Covariance, means: Tensor, spreads: Sequence[str]
) -> Tensor:
    k, d = means.shape
    reason = f"covariance_type={kind.name!r} of {k} components in {d} dimensions"
    if isinstance(kind, LowRank):
        return _of_factors(estimator, kind, means)
    assert isinstance(kind, Moments)
    held, shape = vars(estimator), kind.shape(k, d)
    name = next(name for name in spreads if name in held)
    found = shaped(estimator, name, shape, reason, means.device)
    try:
        if name in ("covariances_", SCALES):
            kind.precisions_cholesky(found)  # refuses what is none
            return found
        if name == "precisions_":
            kind.precisions_cholesky(found)
            return kind.from_precisions(found)
        own = held.get("covariances_")
        own = found if own is None else arrays.numbers(own, found.device)
        if _agree(kind, own, found, _ROUNDING):
            return own
        return from_precisions_cholesky(kind, found)
    except IllDefined as error:
        raise WrongValue(
            f"{name} of components {error.components} are none of {reason}: set those of such a "
            "mixture, or set covariance_type back, or call fit()"
        ) from None


def _of_factors(estimator: object, kind: LowRank, means: Tensor) -> Tensor:
    k, d = means.shape
    reason = f"covariance_type={kind.name!r} and rank={kind.rank}"
    reason += f" of {k} components in {d} dimensions"
    parts = {
        name: shaped(estimator, f"{name}_", shape, reason, means.device)
        for name, shape in kind.part_shapes(k, d).items()
    }
    found = kind.of_parts(parts)
    try:
        kind.require(found)
    except IllDefined as error:
        raise WrongValue(
            f"noise_variances_ of components {error.components} are not all above zero: set those "
            "of such a mixture, or call fit()"
        ) from None
    return found


def _agree(kind: Moments, covariances: Tensor, cholesky: Tensor, tolerance: float) -> bool:
    if covariances.shape != cholesky.shape:
        return False
    try:
        return misfit(kind, covariances, cholesky) <= tolerance
    except IllDefined:
        return False


def shaped(
    estimator: Any, name: str, shape: tuple[int, ...], reason: str, device: torch.device | None
) -> Tensor:
    """Give an attribute, if it is of finite numbers in this shape.

    Raises
    ------
    ValueError
        If it is not.
    """
    found = _finite(estimator, name, device)
    if found.shape != shape:
        raise WrongValue(
            f"{name} has shape {tuple(found.shape)}; expected {shape}: {reason}. Set what was "
            "changed back, or call fit()"
        )
    return found


def _finite(estimator: object, name: str, device: torch.device | None) -> Tensor:
    found = arrays.numbers(vars(estimator)[name], device)
    if not found.isfinite().all():
        raise WrongValue(f"{name} holds NaN or infinity; a mixture's are finite")
    return found
