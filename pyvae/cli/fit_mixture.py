# SPDX-License-Identifier: MIT
"""``pyvae fit-mixture``."""

from __future__ import annotations

import json
import math
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from pyvae.cli.errors import UserError
from pyvae.cli.files import every_form, write_array, write_picture
from pyvae.cli.mixture_folder import EARLIER, MIXTURE, SUMMARY
from pyvae.cli.mixture_options import (
    Options,
    check,
    is_selection,
    multiplications,
    numbers,
    reading_of_text,
    settings,
)
from pyvae.cli.mixture_selection import SELECTION_FILES, show_selection, write_selection
from pyvae.cli.reading import current_rules, load_data, say_notes
from pyvae.cli.run_folder import absolute
from pyvae.cli.terminal import output, say, steps
from pyvae.cli.threads import use_threads
from pyvae.storage.lock import locked
from pyvae.storage.writing import write_atomically

if TYPE_CHECKING:
    import numpy as np
    from rich.console import Console

    from pyvae.cli.mixture_labels import Known
    from pyvae.data import Data
    from pyvae.mixture import MixtureSelection

_FILES = (SUMMARY, MIXTURE, EARLIER, "labels.npy", *every_form("mixture"), *SELECTION_FILES)


class _Fit(NamedTuple):
    """A mixture, what it was fitted to, and what it says of these points."""

    mixture: Any
    data: Data
    known: Known | None
    components: np.ndarray
    log_likelihood: float  # in nats a point
    bic: dict[int, float]


def fit_mixture(options: Options) -> None:
    """Fit, print, and write parameters, labels and pictures."""
    counts = numbers(options.components)
    check(options)
    folder = _folder(options)
    data = _load(options)
    if max(counts) > len(data):
        raise UserError(
            f"--components: {max(counts)} are more than the {len(data)} points of {options.data}"
        )
    console, known = output(), _known(options, data, max(counts))
    _say_data(console, options, data, known)
    found, fit = _fitted(console, options, counts, data, known)
    _show(console, options, fit)
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder):
        for name in _FILES:
            (folder / name).unlink(missing_ok=True)
        if found is not None:
            write_selection(folder, found, options.picture_format)
        _write(folder, options, fit)
    say(console, f"wrote {', '.join(n for n in _FILES if (folder / n).exists())} in {folder}")


def _fitted(
    console: Console, options: Options, counts: tuple[int, ...], data: Data, known: Known | None
) -> tuple[MixtureSelection | None, _Fit]:
    """Fit one mixture, or all that are asked for and keep the best."""
    from pyvae.cli.mixture_columns import points_of

    d, found = data.num_features, None
    work = 2.0 * len(data) * max(counts) * d * multiplications(options, d)
    threads = use_threads(options.threads, work)
    x = points_of(data, any_type=not options.of.has_covariances)
    if is_selection(options):
        with steps(console, hidden=not console.is_terminal) as begin:
            begin("fitting mixtures")
            found = _select(options, counts, x, threads)
        show_selection(console, found)
        mixture: Any = found.best_
    else:
        mixture = _fit_one(console, options, max(counts), x, known)
    score, bic = _log_likelihood(options, mixture, x), _bic(found, mixture, x)
    return found, _Fit(mixture, data, known, mixture.predict(x), score, bic)


def _show(console: Console, options: Options, fit: _Fit) -> None:
    """Print the components, and before them what columns of a table were taken for."""
    from pyvae.cli.mixture_report import say_columns, show_components

    if options.family == "table":
        say_columns(console, fit.mixture, fit.data)
    classes = None if fit.known is None else fit.known.classes
    show_components(
        console, options, fit.mixture, fit.components, fit.data.columns, classes, fit.log_likelihood
    )


def _load(options: Options) -> Data:
    """Load the points, with their labels where some are told."""
    told = {"labels": options.labels, "label_column": options.label_column}
    return load_data(
        {**_read_by(options), **reading_of_text(options), **told, "unlabelled": "keep"}
    )


def _read_by(options: Options) -> dict[str, Any]:
    """Return the options that the points are read by, now and when their folder is asked."""
    # Without one all columns are features; a file of labels has a column of its own.
    label_column = options.label_column if options.labels is None else None
    return {
        **options.reading,
        "data": options.data,
        "split": options.split,
        "label_column": label_column,
        "no_label_column": options.label_column is None,
        "reading_rules": current_rules(),
    }


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


def _select(
    options: Options, counts: tuple[int, ...], x: np.ndarray, threads: int
) -> MixtureSelection:
    """Fit all that is asked for, as many at a time as there are threads."""
    from sklearn.exceptions import ConvergenceWarning

    from pyvae.mixture import select_mixture

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the table tells
        return select_mixture(
            x, counts, options.covariance, options.criterion, n_jobs=threads, **settings(options)
        )


