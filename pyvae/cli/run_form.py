# SPDX-License-Identifier: MIT
"""The form of ``run.json``: the options by what the command line takes for them."""

from __future__ import annotations

from typing import Any

from pyvae.cli.reading import EARLIER, FORMS
from pyvae.cli.settings import OPTIONS, Option
from pyvae.errors import WrongValue
from pyvae.settings import NEVER
from pyvae.settings.kinds import OneOf
from pyvae.storage.form import (
    Fields,
    Form,
    Integer,
    Maybe,
    Place,
    Plain,
    Real,
    Rows,
    Text,
    Truth,
)

# What older runs lack, with what they were made by.
EARLIER_OPTIONS: dict[str, Any] = {
    name: option.before for name, option in OPTIONS.items() if option.before is not NEVER
} | {"pseudo_inputs": 0, **EARLIER}
# Of the command itself; the others are described where the settings are.
_OWN: dict[str, Form] = {
    "data": Text(),
    "labels": Maybe(Text()),
    "split": Text(("train", "test", "all")),
    "validation": Real(0),
    "model": Text(("gmvae", "vae")),
    "likelihood": Text(("auto", "bernoulli", "gaussian")),
    "pseudo_inputs": Integer(0),
    "device": Text(("auto", "cpu", "cuda")),
    "threads": Maybe(Integer(1, 1 << 16)),
    **FORMS,
}
_TYPES: dict[type | None, Form] = {bool: Truth(), int: Integer(), float: Real(), str: Text()}


class _ImageShape(Rows):
    """Height and width, and before them channels where there are several."""

    def taken(self, found: Any, place: Place) -> list[Any]:
        sizes = super().taken(found, place)
        if len(sizes) not in (2, 3):
            raise WrongValue(f"{place} has {len(sizes)} entries; expected 2 or 3")
        return sizes


def run_form() -> Fields:
    """Return the form of a run's description; what an older run lacks is for the caller to add."""
    options = {name: _form_of(o) for name, o in OPTIONS.items() if name not in _OWN}
    return Fields(
        {"format": Text()},
        {
            "options": Fields(optional={**options, **_OWN}, others=Plain()),
            "image_shape": Maybe(_ImageShape(lambda _: Integer(1, 1 << 31))),
            "scale": Real(0),
            "columns": Maybe(Rows(lambda _: Text())),
        },
        Plain(),
    )


def _form_of(option: Option) -> Form:
    kind = option.kind
    form = Text(kind.choices) if isinstance(kind, OneOf) else _TYPES[kind.option_type]
    return Maybe(form) if option.default is None else form
