# SPDX-License-Identifier: MIT
"""A fitted mixture of Student t distributions in a file (:mod:`pyvae.mixture.file_layout`)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pyvae.errors import WrongValue
from pyvae.mixture import state
from pyvae.mixture.covariance import moments_of
from pyvae.mixture.file_layout import SETTINGS, Layout, require_symmetric
from pyvae.storage import form
from pyvae.storage.form import Form, Place, Text

_STORED = ("weights", "means", "scales", "degrees_of_freedom")


@dataclass(frozen=True)
class _Degrees(Form):
    """One of two words, or a number."""

    def taken(self, found: Any, place: Place) -> Any:
        words = Text(("free", "tied"))
        return (
            words.taken(found, place) if type(found) is str else form.Real(0.0).taken(found, place)
        )


_LAYOUT = Layout(
    "pyvae.student_t_mixture",
    "StudentTMixture.save",
    SETTINGS | {"degrees_of_freedom": _Degrees()},
    lambda kind, _, k, d: {
        "weights": (k,), "means": (k, d), "scales": kind.shape(k, d), "degrees_of_freedom": (k,),
    },
    optional={},
    more={},
)  # fmt: skip


def save(estimator: Any, path: Path) -> None:
    """Write a fitted estimator.

    Raises
    ------
    sklearn.exceptions.NotFittedError, ValueError
        If its attributes are no mixture.
    """
    p = state.parameters(estimator, moments_of(estimator.covariance_type), (state.SCALES,))
    degrees = state.shaped(estimator, "degrees_of_freedom_", (len(p.means),), "", None)
    _LAYOUT.write(estimator, path, dict(zip(_STORED, (*p[:3], degrees), strict=True)), {})


def load(kind: Any, path: Path) -> Any:
    """Give the estimator of a class that was written to a file.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is none, or the file is damaged or holds something else.
    """
    covariance, said, found = _LAYOUT.read(path)
    k, d = found["means"].shape
    new = kind(k, **said["settings"])
    for name in _STORED:
        setattr(new, f"{name}_", found[name].numpy())
    new.n_features_in_ = d
    try:
        require_symmetric(covariance, found["scales"])
        state.parameters(new, covariance, (state.SCALES,))
        if not (found["degrees_of_freedom"] > 0).all():
            raise WrongValue("degrees_of_freedom must be above zero")
    except WrongValue as error:
        raise WrongValue(f"{path}: holds no mixture: {error}") from error
    vars(new).update(said["facts"])
    if said["feature_names"] is not None:
        new.feature_names_in_ = np.array(said["feature_names"], dtype=object)
    return new
