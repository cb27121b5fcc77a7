# SPDX-License-Identifier: MIT
"""``pyvae predict``."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from pyvae.cli import terminal
from pyvae.cli.errors import UserError
from pyvae.cli.evaluate import load_data_of, load_model
from pyvae.cli.mixture_folder import SUMMARY, load_mixture
from pyvae.cli.mixture_options import FAMILIES
from pyvae.cli.reading import say_notes
from pyvae.cli.threads import threads_of, use_threads, work_of
from pyvae.storage.writing import write_by

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from pyvae.data import Data

_SEPARATORS = {".csv": ",", ".tsv": "\t"}
_ROWS, _NUMBERS = 4096, 1 << 22  # at a time, at most


@dataclass(frozen=True)
class Clusterer:
    """A model or a mixture, asked for the components of some rows."""

    run: dict[str, Any]
    complete: bool  # whether it needs every number of a row
    width: int
    names: list[str]  # of the probabilities
    work: float
    reading: dict[str, Any]  # of its data, beside what was told of them
    predict: Callable[[Data, slice], np.ndarray]
    predict_proba: Callable[[Data, slice], np.ndarray]
    check: Callable[[Data], None] = lambda _: None  # refuses data that it has no place for


def predict(
    path: str,
    data: str | None,
    *,
    output: str | None,
    probabilities: bool,
    split: str | None,
    overwrite: bool,
    threads: int | None,
    reading: dict[str, Any],
) -> None:
    """Write the component of every row, and how probable each is."""
    target = _target(output, overwrite=overwrite)
    found = _clusterer(path, reading)
    given = {"data": data, "split": split, **reading, **found.reading}
    loaded, _ = load_data_of(path, found.run, given, found.width, complete=found.complete)
    if target is not None and target.resolve() == Path(loaded.name).resolve():
        raise UserError(f"--output: {target} holds the data; name another file")
    found.check(loaded)
    say_notes(terminal.output(stderr=True), loaded)
    use_threads(threads or threads_of(found.run), found.work)
    array = target is not None and target.suffix.lower() == ".npy"
    # Text holds both, an array one of them.
    wanted = [found.predict_proba if probabilities else found.predict]
    if not array:
        wanted = [found.predict, found.predict_proba]
    parts = _parts(found, loaded, wanted)
    if target is None:
        for text in _lines(parts, found.names, ","):
            sys.stdout.write(text.decode())
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    shown = _shown(parts, len(loaded))
    if array:
        write_by(target, lambda file: _write_array(file, shown, len(loaded)))
    else:
        separator = _SEPARATORS[target.suffix.lower()]
        write_by(target, lambda file: file.writelines(_lines(shown, found.names, separator)))
    print(f"{len(loaded):,} rows in {target}")


def _target(output: str | None, *, overwrite: bool) -> Path | None:
    """Return the file to write; None is stdout."""
    if output in (None, "-"):
        return None
    target = Path(str(output)).expanduser()
    if target.suffix.lower() not in (*_SEPARATORS, ".npy"):
        raise UserError(
            f"--output: {target} must end in .csv, .tsv (text) or .npy (an array), or be - for CSV "
            "on stdout"
        )
    if target.is_dir():
        raise UserError(f"--output: {target} is a folder; name a file")
    if target.exists() and not overwrite:
        raise UserError(
            f"--output: {target} is there already; --overwrite replaces it, or name another"
        )
    return target


def _clusterer(path: str, reading: dict[str, Any]) -> Clusterer:
    """Load what ``train`` or ``fit-mixture`` left in a folder."""
    import torch

    from pyvae.models import GMVAE

    folder = Path(path).expanduser()
    if (folder / SUMMARY).exists():
        return _mixture(folder, reading)
    model, run = load_model(path)
    if not isinstance(model, GMVAE):
        raise UserError(
            f"{path} holds a {type(model).__name__}, which has no components to tell apart; "
            "`pyvae train --model gmvae` trains a model that has, and "
            "pyvae.models.from_pretrained(...).encode(x) gives this one's latent means"
        )

    def checked(data: Data, rows: slice) -> Tensor:
        x = data.rows(rows)
        model.check_input(x)
        return x

    return Clusterer(
        run,
        True,
        model.input_dim,
        _numbered(model.num_components),
        work_of(model, _ROWS),
        {},
        torch.no_grad()(lambda data, rows: model.predict(checked(data, rows)).numpy()),
        torch.no_grad()(lambda data, rows: model.predict_proba(checked(data, rows)).numpy()),
    )


def _mixture(folder: Path, reading: dict[str, Any]) -> Clusterer:
    """Load what ``fit-mixture`` left in a folder."""
    import numpy as np

    from pyvae.cli.mixture_columns import columns_of, points_of, require_categories, texts_of

    mixture, summary = load_mixture(folder)
    family = FAMILIES[summary["family"]]
    missing = reading.get("missing", "refuse")
    if "missing" in family.takes:
        mixture.missing_values = reading.get("missing", mixture.missing_values)
    elif missing != "refuse":
        raise UserError(
            f"--missing {missing}: {folder} holds a {family.words} mixture, which needs every "
            "number; drop the rows or fill the cells in"
        )
    k, d = len(mixture.weights_), mixture.n_features_in_
    texts = {} if family.has_covariances else texts_of(columns_of(mixture))
    more: dict[str, Any] = {"unlabelled": "keep"}
    if family.takes_text:
        more["text"] = tuple(texts)

    def points(data: Data, rows: slice) -> np.ndarray:
        x = points_of(data, rows, any_type=not family.has_covariances)
        if x.dtype.kind == "f" and not np.isfinite(x).all():
            data.rows(rows)  # which says where in the file
        return x

    return Clusterer(
        summary,
        False,
        d,
        _numbered(k) + ["probability_noise"] * hasattr(mixture, "noise_weight_"),
        2.0 * _ROWS * k * d * (_multiplications(mixture) if family.has_covariances else 1),
        more,
        lambda data, rows: mixture.predict(points(data, rows)),
        lambda data, rows: mixture.predict_proba(points(data, rows)),
        lambda data: require_categories(data, texts),
    )


def _multiplications(mixture: Any) -> int:
    """Give how many a coordinate asks for in each component."""
    from pyvae.mixture.covariance import LowRank, covariance_of

    kind = covariance_of(mixture.covariance_type, getattr(mixture, "rank", None))
    if isinstance(kind, LowRank):
        return 2 * kind.rank
    return mixture.n_features_in_ if kind.has_matrices else 1


def _numbered(count: int) -> list[str]:
    return [f"probability_{k}" for k in range(count)]


def _parts(
    found: Clusterer, data: Data, wanted: list[Callable[[Data, slice], np.ndarray]]
) -> Iterator[list[np.ndarray]]:
    """Give what is asked for of some rows after others."""
    step = max(1, min(_ROWS, _NUMBERS // max(found.width, len(found.names))))
    for start in range(0, len(data), step):
        rows = slice(start, start + step)
        yield [ask(data, rows) for ask in wanted]


def _shown(parts: Iterator[list[np.ndarray]], total: int) -> Iterator[list[np.ndarray]]:
    """Hand on parts behind a bar on stderr, where that is a terminal."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("rows", total=total)
        for part in parts:
            yield part
            bar.advance(task, len(part[0]))


def _lines(parts: Iterator[list[np.ndarray]], names: list[str], separator: str) -> Iterator[bytes]:
    """Give text: a header, then a line a row, in digits that give the same numbers back."""
    import numpy as np

    formats: list[str] = []
    for components, probabilities in parts:
        if not formats:
            yield (separator.join(["component", *names]) + "\n").encode()
            digits = 9 if probabilities.dtype == np.float32 else 17
            formats = ["%d", *[f"%.{digits}g"] * len(names)]
        text = io.BytesIO()
        table = np.column_stack([components, probabilities])
        np.savetxt(text, table, fmt=formats, delimiter=separator)
        yield text.getvalue()


def _write_array(file: BinaryIO, parts: Iterator[list[np.ndarray]], total: int) -> None:
    """Write a ``.npy`` file part by part."""
    import numpy as np

    for number, (part,) in enumerate(parts):
        if number == 0:
            header = {
                "descr": np.lib.format.dtype_to_descr(part.dtype),
                "fortran_order": False,
                "shape": (total, *part.shape[1:]),
            }
            np.lib.format.write_array_header_1_0(file, header)
        file.write(np.ascontiguousarray(part).tobytes())
