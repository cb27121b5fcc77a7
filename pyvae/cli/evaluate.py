# SPDX-License-Identifier: MIT
"""``pyvae evaluate``."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from pyvae.cli.errors import UserError
from pyvae.cli.run_folder import RunFolder
from pyvae.cli.terminal import output

if TYPE_CHECKING:
    from pyvae.models import LatentVariableModel


def evaluate(
    path: str,
    *,
    data: str | None,
    labels: str | None,
    split: str | None,
    samples: int,
    baselines: bool,
    as_json: bool,
) -> None:
    """Score the model of a run, or a saved model, and print the figures."""
    from pyvae.data import load
    from pyvae.models import GMVAE

    model, run = load_model(path)
    settings = run.get("options", {})
    source = settings.get("data") if data is None else data
    if source is None:
        raise UserError(f"{path} is a model without a run's data; name some with --data")
    if data is None and labels is None:
        labels = settings.get("labels")
    own = settings.get("split", "train") if data is None else "train"
    loaded = load(source, split=split or own, labels=labels)
    if loaded.num_features != model.input_dim:
        raise UserError(
            f"{loaded.name} has {loaded.num_features} features an example, the model in {path} "
            f"takes {model.input_dim}"
        )
    from pyvae import training
    from pyvae.cli import report

    figures = training.evaluate(model, loaded, num_samples=samples, compare=baselines)
    if as_json:
        import json

        print(json.dumps({"data": loaded.name, **figures}, indent=2))
        return
    report.figures(output(), figures, "gmvae" if isinstance(model, GMVAE) else "vae")


def load_model(path: str) -> tuple[LatentVariableModel, dict[str, Any]]:
    """Load the model of a run's folder with its ``run.json``, or a saved model with none."""
    from pyvae.models import from_pretrained

    folder = RunFolder(path)
    if not folder.path.exists():
        raise UserError(f"{path}: no such folder; `pyvae train --output {path}` makes one")
    if not folder.settings.exists():
        return from_pretrained(folder.path), {}
    if not folder.model.exists():
        raise UserError(
            f"{path}: the run has not come to its end; `pyvae train --output {path} --resume` "
            "goes on with it"
        )
    model, run = from_pretrained(folder.model), folder.read_settings()
    shape = run.get("image_shape")
    if shape is not None and math.prod(shape) != model.input_dim:
        raise UserError(
            f"{folder.settings}: image_shape is {shape}, and the model beside it has "
            f"{model.input_dim} features"
        )
    return model, run
