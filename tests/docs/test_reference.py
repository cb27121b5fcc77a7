# SPDX-License-Identifier: MIT
"""Every public name is in the reference, and its docstring says what one has to know."""

from __future__ import annotations

import inspect
import pkgutil
import re
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import public_names
import pytest

import pyvae
from pyvae.settings import Home

API = Path(__file__).parents[2] / "docs" / "api" / "index.md"
# Parts that no user imports from: the command line is its help, the others are behind the public.
BEHIND = {
    "pyvae.arrow",
    "pyvae.cli",
    "pyvae.examples",
    "pyvae.storage",
    "pyvae.progress",
    "pyvae._C",
}
LISTS = {"Parameters", "Attributes", "Raises", "Warns"}  # of names, each with its text indented
SECTIONS = LISTS | {"Returns", "Notes", "References", "Examples"}
_HEADING = re.compile(r"^(\w[\w ]*)\n-{3,}\n", re.MULTILINE)
_NAMES = re.compile(r"\*{0,2}\w+(?:, \*{0,2}\w+)*(?: : .+)?$")  # with a type, where homes have it


def _public() -> Iterator[tuple[str, Any]]:
    for module in public_names.available():
        for name in public_names.names(module):
            value = getattr(import_module(module), name)
            if callable(value) and not inspect.isbuiltin(value):
                yield f"{module}.{name}", value


def _methods() -> Iterator[tuple[str, Callable[..., Any]]]:
    for name, value in _public():
        for attribute in dir(value) if inspect.isclass(value) else ():
            method = getattr(value, attribute)
            known = (getattr(method, "__module__", None) or "").startswith("pyvae")
            if known and not attribute.startswith("_") and inspect.isroutine(method):
                yield f"{name}.{attribute}", method


PUBLIC, METHODS = dict(_public()), dict(_methods())


def _sections(value: object) -> dict[str, str]:
    _, *parts = _HEADING.split(inspect.getdoc(value) or "")
    return dict(zip(parts[::2], parts[1::2], strict=True))


def _listed(text: str) -> set[str]:
    lines = (line for line in text.splitlines() if line and not line.startswith(" "))
    return {name.strip("* ") for line in lines for name in line.partition(" : ")[0].split(",")}


def _arguments(value: Callable[..., Any]) -> set[str]:
    return set(inspect.signature(value).parameters) - {"self", "cls"}


def test_every_part_is_in_the_reference() -> None:
    parts = {f"pyvae.{module.name}" for module in pkgutil.iter_modules(pyvae.__path__)}
    parts = {part for part in parts if not part.startswith("pyvae.__")} - BEHIND
    assert parts | {"pyvae"} <= set(public_names.PARTS)
    assert re.findall(r"^   (pyvae[\w.]*)$", API.read_text("utf-8"), re.M) == [*public_names.PARTS]


def test_the_ops_are_named_once() -> None:
    found = public_names.by_kind()
    assert "mixture_log_prob" in found["pyvae"]["Functions"]
    assert found["pyvae.ops"] == {"Functions": ["build_info", "op_table"], "Data": ["CUDA_MISSING"]}


@pytest.mark.parametrize("name", [*PUBLIC, *METHODS])
def test_sections_are_formed_as_they_are_read(name: str) -> None:
    """What follows a list of names at the margin would be read as one more name."""
    value = PUBLIC.get(name) or METHODS[name]
    assert (inspect.getdoc(value) or "").strip(), "no docstring"
    sections = _sections(value)
    assert sections.keys() <= SECTIONS
    for heading in LISTS & sections.keys():
        for line in sections[heading].splitlines():
            assert not line or line.startswith(" ") or _NAMES.match(line), f"{heading}: {line!r}"


@pytest.mark.parametrize("name", [*PUBLIC, *METHODS])
def test_arguments_are_told(name: str) -> None:
    """All of a public function or class; of a method, all or none (its summary says it then)."""
    value = PUBLIC.get(name) or METHODS[name]
    sections = _sections(value)
    listed = _listed(sections.get("Parameters", ""))
    if inspect.isclass(value):
        # A home's fields are told by the class that takes them; a protocol has no constructor.
        told_elsewhere = issubclass(value, BaseException | Home)
        if told_elsewhere or inspect.isabstract(value) or getattr(value, "_is_protocol", False):
            return
        listed |= _listed(sections.get("Attributes", ""))
        assert _arguments(value) <= listed
    elif listed or name in PUBLIC:
        assert listed == _arguments(value)


@pytest.mark.parametrize("name", [name for name in PUBLIC if inspect.isfunction(PUBLIC[name])])
def test_what_a_function_returns_is_told(name: str) -> None:
    returned = inspect.signature(PUBLIC[name]).return_annotation
    assert ("Returns" in _sections(PUBLIC[name])) == (returned not in ("None", None))
