# SPDX-License-Identifier: MIT
"""Results of several tensors in programs that ``torch.export`` writes to files."""

from __future__ import annotations

from typing import TypeVar

from torch.utils._pytree import _register_namedtuple

Result = TypeVar("Result", bound=type)


def exportable(result: Result) -> Result:
    """Let ``torch.export.save`` write programs that return this ``NamedTuple``.

    A file calls it ``pyvae.`` and its own name, wherever in the package it stands, and is read
    where its module was imported.
    """
    _register_namedtuple(result, serialized_type_name=f"pyvae.{result.__name__}")
    return result
