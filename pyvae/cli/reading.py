# SPDX-License-Identifier: MIT
"""The options that say how data are read: one table for the commands that read some."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pyvae.cli.errors import UserError
from pyvae.cli.terminal import say
from pyvae.storage.form import Form, Integer, Maybe, Text, Truth

if TYPE_CHECKING:
    from rich.console import Console

    from pyvae.data import Data

_PANEL = "Data"
_PIXELS = 1 / 255


class Missing(str, Enum):
    """``--missing``."""

    refuse = "refuse"
    marginalize = "marginalize"


def _option(flag: str, help_text: str, metavar: str) -> Any:
    return typer.Option(flag, help=help_text, metavar=metavar, rich_help_panel=_PANEL)


_LABELS: dict[str, Any] = {
    "label_column": Annotated[
        str | None,
        _option(
            "--label-column",
            "Column (in a .npz, array) of labels, by name or number from 1; if left out, one "
            "called label, labels, class or target. Never used in training.",
            "NAME",
        ),
    ],
    "no_label_column": Annotated[
        bool, _option("--no-label-column", "Every column is a feature, whatever its name.", "")
    ],
}
_FORM: dict[str, Any] = {
    "columns": Annotated[
        str | None, _option("--columns", "Features, by name or number from 1: a,b,c.", "NAMES")
    ],
    "drop": Annotated[
        str | None, _option("--drop", "Columns to leave out, by name or number.", "NAMES")
    ],
    "delimiter": Annotated[
        str | None,
        _option(
            "--delimiter",
            "Between cells of a table: comma, semicolon, tab, pipe or whitespace; recognised if "
            "left out.",
            "NAME",
        ),
    ],
    "decimal": Annotated[
        str | None,
        _option("--decimal", "Decimal mark, . or ,; recognised if left out.", "MARK"),
    ],
    "header": Annotated[
        bool | None,
        _option(
            "--header/--no-header",
            "Whether line 1 names the columns; recognised if left out.",
            "",
        ),
    ],
    "missing": Annotated[
        Missing,
        typer.Option(
            "--missing",
            help="Cells that are empty, NA, N/A, NaN, null, None or ?: an error, or integrated "
            "out (fit-mixture only).",
            rich_help_panel=_PANEL,
        ),
    ],
}
# What a run recorded that was made before these options; it recognised by other rules.
EARLIER: dict[str, Any] = {
    "label_column": None, "no_label_column": False, "columns": None, "drop": None,
    "delimiter": None, "decimal": None, "header": None, "missing": "refuse", "reading_rules": 1,
}  # fmt: skip
FORMS: dict[str, Form] = {
    **dict.fromkeys(("label_column", "columns", "drop", "delimiter", "decimal"), Maybe(Text())),
    "no_label_column": Truth(),
    "header": Maybe(Truth()),
    "missing": Text(("refuse", "marginalize")),
    "reading_rules": Integer(1, 2),
}


def with_reading(*, labels: bool) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Add the options to a command: before its ``**settings``, or in the place of ``**reading``."""

    def extended(command: Callable[..., None]) -> Callable[..., None]:
        own = list(inspect.signature(command).parameters.values())
        kept = [parameter for parameter in own if parameter.name != "reading"]
        at = next((i for i, p in enumerate(kept) if p.kind is p.VAR_KEYWORD), len(kept))
        described = (_LABELS if labels else {}) | _FORM
        kind = inspect.Parameter.KEYWORD_ONLY
        added = [
            inspect.Parameter(name, kind, default=_default(name), annotation=annotation)
            for name, annotation in described.items()
        ]
        plain = [p if p.kind is p.VAR_KEYWORD else p.replace(kind=kind) for p in kept]
        command.__signature__ = inspect.Signature([*plain[:at], *added, *plain[at:]])  # type: ignore[attr-defined]
        command.__annotations__.pop("reading", None)
        command.__annotations__ |= described
        return command

    return extended


def _default(name: str) -> Any:
    return Missing.refuse if name == "missing" else EARLIER[name]


