# SPDX-License-Identifier: MIT
"""A fitted mixture in a file of safetensors: three arrays, and in the header all that is not.

Nothing in it is executed. What the header says is compared with its form, and the arrays' shapes
and types with it, before a number is read; then the numbers with their digest, and with a mixture.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from numbers import Integral, Real
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pyvae.errors import NotFound, WrongValue
from pyvae.mixture import state
from pyvae.mixture.covariance import COVARIANCES, Covariance, Parameters
from pyvae.mixture.noise import noise_of
from pyvae.mixture.prior import ConjugatePrior
from pyvae.mixture.start import METHODS
from pyvae.storage import form, tensors
from pyvae.storage.form import Exactly, Fields, Integer, Maybe, Place, Rows, Text, Truth
from pyvae.storage.reading import parsed_json
from pyvae.storage.writing import write_atomically

NAME = "mixture.safetensors"  # in a folder of fit-mixture
_WRITER = "GaussianMixture.save"
_FORMAT, _VERSION = "pyvae.mixture", 1
_STORED = ("weights", "means", "covariances")
_MOST_HEADER = 1 << 24  # characters: some hundreds, and names of columns
_MOST_NUMBERS = 1 << 59  # of covariances, as torch can say their size in bytes
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
# Of the constructor; where a fit starts and who takes part in it are its own affair.
_SETTINGS = {
    "covariance_type": Text(tuple(COVARIANCES)),
    "tol": form.Real(0.0),
    "reg_covar": form.Real(0.0),
    "max_iter": Integer(0),
    "n_init": Integer(1),
    "init_params": Text(METHODS),
    "random_state": Maybe(Integer(0)),
    "warm_start": Truth(),
    "missing_values": Text(("refuse", "marginalize")),
    "reseed": Truth(),
    "prior": Maybe(_PRIOR),
}
# Written where they are not left out, so that files without them are as before.
_OPTIONAL = {"noise": Text(("uniform",))}
_FACTS = {
    "converged_": Truth(),
    "n_iter_": Integer(0),
    "lower_bound_": form.Real(finite=False),
    "lower_bounds_": Rows(lambda _: form.Real(finite=False)),
    "n_samples_seen_": form.Real(0.0),
}
_NOISE = Fields({"weight": form.Real(0.0), "box": Rows(lambda _: Rows(lambda _: _NUMBER), 2)})
_FORM = Fields(
    {
        "format": Exactly(_FORMAT),
        "version": Integer(1),
        "settings": Fields(_SETTINGS, _OPTIONAL),
        "facts": Fields(optional=_FACTS),
        "feature_names": Maybe(Rows(lambda _: Text())),
    },
    {"noise": _NOISE},
)


def save(estimator: Any, path: Path) -> None:
    """Write a fitted estimator.

    Raises
    ------
    sklearn.exceptions.NotFittedError, ValueError
        If its attributes are no mixture.
    """
    p = state.parameters(estimator, COVARIANCES[estimator.covariance_type])
    names = vars(estimator).get("feature_names_in_")
    optional = [name for name in _OPTIONAL if getattr(estimator, name) is not None]
    said = {
        "format": _FORMAT,
        "version": _VERSION,
        "settings": {name: plain(getattr(estimator, name)) for name in (*_SETTINGS, *optional)},
        "facts": {name: plain(vars(estimator)[name]) for name in _FACTS if name in vars(estimator)},
        "feature_names": None if names is None else [str(name) for name in names],
    }
    noise = noise_of(estimator, p.means.shape[1])
    if noise is not None:
        said["noise"] = {"weight": noise.weight.item(), "box": noise.box.tolist()}
    arrays = tensors.plain({name: getattr(p, name) for name in _STORED})
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, tensors.content(arrays, json.dumps(said)))


def load(kind: Any, path: Path) -> Any:
    """Give the estimator of a class that was written to a file, or to a folder of fit-mixture.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is none, or the file is damaged or holds something else.
    """
    path = path / NAME if path.is_dir() else path
    if not path.is_file():
        raise NotFound(f"{path} is missing, or no file; {_WRITER} writes one")
    with tensors.opened(path) as file:
        header, declared = tensors.header(path, file, _WRITER), tensors.declared(file)
        said = _said(path, header["config"])
        covariance = COVARIANCES[said["settings"]["covariance_type"]]
        _check(path, covariance, declared)
        found = tensors.read(path, file, header["sha256"], declared)
    return _restored(kind, path, covariance, said, Parameters(**found))


def _said(path: Path, text: str) -> dict[str, Any]:
    if len(text) > _MOST_HEADER:
        raise WrongValue(f"{path} is damaged: its header goes beyond {_MOST_HEADER} characters")
    parsed = parsed_json(text, path)
    version = parsed.get("version") if isinstance(parsed, dict) else None
    if type(version) is int and version > _VERSION:
        raise WrongValue(
            f"{path} has format version {form.said(version)}, this pyvae reads {_VERSION}; install "
            "a newer pyvae"
        )
    return _FORM.taken(parsed, Place(path))


def _check(path: Path, kind: Covariance, declared: dict[str, tensors.Declared]) -> None:
    """Refuse arrays that are not of one mixture, by what is declared of them."""
    means = declared["means"].shape if "means" in declared else (1, 1)
    k, d = means if len(means) == 2 else (0, 0)
    if not 0 < k * d * d < _MOST_NUMBERS:
        raise WrongValue(f"{path}: means has shape {means}; expected (K, D)")
    shapes = {"weights": (k,), "means": (k, d), "covariances": kind.shape(k, d)}
    expected = {
        name: torch.empty(shape, dtype=torch.float64, device="meta")
        for name, shape in shapes.items()
    }
    reason = tensors.unlike(expected, declared, lambda _, wanted: (wanted.dtype,))
    if reason is not None:
        raise WrongValue(f"{path} holds no mixture of {kind.name} covariances: {reason}")


def _restored(
    kind: Any, path: Path, covariance: Covariance, said: dict[str, Any], p: Parameters
) -> Any:
    settings, names = said["settings"], said["feature_names"]
    k, d = p.means.shape
    prior = settings.pop("prior")
    if names is not None and len(names) != d:
        raise WrongValue(f"{path}: feature_names are {len(names)}, and the means have {d} columns")
    if prior is not None and prior["mean"] is not None and len(prior["mean"]) != d:
        raise WrongValue(f"{path}: the prior's mean has {len(prior['mean'])} coordinates, not {d}")
    new = kind(k, **settings, prior=None if prior is None else ConjugatePrior(**prior))
    for name in _STORED:
        setattr(new, f"{name}_", getattr(p, name).numpy())
    try:
        if "noise" in said:
            _restore_noise(new, d, **said["noise"])
        if covariance.has_matrices:
            _require_symmetric(p.covariances)
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


def _require_symmetric(covariances: Tensor) -> None:
    scales = torch.diagonal(covariances, dim1=-2, dim2=-1).clamp_min(0.0).sqrt()
    gaps = (covariances - covariances.mT).abs()
    if (gaps > 1e-8 * scales[..., None] * scales[..., None, :]).any():
        raise WrongValue("covariances are not symmetric")


def plain(value: Any) -> Any:
    """Give a setting or a fact as JSON says it; a generator of random numbers is none."""
    if isinstance(value, ConjugatePrior):
        return asdict(value)
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, Real):
        return float(value)
    return [plain(part) for part in value] if isinstance(value, list | tuple) else None
