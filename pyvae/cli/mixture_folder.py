# SPDX-License-Identifier: MIT
"""What ``fit-mixture`` leaves in a folder, and the mixture restored from it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pyvae.cli.reading import FORMS
from pyvae.cli.run_folder import MOST_JSON
from pyvae.errors import WrongValue
from pyvae.storage.form import Fields, Maybe, Place, Plain, Real, Rows, Text
from pyvae.storage.reading import read_json

if TYPE_CHECKING:
    import numpy as np

    from pyvae.data import Data
    from pyvae.mixture import GaussianMixture

SUMMARY, MIXTURE = "mixture.json", "mixture.safetensors"
EARLIER = "mixture.npz"  # which earlier folders have in its place
_FORM = Fields(
    {
        "covariance": Text(
            ("full", "tied", "diag", "spherical", "tied_diag", "tied_spherical", "low_rank")
        )
    },
    {
        "data": Text(),
        "options": Fields(
            optional={"data": Text(), "split": Text(("train", "test", "all")), **FORMS},
            others=Plain(),
        ),
        "scale": Real(0),
        "columns": Maybe(Rows(lambda _: Text())),
    },
    Plain(),
)


def load_mixture(folder: Path) -> tuple[GaussianMixture, dict[str, Any]]:
    """Load the mixture of a folder, with what its summary says of the fit.

    Raises
    ------
    FileNotFoundError, ValueError
        If a file is missing, damaged, or holds other numbers than a mixture's.
    """
    from pyvae.mixture import GaussianMixture

    summary = _FORM.taken(read_json(folder / SUMMARY, MOST_JSON), Place(folder / SUMMARY))
    # Earlier folders name the data as they were typed.
    summary.setdefault("options", {"data": summary["data"]} if "data" in summary else {})
    path = folder / MIXTURE
    mixture = (
        GaussianMixture.load(path)
        if path.exists() or not (folder / EARLIER).exists()
        else _earlier(folder / EARLIER, summary["covariance"])
    )
    if mixture.covariance_type != summary["covariance"]:
        raise WrongValue(
            f"{path} holds {mixture.covariance_type} covariances, and {SUMMARY} beside it is of "
            f"{summary['covariance']} ones: they are of different fits"
        )
    mixture.missing_values = summary["options"].get("missing", "refuse")
    return mixture, summary


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


def points_of(data: Data, rows: slice = slice(None)) -> np.ndarray:
    """Give points as a fit takes them: of a mapped file as they are, to be read by parts."""
    import numpy as np

    stored = data.stored
    plain = data.scale == 1.0 and stored.ndim == 2
    if isinstance(stored, np.memmap) and plain and stored.dtype in (np.float32, np.float64):
        return stored[rows]
    return (data.x if rows == slice(None) else data.rows(rows)).numpy()
