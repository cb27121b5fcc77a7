# SPDX-License-Identifier: MIT
"""``pyvae fit-mixture``."""

from __future__ import annotations

import json
import math
import re
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pyvae.cli.errors import UserError
from pyvae.cli.files import every_form, write_array, write_picture
from pyvae.cli.mixture_folder import EARLIER, MIXTURE, SUMMARY, points_of
from pyvae.cli.mixture_selection import ALL, SELECTION_FILES, show_selection, write_selection
from pyvae.cli.reading import current_rules, load_data, say_notes
from pyvae.cli.run_folder import absolute
from pyvae.cli.terminal import output, say, show, steps, table
from pyvae.cli.threads import use_threads
from pyvae.storage.lock import locked
from pyvae.storage.writing import write_atomically

if TYPE_CHECKING:
    import numpy as np
    from rich.console import Console

    from pyvae.data import Data
    from pyvae.mixture import GaussianMixture, MixtureSelection

_FILES = (SUMMARY, MIXTURE, EARLIER, "labels.npy", *every_form("mixture"), *SELECTION_FILES)
_LISTED = 30  # components of the table
_COLUMNS = 6  # features of it
_LOW_RANK = "low_rank"
_VARIANCES = ("diag", "spherical", "tied_diag", "tied_spherical")


@dataclass(frozen=True)
class Options:
    """What the command line says."""

    data: str
    components: str
    covariance: str
    starts: int
    max_iter: int
    tolerance: float
    reg_covar: float
    seed: int
    output: str
    overwrite: bool
    split: str
    threads: int | None
    reading: dict[str, Any]
    picture_format: str = "png"
    criterion: str = "bic"
    rank: int | None = None


def fit_mixture(options: Options) -> None:
    """Fit, print, and write parameters, labels and pictures."""
    counts = numbers(options.components)
    folder = _folder(options)
    _check_rank(options)
    data = load_data(_read_by(options))
    if max(counts) > len(data):
        raise UserError(
            f"--components: {max(counts)} are more than the {len(data)} points of {options.data}"
        )
    console = output()
    say_notes(console, data)
    _say_labels(console, data)
    d = data.num_features
    threads = use_threads(
        options.threads,
        2.0 * len(data) * max(counts) * d * _numbers(options, d),
    )
    x = points_of(data)
    found, count = None, max(counts)
    if min(counts) < count or options.covariance == ALL:
        with steps(console, hidden=not console.is_terminal) as begin:
            begin("fitting mixtures")
            found = _select(options, counts, x, threads)
        show_selection(console, found)
    mixture = _fit(console, options, count, x) if found is None else found.best_
    labels = mixture.predict(x)
    _show_components(console, mixture, labels, data.columns)
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder):
        for name in _FILES:
            (folder / name).unlink(missing_ok=True)
        if found is not None:
            write_selection(folder, found, options.picture_format)
        _write(folder, options, data, mixture, labels, _bic(found, mixture, x))
    say(console, f"wrote {', '.join(n for n in _FILES if (folder / n).exists())} in {folder}")


def _read_by(options: Options) -> dict[str, Any]:
    """Return the options that the data are read by."""
    return {
        **options.reading,
        "data": options.data,
        "split": options.split,
        "no_label_column": True,  # all columns are features: a fit has no use for labels
        "reading_rules": current_rules(),
    }


def numbers(text: str) -> tuple[int, ...]:
    """Read numbers of components: ``10``, ``2,3,5`` or ``1-10``."""
    found: set[int] = set()
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\d+)(?:-(\d+))?\s*", part)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (0, 0)
        if not 1 <= first <= last:
            raise UserError(f"--components: {text!r}; expected such as 10, 2,3,5 or 1-10")
        found.update(range(first, last + 1))
    return tuple(sorted(found))


def _check_rank(options: Options) -> None:
    has_factors = options.covariance in (_LOW_RANK, ALL)
    if options.covariance == _LOW_RANK and options.rank is None:
        raise UserError("--covariance low_rank: give --rank, the number of factors, such as 4")
    if options.rank is not None and not has_factors:
        raise UserError(
            f"--rank: {options.covariance} covariances have no factors; leave it out, or take "
            "--covariance low_rank"
        )


def _numbers(options: Options, d: int) -> int:
    """Give how many multiplications a coordinate asks for, of the dearest type."""
    if options.covariance == _LOW_RANK:
        return 3 * (options.rank or 1)
    return 1 if options.covariance in _VARIANCES else d


def _folder(options: Options) -> Path:
    folder = Path(options.output).expanduser()
    if folder.exists() and not folder.is_dir():
        raise UserError(f"--output: {folder} is a file; name a folder")
    if (folder / _FILES[0]).exists() and not options.overwrite:
        raise UserError(
            f"{folder} holds a mixture already; --overwrite replaces it, --output DIR writes "
            "elsewhere"
        )
    mine = (folder / _FILES[0]).exists()
    if not mine and folder.is_dir() and any(p.name[0] != "." for p in folder.iterdir()):
        raise UserError(f"--output: {folder} holds other files; name a new or an empty folder")
    return folder


def _settings(options: Options) -> dict[str, Any]:
    return {
        "n_init": options.starts,
        "max_iter": options.max_iter,
        "tol": options.tolerance,
        "reg_covar": options.reg_covar,
        "rank": options.rank,
        "random_state": options.seed,
        "missing_values": options.reading["missing"],
    }


