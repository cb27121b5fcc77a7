# SPDX-License-Identifier: MIT
"""``pyvae evaluate``."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from pyvae.cli.errors import UserError
from pyvae.cli.mixture_folder import SUMMARY
from pyvae.cli.reading import (
    EARLIER,
    as_trained_on,
    for_its_data,
    for_other_data,
    load_data,
    require_complete,
    say_notes,
)
from pyvae.cli.run_folder import RunFolder
from pyvae.cli.terminal import output, steps
from pyvae.cli.threads import threads_of, use_threads, work_of
from pyvae.errors import WrongValue

if TYPE_CHECKING:
    from pyvae.data import Data
    from pyvae.models import LatentVariableModel

_SCORED = 1024  # rows at a time


def evaluate(
    path: str,
    *,
    data: str | None,
    labels: str | None,
    split: str | None,
    samples: int,
    seed: int | None,
    threads: int | None,
    baselines: bool,
    as_json: bool,
    reading: dict[str, Any],
) -> None:
    """Score the model of a run, or a saved model, and print the figures.

    Of a run on its own data these are those of its ``metrics.json``.
    """
    from pyvae.models import GMVAE

    model, run = load_model(path)
    given = {"data": data, "labels": labels, "split": split}
    loaded, options = load_data_of(path, run, given | reading, model.input_dim)
    from pyvae import training
    from pyvae.cli import report

    use_threads(threads or threads_of(run), work_of(model, _SCORED))
    own_seed: int = run.get("options", {}).get("seed", 0)
    count = RunFolder(path).baseline_examples() if data is None else None
    console = output(stderr=as_json)
    with steps(console, hidden=as_json and not console.is_terminal) as told:
        figures = training.evaluate(
            model,
            loaded,
            num_samples=samples,
            compare=baselines,
            compare_examples=count,
            seed=own_seed if seed is None else seed,
            told=told,
        )
    if as_json:
        import json

        print(json.dumps({**about(loaded, options["split"]), **figures}, indent=2))
        return
    say_notes(output(), loaded)
    report.figures(output(), figures, "gmvae" if isinstance(model, GMVAE) else "vae")


def about(data: Data, split: str) -> dict[str, Any]:
    """Say what figures are of, for JSON."""
    return {"data": data.name, "split": split, "classes": data.classes}


def load_data_of(
    path: str, run: dict[str, Any], given: dict[str, Any], width: int, *, complete: bool = True
) -> tuple[Data, dict[str, Any]]:
    """Load the data of a run, or others by what it says of their form.

    Parameters
    ----------
    path, run
        The run's folder, and what it recorded.
    given
        What the command line says, by the options' names; None is nothing.
    width
        Features that the model takes.
    complete
        Whether every number must be there.

    Returns
    -------
    The data, and the options that they were read by.
    """
    given = {name: value for name, value in given.items() if value is not None}
    own = run_options(run)
    if "data" not in given and own.get("data") is None:
        raise UserError(f"{path} comes without the data of a run; name some")
    columns = run.get("columns")
    other = "data" in given
    options = for_other_data(own, given, columns) if other else for_its_data(own, given)
    if complete:
        require_complete(options)
    if other and columns is None and _by_number(own, given):
        data = _in_either_layout(own, options, width)
    else:
        data = load_data(options)
    if data.num_features != width:
        raise UserError(
            f"{data.name} has {data.num_features} features an example, the model in {path} takes "
            f"{width}; of a table, --columns picks them"
        )
    return as_trained_on(data, run), options


def _by_number(own: dict[str, Any], given: dict[str, Any]) -> bool:
    """Tell whether a run without names of columns chose among them, and nobody chooses now."""
    choices = ("columns", "drop", "label_column")
    return any(own.get(name) for name in choices) and not any(name in given for name in choices)


def _in_either_layout(own: dict[str, Any], options: dict[str, Any], width: int) -> Data:
    """Read other data with the columns that a run's file has, or with the features alone."""
    choices = {name: own.get(name) for name in ("columns", "drop", "label_column")}
    try:
        data = load_data({**options, **choices, "labels_if_any": False})
    except WrongValue as error:
        same = error
    else:
        if data.num_features == width:
            return data
        same = None
    try:
        return load_data({**options, **dict.fromkeys(choices), "no_label_column": True})
    except WrongValue as error:
        raise same or error from None


def run_options(run: dict[str, Any]) -> dict[str, Any]:
    """Return the options of a run, with what an older one lacks; none where there is no run."""
    return {**EARLIER, "split": "train", **run["options"]} if "options" in run else {}


def load_model(path: str) -> tuple[LatentVariableModel, dict[str, Any]]:
    """Load the model of a run's folder with its ``run.json``, or a saved model with none."""
    from pyvae.models import from_pretrained

    folder = RunFolder(path)
    if not folder.path.exists():
        raise UserError(f"{path}: no such folder; `pyvae train --output {path}` makes one")
    if (folder.path / SUMMARY).exists():
        raise UserError(
            f"{path} holds a mixture of `pyvae fit-mixture` and no model; `pyvae predict {path}` "
            "takes it"
        )
    model = from_pretrained(folder.path)
    if not folder.settings.exists():
        return model, {}
    run = folder.read_settings()
    shape, columns = run.get("image_shape"), run.get("columns")
    if columns is not None and len(columns) != model.input_dim:
        raise UserError(
            f"{folder.settings}: names {len(columns)} columns, and the model beside it has "
            f"{model.input_dim} features"
        )
    if shape is not None and math.prod(shape) != model.input_dim:
        raise UserError(
            f"{folder.settings}: image_shape is {shape}, and the model beside it has "
            f"{model.input_dim} features"
        )
    return model, run
