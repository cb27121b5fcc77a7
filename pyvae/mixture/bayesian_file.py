# SPDX-License-Identifier: MIT
"""A fitted Bayesian mixture in a file (:mod:`pyvae.mixture.file_layout`): posterior and prior."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from pyvae.errors import WrongValue
from pyvae.mixture import state
from pyvae.mixture.arrays import numbers
from pyvae.mixture.concentration import WEIGHTS
from pyvae.mixture.covariance import Covariance, moments_of
from pyvae.mixture.file_layout import SETTINGS, Layout, require_symmetric
from pyvae.mixture.told_prior import shape_of_one
from pyvae.storage import form
from pyvae.storage.form import Fields, Maybe, Text, Truth

_MIXTURE = ("weights", "means", "covariances")
_BELIEFS = ("weight_concentration", "mean_precision", "degrees_of_freedom")
_ARRAYS = ("mean_prior", "covariance_prior")
_NUMBERS = ("weight_concentration_prior", "mean_precision_prior", "degrees_of_freedom_prior")
_TYPE = "weight_concentration_prior_type"
_PRIOR = Fields({f"{name}_": form.Real(0.0) for name in _NUMBERS})


def _shapes(
    kind: Covariance, settings: dict[str, Any], k: int, d: int
) -> dict[str, tuple[int, ...]]:
    kind = moments_of(kind.name)
    return {
        "weights": (k,),
        "means": (k, d),
        "covariances": kind.shape(k, d),
        "weight_concentration": WEIGHTS[settings[_TYPE]].shape(k),
        "mean_precision": (k,),
        "degrees_of_freedom": () if kind.pooled else (k,),
        "mean_prior": (d,),
        "covariance_prior": shape_of_one(kind, d),
    }


_LAYOUT = Layout(
    "pyvae.bayesian_mixture",
    "BayesianGaussianMixture.save",
    SETTINGS
    | {_TYPE: Text(tuple(WEIGHTS)), "missing_values": Text(("refuse", "marginalize"))}
    | {name: Maybe(form.Real(0.0)) for name in (*_NUMBERS, "total_samples")},
    _shapes,
    optional={},
    # Whether the constructor was told of a mean and of a covariance of the prior.
    more={"prior": _PRIOR, "told": Fields({name: Truth() for name in _ARRAYS}),
          "evidence_lower_bound_": form.Real(finite=False)},
)  # fmt: skip


def save(estimator: Any, path: Path) -> None:
    """Write a fitted estimator.

    Raises
    ------
    sklearn.exceptions.NotFittedError, ValueError
        If its attributes are no posterior, or its prior is not there.
    """
    held, kind = vars(estimator), moments_of(estimator.covariance_type)
    missing = [f"{n}_" for n in (*_NUMBERS, *_ARRAYS) if f"{n}_" not in held]
    if missing:
        raise WrongValue(f"the mixture has no {', '.join(missing)}: call fit(), or set these too")
    p = state.parameters(estimator, kind)
    k, d = p.means.shape
    arrays = dict(zip(_MIXTURE, p[:3], strict=True))
    arrays |= {name: numbers(held[f"{name}_"]) for name in (*_BELIEFS, *_ARRAYS)}
    shapes = _shapes(kind, {_TYPE: getattr(estimator, _TYPE)}, k, d)
    for name, array in arrays.items():
        if array.shape != shapes[name]:
            raise WrongValue(f"{name}_ has shape {tuple(array.shape)}; expected {shapes[name]}")
    more: dict[str, Any] = {
        "prior": {f"{name}_": float(held[f"{name}_"]) for name in _NUMBERS},
        "told": {name: getattr(estimator, name) is not None for name in _ARRAYS},
    }
    if "evidence_lower_bound_" in held:
        more["evidence_lower_bound_"] = float(held["evidence_lower_bound_"])
    _LAYOUT.write(estimator, path, arrays, more)


def load(kind: Any, path: Path) -> Any:
    """Give the estimator of a class that was written to a file.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is none, or the file is damaged or holds something else.
    """
    covariance, said, found = _LAYOUT.read(path)
    if "prior" not in said or "told" not in said:
        raise WrongValue(f"{path} is damaged: it says nothing of the prior")
    if not all(bool(found[name].isfinite().all()) for name in _ARRAYS):
        raise WrongValue(f"{path}: holds no mixture: the prior is not finite")
    told: dict[str, Any] = {name: found[name].numpy() for name in _ARRAYS if said["told"][name]}
    if told.get("covariance_prior", np.empty(1)).ndim == 0:
        told["covariance_prior"] = float(told["covariance_prior"])
    new = kind(len(found["weights"]), **said["settings"], **told)
    for name in (*_MIXTURE, "mean_precision", "mean_prior"):
        setattr(new, f"{name}_", found[name].numpy())
    new.degrees_of_freedom_ = found["degrees_of_freedom"].numpy()[()]
    prior = found["covariance_prior"]
    new.covariance_prior_ = prior.numpy() if prior.ndim else float(prior)
    example, weights = np.empty(0), WEIGHTS[said["settings"][_TYPE]]
    new.weight_concentration_ = weights.as_attribute(example, found["weight_concentration"])
    vars(new).update(said["prior"])
    try:
        require_symmetric(covariance, found["covariances"])
        moments = moments_of(covariance.name)
        state.set_mixture(new, example, moments, state.parameters(new, moments))
    except WrongValue as error:
        raise WrongValue(f"{path}: holds no mixture: {error}") from error
    vars(new).update(said["facts"])
    if "evidence_lower_bound_" in said:
        new.evidence_lower_bound_ = said["evidence_lower_bound_"]
    if said["feature_names"] is not None:
        new.feature_names_in_ = np.array(said["feature_names"], dtype=object)
    return new
