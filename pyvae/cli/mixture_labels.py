# SPDX-License-Identifier: MIT
"""What the data of ``fit-mixture`` tell of components: labels, of which some are not known."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from pyvae.cli.errors import UserError
from pyvae.cli.terminal import say

if TYPE_CHECKING:
    from rich.console import Console

    from pyvae.data import Data

_NAMED = 10  # classes whose names are told


class Known(NamedTuple):
    """Components of the points ``(N,)``, -1 for unknown, and what the first of them are called."""

    components: np.ndarray
    classes: tuple[str, ...] | None


def known_labels(data: Data, source: str, count: int) -> Known:
    """Give the labels of data as what is known of so many components.

    Numbers are those of components; names are of the first, in sorted order.

    Raises
    ------
    UserError
        If none is known, or there are more than components.
    """
    assert data.labels is not None
    found = data.labels.numpy()
    where = data.label_name or source
    most = int(found.max())
    if most < 0:
        raise UserError(f"{data.name}: no label of {where} is known; leave the labels out")
    if data.classes is not None and len(data.classes) > count:
        raise UserError(
            f"--components: {count} are fewer than the {len(data.classes)} classes of {where} "
            f"({_listed(data.classes)}); expected one for each, or more: -k {len(data.classes)}"
        )
    if most >= count:
        raise UserError(
            f"--components: {where} has the label {most}, and {count} components are 0 to "
            f"{count - 1}; take -k {most + 1}, or number the labels from 0 on"
        )
    return Known(found, data.classes)


def say_known(console: Console, known: Known) -> None:
    """Say how many labels there are, and whose components they are."""
    some = known.components >= 0
    names = ""
    if known.classes is not None:
        names = f"; components 0 to {len(known.classes) - 1} are {_listed(known.classes)}"
        names = names.replace("components 0 to 0 are", "component 0 is")
    say(console, f"labels {some.sum():,} of {len(some):,} points are of known components{names}")


def agreement(known: Known, components: np.ndarray) -> dict[str, int]:
    """Count the labelled points, and those that the mixture itself puts where their labels do."""
    some = known.components >= 0
    same = components[some] == known.components[some]
    return {"points": int(some.sum()), "predicted": int(same.sum())}


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(names[:_NAMED]) + ", ..." * (len(names) > _NAMED)
