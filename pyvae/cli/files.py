# SPDX-License-Identifier: MIT
"""Pictures and arrays, written whole or not at all."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pyvae.errors import WrongValue
from pyvae.storage.writing import write_by

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure


class PictureFormat(str, Enum):
    """``--picture-format``."""

    png = "png"
    pdf = "pdf"
    svg = "svg"


PICTURES = tuple(kind.value for kind in PictureFormat)
# What would make two files of one picture differ: the time, and ids drawn at random.
_NO_TIME = {"png": {}, "pdf": {"CreationDate": None}, "svg": {"Date": None}}
# Journals take no Type 3 fonts, which are matplotlib's default.
_SETTINGS: dict[Any, Any] = {"svg.hashsalt": "pyvae", "pdf.fonttype": 42}


def ending(path: Path, option: str, kinds: Sequence[str] = PICTURES) -> str:
    """Return what the name of a file ends in, such as "png".

    Raises
    ------
    WrongValue
        If that is none of the kinds that can be written.
    """
    found = path.suffix[1:].lower()
    if found not in kinds:
        *others, last = (f".{kind}" for kind in kinds)
        wanted = f"{', '.join(others)} or {last}" if others else last
        raise WrongValue(f"{option}: {path} must end in {wanted}")
    return found


def every_form(*pictures: str) -> Iterable[str]:
    """Give the names that a folder's pictures may have."""
    return (f"{name}.{kind}" for name in pictures for kind in PICTURES)


def write_picture(path: Path, figure: Figure) -> None:
    """Write a picture of the kind that the name ends in; equal pictures give equal bytes."""
    import matplotlib

    kind = ending(path, "picture")
    with matplotlib.rc_context(_SETTINGS), warnings.catch_warnings():
        # A box stands for a letter that the font has none for; tables show it.
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        write_by(path, lambda file: figure.savefig(file, format=kind, metadata=_NO_TIME[kind]))


def write_array(path: Path, array: np.ndarray) -> None:
    """Write a ``.npy`` file."""
    import numpy as np

    write_by(path, lambda file: np.save(file, array))
