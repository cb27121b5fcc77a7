# SPDX-License-Identifier: MIT
"""What the suite takes from the tests' table of cases: the first entry there of every op."""

from __future__ import annotations

from collections.abc import Callable
from inspect import signature

from benchmarks.results import label
from tests.ops.case import Argument, OpCase
from tests.ops.cases import TABLE

ENTRIES: dict[str, OpCase] = {}
for _entry in TABLE:
    ENTRIES.setdefault(_entry.op.__name__, _entry)


def arguments(entry: OpCase) -> dict[str, Argument]:
    """Give the arguments that are measured, in their order."""
    return {name: a for name, a in entry.arguments.items() if name not in entry.unmeasured}


def by_position(entry: OpCase, function: Callable) -> Callable:
    """Give the op, or its reference, as a function of these arguments in their order."""
    names = list(arguments(entry))
    if names == list(signature(function).parameters)[: len(names)]:
        return function
    return lambda *tensors: function(**entry.fixed, **dict(zip(names, tensors, strict=True)))


def labels(op: str, device: str = "cpu") -> list[str]:
    """Give the sizes at which an op is measured on a device."""
    return [label(size) for size in ENTRIES[op].measured(device)]