def _bic(found: MixtureSelection | None, mixture: Any, x: np.ndarray) -> dict[int, float]:
    """Give the BIC by number of components, of the type of covariance that is kept."""
    if found is None:
        return {mixture.n_components: float(mixture.bic(x))}
    kept = mixture.covariance_type
    return {row.n_components: row.bic for row in found.table if row.covariance_type == kept}


def _log_likelihood(options: Options, mixture: Any, x: np.ndarray) -> float:
    """Give that of the points, in nats a point: labels and priors have a part in EM's bound."""
    is_bound = not options.has_labels and options.family != "table"
    return float(mixture.lower_bound_ if is_bound else mixture.score(x))


def _fit_one(
    console: Console, options: Options, count: int, x: np.ndarray, known: Known | None
) -> Any:
    from sklearn.exceptions import ConvergenceWarning

    family = options.of
    _require_both_sides(options.binarize, x)
    more = {"covariance_type": options.covariance} if family.has_covariances else {}
    mixture = family.kind(
        count,
        **more,
        verbose=int(console.is_terminal),
        verbose_interval=options.max_iter + 1,
        **settings(options),
    )
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ConvergenceWarning)
        mixture.fit(x, **({} if known is None else {"labels": known.components}))
    for message in dict.fromkeys(str(warning.message) for warning in caught):
        say(console, f"{count} components: {message}")
    return mixture


def _require_both_sides(threshold: float | None, x: np.ndarray) -> None:
    """Raise UserError where binarised points would be all zeros, or all ones."""
    import numpy as np

    if threshold is None:
        return
    low, high = np.nanmin(x), np.nanmax(x)
    if not low <= threshold < high:
        value = "zero" if threshold >= high else "one"
        raise UserError(
            f"--binarize {threshold:g}: every value would be {value}, since they go from {low:g} "
            f"to {high:g}; take a threshold between these"
        )


def _known(options: Options, data: Data, count: int) -> Known | None:
    """Give what labels tell of the points' components, where there are some."""
    from pyvae.cli.mixture_labels import known_labels

    if not options.has_labels:
        return None
    return known_labels(data, options.labels or f"column {options.label_column}", count)


def _say_data(console: Console, options: Options, data: Data, known: Known | None) -> None:
    """Say what was guessed of the data, and of a column that is called so, that it is a feature."""
    from pyvae.cli.mixture_labels import say_known
    from pyvae.data import LABEL_NAMES

    say_notes(console, data)
    for name in data.columns or ():
        if name.lower() in LABEL_NAMES:
            ways = f"--drop {name} leaves it out"
            if "label_column" in options.of.takes and known is None:
                ways += f", --label-column {name} takes it for what is known of components"
            say(console, f"note   column {name!r} is a feature; {ways}")
    if known is not None:
        say_known(console, known)


def _write(folder: Path, options: Options, fit: _Fit) -> None:
    from pyvae.cli.mixture_pictures import complete_rows, picture_of

    data, family = fit.data, options.of
    fit.mixture.save(folder / MIXTURE)
    write_array(folder / "labels.npy", fit.components)
    name = f"mixture.{options.picture_format}"
    picture = picture_of(family, data, fit.mixture, fit.components)
    if picture is not None:
        write_picture(folder / name, picture)
    seen = complete_rows(data) if family.has_covariances else None
    if seen is not None and not seen.all():
        told = f"{seen.sum():,} of {len(data):,} points, which have no missing values"
        say(output(), f"{name} shows {told}" if seen.any() else "no point to draw is complete")
    text = json.dumps(_summary(options, fit), indent=2) + "\n"
    write_atomically(folder / SUMMARY, text.encode())


def _summary(options: Options, fit: _Fit) -> dict[str, Any]:
    """Return what the folder says of the fit."""
    from pyvae.cli.mixture_columns import columns_of
    from pyvae.cli.mixture_labels import agreement

    mixture, data, known = fit.mixture, fit.data, fit.known
    more: dict[str, Any] = {}
    if options.of.has_covariances:
        more["covariance"] = mixture.covariance_type
    else:
        more["families"] = [column.family for column in columns_of(mixture)]
    if known is not None:
        more["classes"] = known.classes
        more["labelled"] = agreement(known, fit.components)
    if options.noise is not None:
        more["noise_weight"] = float(mixture.noise_weight_)
    if "degrees_of_freedom" in options.of.takes:
        more["degrees_of_freedom"] = mixture.degrees_of_freedom_.tolist()
    return {
        "data": data.name,
        "points": len(data),
        "dimensions": data.num_features,
        "columns": data.columns,
        "family": options.family,
        "components": len(mixture.weights_),
        **more,
        "converged": bool(mixture.converged_),
        "iterations": mixture.n_iter_,
        "log_likelihood_per_point": fit.log_likelihood,
        "bic": {str(count): value for count, value in fit.bic.items() if math.isfinite(value)},
        "seed": options.seed,
        "scale": data.scale,
        "options": {**_read_by(options), "data": absolute(options.data)},
    }