def load_data(options: Mapping[str, Any]) -> Data:
    """Load what the options of a command, or of a run, name.

    Parameters
    ----------
    options
        ``data``, ``split``, ``labels`` and those of :func:`with_reading`, by their names. What is
        left out is by its default; ``labels_if_any`` is of a label column that need not be there,
        ``expected`` are the names of the columns that a model takes, and ``unlabelled``, ``text``
        and ``categorical`` those of :func:`pyvae.data.load`.
    """
    import warnings

    from pyvae import data as readers

    options = {**EARLIER, "reading_rules": readers.RULES, "labels": None, **options}
    names = readers.LABEL_NAMES if options["reading_rules"] > 1 else (*readers.LABEL_NAMES, "y")
    told = options["label_column"]
    if told is not None and options["no_label_column"]:
        raise UserError("--label-column and --no-label-column exclude each other; give one of them")
    if told is not None and options.get("labels_if_any"):
        told = (told,)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", readers.ReadingWarning)  # said by say_notes
        return readers.load(
            options["data"],
            split=options["split"],
            labels=options["labels"],
            label_column=None if options["no_label_column"] else told or names,
            columns=readers.listed_columns(options["columns"]) or None,
            drop=readers.listed_columns(options["drop"]),
            delimiter=options["delimiter"],
            decimal=options["decimal"],
            header=options["header"],
            missing="keep" if options["missing"] == "marginalize" else "refuse",
            expected=options.get("expected"),
            rules=options["reading_rules"],
            unlabelled=options.get("unlabelled", "refuse"),
            text=options.get("text", "refuse"),
            categorical=readers.listed_columns(options.get("categorical")),
        )


def as_trained_on(data: Data, run: Mapping[str, Any]) -> Data:
    """Scale data as those were that a run was trained on.

    A file tells its pixels from other numbers by what it holds, and another file of them need not
    hold as much. Runs from before scales were recorded scaled all bytes, and only bytes.
    """
    from pyvae.data.shapes import byte_scale, lie_within_one

    if not run or data.scale not in (1.0, _PIXELS):  # digits have their own
        return data
    scale = run.get("scale")
    if scale is None:
        return replace(data, scale=byte_scale(data.stored))
    if scale == _PIXELS and data.scale == 1.0 and not lie_within_one(data.stored):
        return replace(data, scale=_PIXELS)
    if scale == 1.0 and data.stored.dtype != "uint8":
        return replace(data, scale=1.0)
    return data


def current_rules() -> int:
    """Return the number of the rules that a new run recognises its data by."""
    from pyvae.data import RULES

    return RULES


def for_its_data(saved: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return options to read a run's data by: the run's, but for what is given."""
    options = {**saved, **given}
    # Each of the two takes the place of the other.
    if given.get("label_column") is not None and not given.get("no_label_column"):
        options["no_label_column"] = False
    if given.get("no_label_column") and given.get("label_column") is None:
        options["label_column"] = None
    return options


def for_other_data(
    saved: Mapping[str, Any], given: Mapping[str, Any], columns: Sequence[str] | None = None
) -> dict[str, Any]:
    """Return options to read other data than a run's by: the run's, but for what is given.

    Columns that the run has names of are found by these; a column of labels, or one that was
    dropped, need not be there.

    Parameters
    ----------
    saved
        The options of the run; what an older one lacks is added.
    given
        ``data``, and whatever else stands on the command line.
    columns
        Names of the model's features, if they have any.
    """
    own = {name: saved[name] for name in EARLIER if name in saved}
    if columns is not None:
        own |= {"columns": None, "drop": None, "expected": tuple(columns)}
    told = given.get("label_column") is not None
    return for_its_data({**own, "split": "train", "labels_if_any": not told}, given)


def require_complete(options: Mapping[str, Any]) -> None:
    """Refuse ``--missing marginalize`` where the model cannot."""
    if options.get("missing") == "marginalize":
        raise UserError(
            "--missing marginalize: a VAE's encoder needs every number of an example, and only "
            "`pyvae fit-mixture` can; drop the rows or fill the cells in first (scikit-learn's "
            "SimpleImputer, say)"
        )


def say_notes(console: Console, data: Data) -> None:
    """Say what was guessed of the data."""
    for note in data.notes:
        say(console, f"note   {data.name}: {note}")
