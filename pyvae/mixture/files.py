# SPDX-License-Identifier: MIT
"""A fitted Gaussian mixture in a file of safetensors (:mod:`pyvae.mixture.file_layout`)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from pyvae.errors import WrongValue
from pyvae.mixture import state
from pyvae.mixture.covariance import NAMES, Covariance, covariance_of
from pyvae.mixture.file_layout import SETTINGS, Layout, require_symmetric
from pyvae.mixture.noise import noise_of
from pyvae.mixture.prior import ConjugatePrior
from pyvae.storage import form
from pyvae.storage.form import Fields, Integer, Maybe, Rows, Text, Truth

_NUMBER = form.Real()
_PRIOR = Fields(
    {
        "weight_concentration": form.Real(1.0),
        "mean": Maybe(Rows(lambda _: _NUMBER)),
        "mean_precision": form.Real(0.0),
        "scatter": form.Real(0.0),
        "degrees_of_freedom": Maybe(form.Real(0.0)),
    }
)
_NOISE = Fields({"weight": form.Real(0.0), "box": Rows(lambda _: Rows(lambda _: _NUMBER), 2)})
_LAYOUT = Layout(
    "pyvae.mixture",
    "GaussianMixture.save",
    SETTINGS
    | {
        "covariance_type": Text(NAMES),
        "missing_values": Text(("refuse", "marginalize")),
        "reseed": Truth(),
        "prior": Maybe(_PRIOR),
    },
    lambda kind, _, k, d: {"weights": (k,), "means": (k, d), **kind.part_shapes(k, d)},
    optional={"rank": Integer(1), "noise": Text(("uniform",))},
    more={"noise": _NOISE},
)


def save(estimator: Any, path: Path) -> None:
    """Write a fitted estimator.

    Raises
    ------
    sklearn.exceptions.NotFittedError, ValueError
        If its attributes are no mixture.
    """
    kind = covariance_of(estimator.covariance_type, estimator.rank)
    p = state.parameters(estimator, kind)
    noise = noise_of(estimator, p.means.shape[1])
    told = {} if noise is None else {"weight": noise.weight.item(), "box": noise.box.tolist()}
    arrays = {"weights": p.weights, "means": p.means, **kind.parts(p.covariances)}
    _LAYOUT.write(estimator, path, arrays, {"noise": told} if told else {})


def load(kind: Any, path: Path) -> Any:
    """Give the estimator of a class that was written to a file.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is none, or the file is damaged or holds something else.
    """
    covariance, said, found = _LAYOUT.read(path)
    return _restored(kind, path, covariance, said, found)


def _restored(
    kind: Any, path: Path, covariance: Covariance, said: dict[str, Any], arrays: dict[str, Tensor]
) -> Any:
    settings, names = said["settings"], said["feature_names"]
    k, d = arrays["means"].shape
    prior = settings.pop("prior")
    if prior is not None and prior["mean"] is not None and len(prior["mean"]) != d:
        raise WrongValue(f"{path}: the prior's mean has {len(prior['mean'])} coordinates, not {d}")
    new = kind(k, **settings, prior=None if prior is None else ConjugatePrior(**prior))
    for name, array in arrays.items():
        setattr(new, f"{name}_", array.numpy())
    try:
        if "noise" in said:
            _restore_noise(new, d, **said["noise"])
        require_symmetric(covariance, covariance.of_parts(arrays))
        state.set_mixture(new, new.means_, covariance, state.parameters(new, covariance))
    except WrongValue as error:
        raise WrongValue(f"{path}: holds no mixture: {error}") from error
    vars(new).update(said["facts"])
    if names is not None:
        new.feature_names_in_ = np.array(names, dtype=object)
    return new


def _restore_noise(new: Any, d: int, weight: float, box: list[list[float]]) -> None:
    if any(len(corner) != d for corner in box):
        raise WrongValue(f"the noise's box has corners of other than {d} coordinates")
    new.noise_weight_, new.noise_box_ = weight, np.array(box)
    noise_of(new, d)  # refuses what is none