def _select(
    options: Options, counts: tuple[int, ...], x: np.ndarray, threads: int
) -> MixtureSelection:
    """Fit all that is asked for, as many at a time as there are threads."""
    from sklearn.exceptions import ConvergenceWarning

    from pyvae.mixture import select_mixture

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the table tells
        return select_mixture(
            x, counts, options.covariance, options.criterion, n_jobs=threads, **_settings(options)
        )


def _bic(
    found: MixtureSelection | None, mixture: GaussianMixture, x: np.ndarray
) -> dict[int, float]:
    """Give the BIC by number of components, of the type of covariance that is kept."""
    if found is None:
        return {mixture.n_components: float(mixture.bic(x))}
    kept = mixture.covariance_type
    return {row.n_components: row.bic for row in found.table if row.covariance_type == kept}


def _fit(console: Console, options: Options, count: int, x: np.ndarray) -> GaussianMixture:
    from sklearn.exceptions import ConvergenceWarning

    from pyvae.mixture import GaussianMixture

    mixture = GaussianMixture(
        count,
        covariance_type=options.covariance,
        verbose=int(console.is_terminal),
        verbose_interval=options.max_iter + 1,
        **_settings(options),
    )
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ConvergenceWarning)
        mixture.fit(x)
    for message in dict.fromkeys(str(warning.message) for warning in caught):
        say(console, f"{count} components: {message}")
    return mixture


def _say_labels(console: Console, data: Data) -> None:
    """Say of a column that is called so, that it is a feature."""
    from pyvae.data import LABEL_NAMES

    for name in data.columns or ():
        if name.lower() in LABEL_NAMES:
            say(console, f"note   column {name!r} is a feature; --drop {name} leaves it out")


def _show_components(
    console: Console,
    mixture: GaussianMixture,
    labels: np.ndarray,
    names: tuple[str, ...] | None,
) -> None:
    import numpy as np

    counts = np.bincount(labels, minlength=len(mixture.weights_))
    columns = ("component", "weight", "points")
    plural = "s" * (len(counts) != 1)
    title = (
        f"{len(counts)} component{plural}, {mixture.covariance_type}: "
        f"{mixture.lower_bound_:.4f} nats a point after {mixture.n_iter_} iterations"
    )
    say(console, title)
    # Of named features as many as a line has room for, which no number is broken in.
    shown = _COLUMNS if names is None else max(1, min(_COLUMNS, (console.width - 36) // 13))
    means = [_written(column) for column in mixture.means_[:, :shown].T]
    more = mixture.means_.shape[1] > shown
    features = ("mean",) if names is None else names[:shown]
    numbers = columns if names is None else (*columns, *features)
    grid = table(console, "", *columns, *features, *[""] * (more and names is not None),
                 numbers=numbers)  # fmt: skip
    for k in np.argsort(-mixture.weights_, kind="stable")[:_LISTED]:
        place = [column[k] for column in means] + ["..."] * more
        place = [", ".join(place)] if names is None else place
        grid.add_row(str(k), f"{mixture.weights_[k]:.4f}", f"{counts[k]:,}", *place)
    show(console, grid)
    if len(counts) > _LISTED:
        say(console, f"and {len(counts) - _LISTED} lighter ones")


def _written(values: np.ndarray) -> list[str]:
    """Write numbers with three digits, or with as many as tell them apart."""
    import numpy as np

    apart = np.diff(np.unique(values))
    least, size = float(apart.min(initial=np.inf)), float(np.abs(values).max())
    if least >= 1e-3 * size or size >= 1e15:
        return [f"{value:.3g}" for value in values]
    decimals = min(15, max(0, 1 - math.floor(math.log10(least))))
    return [f"{value:.{decimals}f}" for value in values]


def _write(
    folder: Path,
    options: Options,
    data: Data,
    mixture: GaussianMixture,
    labels: np.ndarray,
    bic: dict[int, float],
) -> None:
    import numpy as np

    from pyvae import plots

    k, d = mixture.means_.shape
    summary: dict[str, Any] = {
        "data": data.name,
        "points": len(data),
        "dimensions": d,
        "columns": data.columns,
        "components": k,
        "covariance": mixture.covariance_type,
        "converged": bool(mixture.converged_),
        "iterations": mixture.n_iter_,
        "log_likelihood_per_point": float(mixture.lower_bound_),
        "bic": {str(count): value for count, value in bic.items() if math.isfinite(value)},
        "seed": options.seed,
        "scale": data.scale,
        "options": {**_read_by(options), "data": absolute(options.data)},
    }
    mixture.save(folder / MIXTURE)
    write_array(folder / "labels.npy", labels)
    matrices = mixture.covariance_matrices_
    name = f"mixture.{options.picture_format}"
    x = data.x.numpy()
    seen = np.isfinite(x).all(1)  # what was not observed has no place in a picture
    if seen.any():
        shown = (x[seen], labels[seen], mixture.weights_, mixture.means_, matrices)
        picture = plots.mixture(*shown, feature_names=data.columns)
        write_picture(folder / name, picture)
    if not seen.all():
        told = f"{seen.sum():,} of {len(x):,} points, which have no missing values"
        say(output(), f"{name} shows {told}" if seen.any() else "no point to draw is complete")
    text = json.dumps(summary, indent=2) + "\n"
    write_atomically(folder / SUMMARY, text.encode())
