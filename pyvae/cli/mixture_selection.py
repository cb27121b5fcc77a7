# SPDX-License-Identifier: MIT
"""``pyvae fit-mixture`` of several numbers of components, or types of covariance."""

from __future__ import annotations

import csv
import io
import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pyvae.cli.files import every_form, write_picture
from pyvae.cli.terminal import say, show, table
from pyvae.storage.writing import write_atomically

if TYPE_CHECKING:
    from rich.console import Console

    from pyvae.mixture import Candidate, MixtureSelection

CRITERIA = ("bic", "aic", "icl")
_CSV, _JSON = "selection.csv", "selection.json"
SELECTION_FILES = (_CSV, _JSON, *every_form(*CRITERIA))


def show_selection(console: Console, found: MixtureSelection) -> None:
    """Print the table, with a mark at the fit that is kept."""
    for row in found.table:
        if row.problem is not None:
            say(console, f"{_called(found, row)}: {row.problem}")
        elif not row.converged:
            say(
                console,
                f"{_called(found, row)}: the best start did not converge; increase --max-iter or "
                "--tolerance, or look for degenerate data",
            )
    name = found.criterion.upper()
    kinds = ("covariance",) * _has_kinds(found)
    columns = ("components", "parameters", "log-likelihood", name)
    title = f"Mixtures by {name}, of which the least is kept"
    grid = table(console, title, *kinds, *columns, "", numbers=columns)
    for index, (row, value) in enumerate(zip(found.table, found.values, strict=True)):
        mark = f"least {name}" if index == found.best_index_ else ""
        grid.add_row(
            *(row.covariance_type,) * len(kinds), str(row.n_components), str(row.n_parameters),
            f"{row.log_likelihood:,.1f}", f"{value:,.1f}", mark,
        )  # fmt: skip
    show(console, grid)
    say(console, "")


def write_selection(folder: Path, found: MixtureSelection, picture_format: str) -> None:
    """Write the table as CSV and as JSON, and the criterion's picture."""
    from pyvae import plots

    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(found.table[0]._fields)
    writer.writerows(found.table)
    write_atomically(folder / _CSV, text.getvalue().encode())
    rows = [{name: _known(part) for name, part in row._asdict().items()} for row in found.table]
    content = {"criterion": found.criterion, "best": found.best_index_, "fits": rows}
    write_atomically(folder / _JSON, (json.dumps(content, indent=2) + "\n").encode())
    counts = [row.n_components for row in found.table]
    kinds = [row.covariance_type for row in found.table]
    curve = plots.information_criterion(counts, found.values, found.criterion.upper(), kinds)
    write_picture(folder / f"{found.criterion}.{picture_format}", curve)


def _called(found: MixtureSelection, row: Candidate) -> str:
    kind = f"{row.covariance_type}, " * _has_kinds(found)
    return f"{kind}{row.n_components} components"


def _has_kinds(found: MixtureSelection) -> bool:
    return len({row.covariance_type for row in found.table}) > 1


def _known(value: Any) -> Any:
    """Give a number that JSON has: what is not known is null."""
    return None if isinstance(value, float) and not math.isfinite(value) else value
