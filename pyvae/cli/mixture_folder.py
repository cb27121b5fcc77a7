# SPDX-License-Identifier: MIT
"""What ``fit-mixture`` leaves in a folder, and the mixture restored from it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pyvae.cli.mixture_options import FAMILIES
from pyvae.cli.reading import FORMS
from pyvae.cli.run_folder import MOST_JSON
from pyvae.errors import WrongValue
from pyvae.storage.form import Fields, Form, Maybe, Place, Plain, Real, Rows, Text
from pyvae.storage.reading import read_json

if TYPE_CHECKING:
    from pyvae.mixture import GaussianMixture

SUMMARY, MIXTURE = "mixture.json", "mixture.safetensors"
EARLIER = "mixture.npz"  # which earlier folders have in its place
_FAMILY = Fields(optional={"family": Text(tuple(FAMILIES))}, others=Plain())
_COVARIANCE = {
    "covariance": Text(
        ("full", "tied", "diag", "spherical", "tied_diag", "tied_spherical", "low_rank")
    )
}
_FORM: dict[str, Form] = {
    "family": Text(tuple(FAMILIES)),
    "data": Text(),
    "options": Fields(
        optional={"data": Text(), "split": Text(("train", "test", "all")), **FORMS},
        others=Plain(),
    ),
    "scale": Real(0),
    "columns": Maybe(Rows(lambda _: Text())),
}


def load_mixture(folder: Path) -> tuple[Any, dict[str, Any]]:
    """Load the mixture of a folder, with what its summary says of the fit.

    Raises
    ------
    FileNotFoundError, ValueError
        If a file is missing, damaged, or holds other numbers than a mixture's.
    """
    summary = _summary(folder / SUMMARY)
    family, path, earlier = FAMILIES[summary["family"]], folder / MIXTURE, folder / EARLIER
    if summary["family"] == "gaussian" and earlier.exists() and not path.exists():
        mixture: Any = _earlier(earlier, summary["covariance"])
    else:
        mixture = family.kind.load(path)
    if family.has_covariances and mixture.covariance_type != summary["covariance"]:
        raise WrongValue(
            f"{path} holds {mixture.covariance_type} covariances, and {SUMMARY} beside it is of "
            f"{summary['covariance']} ones: they are of different fits"
        )
    if "missing" in family.takes:
        mixture.missing_values = summary["options"].get("missing", "refuse")
    return mixture, summary


def _summary(path: Path) -> dict[str, Any]:
    """Read what is said of a fit; earlier folders say no family, and name the data as typed."""
    content, place = read_json(path, MOST_JSON), Place(path)
    family = _FAMILY.taken(content, place).get("family", "gaussian")
    required = _COVARIANCE if FAMILIES[family].has_covariances else {}
    summary = Fields(required, _FORM, Plain()).taken(content, place)
    summary.setdefault("options", {"data": summary["data"]} if "data" in summary else {})
    return {**summary, "family": family}


def _earlier(path: Path, covariance: str) -> GaussianMixture:
    from pyvae.data.arrays import read_arrays
    from pyvae.mixture import GaussianMixture

    weights, means, covariances = read_arrays(path, "weights", "means", "covariances")
    mixture = GaussianMixture(max(1, means.shape[0]), covariance_type=covariance)
    mixture.weights_, mixture.means_, mixture.covariances_ = weights, means, covariances
    try:
        mixture.n_features_in_ = mixture.covariance_matrices_.shape[1]  # looks at all of them
    except WrongValue as error:
        raise WrongValue(f"{path}: holds no mixture: {error}") from error
    return mixture
