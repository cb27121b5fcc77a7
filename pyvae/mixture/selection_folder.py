# SPDX-License-Identifier: MIT
"""Finished fits of a selection, kept in a folder: read again where they are of the same points."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from pyvae.errors import WrongValue
from pyvae.mixture import file_layout
from pyvae.mixture.arrays import Array, as_tensor, is_source, rows
from pyvae.mixture.covariance import NAMES
from pyvae.mixture.gaussian_mixture import GaussianMixture
from pyvae.storage.form import Exactly, Fields, Integer, Maybe, Place, Plain, Real, Text, Truth
from pyvae.storage.lock import Use, locked
from pyvae.storage.reading import read_json
from pyvae.storage.writing import write_atomically

_SETTINGS_FILE = "selection.json"
_USE = Use(".selection.lock", re.compile(r"selection\.json|\w+-\d+\.(json|safetensors)"))
_FORMAT = "pyvae.mixture.selection"
_MOST_JSON = 1 << 20
_ROWS = 2**16  # at a time
_ROW = Fields(
    {
        "covariance_type": Text(NAMES),
        "n_components": Integer(1),
        "bic": Real(finite=False),
        "aic": Real(finite=False),
        "icl": Real(finite=False),
        "log_likelihood": Real(finite=False),
        "n_parameters": Integer(0),
        "converged": Truth(),
        "seconds": Real(0.0),
        "problem": Maybe(Text()),
    }
)
_FORM = Fields(
    {"format": Exactly(_FORMAT), "version": Exactly(1), "data": Plain(), "settings": Plain()}
)


class SelectionFolder:
    """``selection.json``, which says what is fitted, and of each fit a row and a mixture."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @contextmanager
    def opened(self, X: Array, like: GaussianMixture) -> Iterator[None]:
        """Hold the folder for fits to these points with these settings.

        Raises
        ------
        ValueError
            If it holds fits to others, or other files, or another process holds it.
        """
        if self.path.exists() and not self.path.is_dir():
            raise WrongValue(f"folder={self.path} is a file; name a folder")
        said = {"format": _FORMAT, "version": 1, "data": _data(X), "settings": _settings(like)}
        settings = self.path / _SETTINGS_FILE
        self.path.mkdir(parents=True, exist_ok=True)
        with locked(self.path, _USE):
            if settings.exists():
                saved = _FORM.taken(read_json(settings, _MOST_JSON), Place(settings))
                self._require_same(saved, json.loads(json.dumps(said)))
            elif any(part.name[0] != "." for part in self.path.iterdir()):
                raise WrongValue(
                    f"folder={self.path} holds other files; name a new or an empty one"
                )
            else:
                write_atomically(settings, _json(said))
            yield

    def read(self, name: str) -> tuple[dict[str, Any], GaussianMixture | None] | None:
        """Give the row of a finished fit and its mixture, None where there is none yet.

        Raises
        ------
        ValueError
            If a file is damaged.
        """
        path = self.path / f"{name}.json"
        if not path.exists():
            return None
        row = _ROW.taken(read_json(path, _MOST_JSON), Place(path))
        if row["problem"] is not None:
            return row, None
        mixture = GaussianMixture.load(self._mixture(name))
        found = (mixture.covariance_type, mixture.n_components)
        if name != "-".join(map(str, found)) or found != (
            row["covariance_type"],
            row["n_components"],
        ):
            raise WrongValue(f"{path} is of another fit than its name says; delete it")
        return row, mixture

    def write(self, name: str, row: dict[str, Any], mixture: GaussianMixture | None) -> None:
        """Keep a fit; the row is last, so that what has one is whole."""
        if mixture is not None:
            mixture.save(self._mixture(name))
        write_atomically(self.path / f"{name}.json", _json(row))

    def _mixture(self, name: str) -> Path:
        return self.path / f"{name}.safetensors"

    def _require_same(self, saved: dict[str, Any], asked: dict[str, Any]) -> None:
        if saved["data"] != asked["data"]:
            raise WrongValue(
                f"folder={self.path} holds fits to other points (X differs in shape, type or "
                "numbers); name another folder"
            )
        there, here = saved["settings"], asked["settings"]
        differing = sorted(name for name in {*there, *here} if there.get(name) != here.get(name))
        if differing:
            words = (f"{n}={there.get(n)!r} there, {here.get(n)!r} here" for n in differing)
            raise WrongValue(
                f"folder={self.path} holds fits with other settings ({'; '.join(words)}); name "
                "another folder"
            )


def _data(X: Array) -> dict[str, Any]:
    """Say which points these are: their shape, type, and digest."""
    source = X if is_source(X) else as_tensor(np.asarray(X))
    digest = hashlib.sha256()
    for at in range(0, len(source), _ROWS):
        digest.update(rows(source, slice(at, at + _ROWS)).cpu().numpy().tobytes())
    dtype = str(source.dtype).removeprefix("torch.")
    return {"shape": list(source.shape), "dtype": dtype, "sha256": digest.hexdigest()}


def _settings(like: GaussianMixture) -> dict[str, Any]:
    varying = ("n_components", "covariance_type", "verbose", "verbose_interval")
    given = {name: value for name, value in like.get_params().items() if name not in varying}
    for name in ("weights_init", "means_init", "precisions_init"):
        if given[name] is not None:
            raise WrongValue(f"{name} cannot be kept in a folder; leave out one of the two")
    return {name: file_layout.plain(value) for name, value in given.items()}


def _json(content: Any) -> bytes:
    return (json.dumps(content, indent=2) + "\n").encode()
