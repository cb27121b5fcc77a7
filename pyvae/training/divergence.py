# SPDX-License-Identifier: MIT
"""Runs that came to numbers that are none, and what the data have to do with it."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from pyvae.errors import WrongValue

if TYPE_CHECKING:
    from pyvae.models import LatentVariableModel

_LARGE = 30.0  # beyond it data are in other units than networks are made for


class TrainingDivergedError(RuntimeError):
    """A part of the bound, or a parameter, became NaN or infinite."""


def about_units(model: LatentVariableModel, rows: Tensor) -> str:
    """Say so where the networks see numbers that none can learn from."""
    units = model.standardization
    if units is not None:
        rows = units.standardized(rows, torch.float64)
    largest = rows.abs().max().item()
    if largest <= _LARGE:
        return ""
    if units is not None:
        return (
            f"The data reach {largest:.3g} in the units of the model, which it has from other data "
            "before: model.fit_standardization(x) takes them from x. Otherwise: "
        )
    return (
        f"The data reach {largest:.3g} and are taken as they are: build the model with "
        "standardize=True (leave out --no-standardize), or scale them. Otherwise: "
    )


def check_validation(figures: dict[str, float], batches: Iterable[Tensor]) -> None:
    """Raise where validation data give figures that no epoch can be judged by.

    An infinite bound may be that of an outlier, and stays.

    Raises
    ------
    ValueError
        If the data hold NaN or infinite numbers.
    TrainingDivergedError
        If a figure is NaN all the same.
    """
    if all(math.isfinite(figure) for figure in figures.values()):
        return
    seen = 0
    for rows in batches:
        bad = (~torch.isfinite(rows)).flatten(1).nonzero()
        if len(bad):
            row, feature = bad[0].tolist()
            raise WrongValue(
                f"the validation data hold NaN or infinity in row {seen + row}, feature {feature} "
                "(counted from 0), so no epoch can be judged by them; drop such rows or fill them "
                "in first"
            )
        seen += len(rows)
    named = [name for name, figure in figures.items() if math.isnan(figure)]
    if named:
        raise TrainingDivergedError(
            f"the validation data's {', '.join(named)} became NaN, though the data are finite; "
            "lower lr, set grad_clip, or look for outliers in the validation data"
        )
