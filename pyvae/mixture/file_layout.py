# SPDX-License-Identifier: MIT
"""The layout of a mixture's file: arrays of safetensors, and in the header all that is not.

Nothing in it is executed. What the header says is compared with its form, and the arrays' shapes
and types with it, before a number is read; then the numbers with their digest.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from numbers import Integral, Real
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pyvae.errors import NotFound, WrongValue
from pyvae.mixture.covariance import COVARIANCES, Covariance, covariance_of
from pyvae.mixture.matrices import Matrices
from pyvae.mixture.prior import ConjugatePrior
from pyvae.mixture.start import METHODS
from pyvae.storage import form, tensors
from pyvae.storage.form import Exactly, Fields, Form, Integer, Maybe, Place, Rows, Text, Truth
from pyvae.storage.reading import parsed_json
from pyvae.storage.writing import write_atomically

_VERSION = 1
_MOST_HEADER = 1 << 24  # characters: some hundreds, and names of columns
NAME = "mixture.safetensors"  # in a folder of fit-mixture
_MOST_NUMBERS = 1 << 59  # of covariances, as torch can say their size in bytes
# Of every estimator; where a fit starts and who takes part in it are its own affair.
SETTINGS: dict[str, Form] = {
    "covariance_type": Text(tuple(COVARIANCES)),
    "tol": form.Real(0.0),
    "reg_covar": form.Real(0.0),
    "max_iter": Integer(0),
    "n_init": Integer(1),
    "init_params": Text(METHODS),
    "random_state": Maybe(Integer(0)),
    "warm_start": Truth(),
}
_FACTS = {
    "converged_": Truth(),
    "n_iter_": Integer(0),
    "lower_bound_": form.Real(finite=False),
    "lower_bounds_": Rows(lambda _: form.Real(finite=False)),
    "n_samples_seen_": form.Real(0.0),
}


@dataclass(frozen=True)
class Layout:
    """What the file of an estimator holds.

    Attributes
    ----------
    format, writer
        Its name, and what writes it.
    settings, optional
        Forms of the constructor's arguments; of those that are left out where they are None.
    shapes
        What gives the arrays' shapes, by their names, of a kind and such settings in K components
        and D dimensions.
    more
        Forms of what else may be there.
    """

    format: str
    writer: str
    settings: Mapping[str, Form]
    shapes: Callable[[Covariance, dict[str, Any], int, int], dict[str, tuple[int, ...]]]
    optional: Mapping[str, Form]
    more: Mapping[str, Form]

    def write(
        self, estimator: Any, path: Path, arrays: dict[str, Tensor], more: Mapping[str, Any]
    ) -> None:
        """Write an estimator's settings, facts and arrays, and what else there is."""
        held, names = vars(estimator), vars(estimator).get("feature_names_in_")
        some = [name for name in self.optional if getattr(estimator, name) is not None]
        said = {
            "format": self.format,
            "version": _VERSION,
            "settings": {name: plain(getattr(estimator, name)) for name in (*self.settings, *some)},
            "facts": {name: plain(held[name]) for name in _FACTS if name in held},
            "feature_names": None if names is None else [str(name) for name in names],
            **more,
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, tensors.content(tensors.plain(arrays), json.dumps(said)))

    def read(self, path: Path) -> tuple[Covariance, dict[str, Any], dict[str, Tensor]]:
        """Give the kind of covariance, what the header says, and the arrays.

        Raises
        ------
        FileNotFoundError, ValueError
            If there is none, or the file is damaged or holds something else.
        """
        require_file(path, self.writer)
        with tensors.opened(path) as file:
            header, declared = tensors.header(path, file, self.writer), tensors.declared(file)
            said = self._said(path, header["config"])
            kind = _kind(path, said["settings"])
            d = self._check(path, kind, said["settings"], declared)
            found = tensors.read(path, file, header["sha256"], declared)
        names = said["feature_names"]
        if names is not None and len(names) != d:
            raise WrongValue(
                f"{path}: feature_names are {len(names)}, and the means have {d} columns"
            )
        return kind, said, found

    def _said(self, path: Path, text: str) -> dict[str, Any]:
        if len(text) > _MOST_HEADER:
            raise WrongValue(f"{path} is damaged: its header goes beyond {_MOST_HEADER} characters")
        parsed = parsed_json(text, path)
        told = parsed if isinstance(parsed, dict) else {}
        version = told.get("version")
        require_format(path, told, self.format)
        if type(version) is int and version > _VERSION:
            raise WrongValue(
                f"{path} has format version {form.said(version)}, this pyvae reads {_VERSION}; "
                "install a newer pyvae"
            )
        required = {
            "format": Exactly(self.format),
            "version": Integer(1),
            "settings": Fields(self.settings, self.optional),
            "facts": Fields(optional=_FACTS),
            "feature_names": Maybe(Rows(lambda _: Text())),
        }
        return Fields(required, self.more).taken(parsed, Place(path))

    def _check(
        self,
        path: Path,
        kind: Covariance,
        settings: dict[str, Any],
        declared: dict[str, tensors.Declared],
    ) -> int:
        """Refuse arrays that are not of one mixture, by what is declared of them; gives D."""
        means = declared["means"].shape if "means" in declared else (1, 1)
        k, d = means if len(means) == 2 else (0, 0)
        if not 0 < k * d * d < _MOST_NUMBERS:
            raise WrongValue(f"{path}: means has shape {means}; expected (K, D)")
        shapes = self.shapes(kind, settings, k, d)
        if max(map(math.prod, shapes.values())) >= _MOST_NUMBERS:
            raise WrongValue(f"{path} is damaged: {kind.name} of a size that no file can hold")
        expected = {
            name: torch.empty(shape, dtype=torch.float64, device="meta")
            for name, shape in shapes.items()
        }
        reason = tensors.unlike(expected, declared, lambda _, wanted: (wanted.dtype,))
        if reason is not None:
            raise WrongValue(f"{path} holds no mixture of {kind.name} covariances: {reason}")
        return d


def located(path: str | Path) -> Path:
    """Give a mixture's file, that of a folder of fit-mixture where it is one."""
    path = Path(path).expanduser()
    return path / NAME if path.is_dir() else path


def require_file(path: Path, writer: str) -> None:
    """Refuse a path without a file.

    Raises
    ------
    FileNotFoundError
        With what writes one.
    """
    if not path.is_file():
        raise NotFound(f"{path} is missing, or no file; {writer} writes one")


def require_format(path: Path, said: Any, expected: str) -> None:
    """Refuse the file of another kind of mixture, before what such a one may not have.

    Raises
    ------
    ValueError
        If it names another format.
    """
    kind = said.get("format") if isinstance(said, dict) else None
    if isinstance(kind, str) and kind != expected:
        Place(path).of("format").refuse(kind, repr(expected))


def require_symmetric(kind: Covariance, covariances: Tensor) -> None:
    """Refuse matrices that are not symmetric.

    Raises
    ------
    ValueError
        If one is not.
    """
    if not isinstance(kind, Matrices):
        return
    scales = torch.diagonal(covariances, dim1=-2, dim2=-1).clamp_min(0.0).sqrt()
    gaps = (covariances - covariances.mT).abs()
    if (gaps > 1e-8 * scales[..., None] * scales[..., None, :]).any():
        raise WrongValue("covariances are not symmetric")


def _kind(path: Path, settings: dict[str, Any]) -> Covariance:
    try:
        return covariance_of(settings["covariance_type"], settings.get("rank"))
    except WrongValue as error:
        raise WrongValue(f"{path} is damaged: {error}") from None


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
