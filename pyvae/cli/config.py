# SPDX-License-Identifier: MIT
"""Files of options: TOML whose keys are the options' names, or the ``run.json`` of a run."""

from __future__ import annotations

import difflib
import inspect
import json
import sys
import textwrap
from collections.abc import Callable, Mapping
from enum import Enum
from pathlib import Path
from typing import Any, NamedTuple, get_args

import typer

from pyvae.cli.errors import UserError
from pyvae.cli.run_folder import RunFolder
from pyvae.cli.run_form import EARLIER_OPTIONS
from pyvae.cli.settings import OPTIONS, check_option, no_use
from pyvae.settings.kinds import Widths
from pyvae.storage.form import said

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # pyright: ignore[reportMissingImports]

_MOST = 1 << 20  # bytes of a file
_WIDTH = 98
_NO_KEYS = ("config", "print_config")
# What a value in the file may be for an option of a type, and how that is called.
_TYPES: dict[type, tuple[tuple[type, ...], str]] = {
    bool: ((bool,), "true or false"),
    int: ((int,), "an integer"),
    float: ((int, float), "a number"),
    str: ((str,), "a text"),
}
_HEAD = """\
# A run of pyvae train: pyvae train --config FILE
# An option of the command line goes before its line here. What is commented out is left out:
# it follows from the data, or has no use in this run.
"""


class _Parameter(NamedTuple):
    """An option as a command declares it."""

    type: type
    about: Any

    @property
    def choices(self) -> tuple[str, ...]:
        return tuple(c.value for c in self.type) if issubclass(self.type, Enum) else ()


def read(path: Path, command: Callable[..., None]) -> dict[str, Any]:
    """Return the options that a file gives, by name, as the command line would have them.

    Parameters
    ----------
    path
        A file of TOML; or a run's folder, or its ``run.json``.
    command
        Whose options they are.

    Raises
    ------
    UserError
        If the file is none, or a key or a value of it is not the command's.
    """
    parameters = _parameters(command)
    folder = RunFolder(path if path.is_dir() else path.parent)
    if path in (folder.path, folder.settings):
        return _of_run(folder, parameters)
    names = {_key(name): name for name in parameters}
    values = {}
    for key, value in _content(path).items():
        if key not in names:
            near = difflib.get_close_matches(key.replace("_", "-"), names, 1)
            hint = f"; did you mean {near[0]}?" if near else "; see `pyvae train --help`"
            raise UserError(f"{path}: {key} is no option of pyvae train{hint}")
        values[names[key]] = _taken(path, names[key], value, parameters[names[key]])
    return values


def written(values: Mapping[str, Any], command: Callable[..., None]) -> str:
    """Return a file of TOML that says all options of a run, each with its help.

    Parameters
    ----------
    values
        Every option of the command by its name.
    command
        Whose options they are.
    """
    lines, panel = [_HEAD], ""
    for name, parameter in _parameters(command).items():
        about, value = parameter.about, values[name]
        if about.rich_help_panel != panel:
            panel = about.rich_help_panel
            lines += [f"# ---- {panel} ----", ""]
        comment = {"initial_indent": "# ", "subsequent_indent": "# ", "break_on_hyphens": False}
        lines += textwrap.wrap(about.help, _WIDTH, **comment)
        unused = value is None or no_use(name, values)
        shown = about.metavar or "true or false" if value is None else _toml(name, value)
        lines += [f"{'# ' * bool(unused)}{_key(name)} = {shown}", ""]
    return "\n".join(lines)


def _content(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        content = file.read(_MOST + 1)
    if len(content) > _MOST:
        raise UserError(f"{path} goes beyond {_MOST} bytes, which no file of options needs")
    try:
        return tomllib.loads(content.decode())
    except RecursionError:
        raise UserError(f"{path} is no file of options: it is nested too deeply") from None
    except ValueError as error:
        raise UserError(f"{path} is no TOML: {error}") from error


def _taken(path: Path, name: str, value: Any, parameter: _Parameter) -> Any:
    """Return a value as the command line has it, or raise what is wrong with it."""
    types, expected = _TYPES.get(parameter.type, _TYPES[str])
    fits = type(value) in types
    if parameter.choices:
        fits, expected = value in parameter.choices, f"one of {', '.join(parameter.choices)}"
    elif _is_widths(name):
        fits = type(value) is list and bool(value) and all(type(w) is int for w in value)
        expected = "a list of integers like [256, 256]"
    if not fits:
        raise UserError(f"{path}: {_key(name)} is {said(value)}; expected {expected}")
    taken = ",".join(map(str, value)) if _is_widths(name) else value
    try:
        if parameter.about.callback is not None:
            parameter.about.callback(taken)
        if name in OPTIONS:
            check_option(OPTIONS[name], taken)
    except (typer.BadParameter, UserError) as error:
        text = getattr(error, "message", str(error))
        raise UserError(f"{path}: {_key(name)}: {text}") from error
    return taken


def _of_run(folder: RunFolder, parameters: Mapping[str, _Parameter]) -> dict[str, Any]:
    """Return the options of a run which it had a use for."""
    saved = {**EARLIER_OPTIONS, **folder.read_settings().get("options", {})}
    missing = [name for name in ("model", "data", *OPTIONS) if name not in saved]
    if missing:
        raise UserError(f"{folder.settings}: damaged, it lacks {', '.join(missing)}")
    values = {name: value for name, value in saved.items() if name in parameters}
    return {n: v for n, v in values.items() if v is not None and not no_use(n, values)}


def _parameters(command: Callable[..., None]) -> dict[str, _Parameter]:
    found = {}
    for name, parameter in inspect.signature(command).parameters.items():
        annotated, *about = get_args(parameter.annotation) or (None,)
        if about and name not in _NO_KEYS:
            types = [t for t in get_args(annotated) or (annotated,) if isinstance(t, type)]
            found[name] = _Parameter(types[0], about[0])  # NoneType is the last, where it may be
    return found


def _is_widths(name: str) -> bool:
    return name in OPTIONS and isinstance(OPTIONS[name].kind, Widths)


def _key(name: str) -> str:
    return name.replace("_", "-")


def _toml(name: str, value: Any) -> str:
    if _is_widths(name):
        return f"[{value.replace(',', ', ')}]"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return repr(value).lower() if isinstance(value, bool) else repr(value)
