# SPDX-License-Identifier: MIT
"""Constructors and docstrings that follow a home of settings."""

from __future__ import annotations

import functools
import inspect
import textwrap
from collections.abc import Callable
from dataclasses import MISSING, fields
from typing import Concatenate, ParamSpec, TypeVar

from pyvae.errors import WrongType
from pyvae.settings.setting import Setting

P = ParamSpec("P")
Class = TypeVar("Class", bound=type)
Object = TypeVar("Object")
Options = TypeVar("Options")
_WIDTH = 92


def takes(
    home: Callable[P, Options],
) -> Callable[[Callable[[Object, Options], None]], Callable[Concatenate[Object, P], None]]:
    """Give a constructor the arguments of a home, which reach it as one object, checked.

    Parameters
    ----------
    home
        The home whose fields the constructor takes.

    Returns
    -------
    A decorator of ``__init__(self, options)``.

    Examples
    --------
    >>> from pyvae.settings import NetworkOptions
    >>> class Coder:
    ...     @takes(NetworkOptions)
    ...     def __init__(self, options: NetworkOptions) -> None:
    ...         self.hidden = options.hidden
    >>> Coder(64, 2, hidden=[32, 16]).hidden
    (32, 16)
    """
    signature = inspect.signature(home)
    itself = inspect.Parameter("self", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    whole = signature.replace(parameters=[itself, *signature.parameters.values()])

    def decorate(
        build: Callable[[Object, Options], None],
    ) -> Callable[Concatenate[Object, P], None]:
        @functools.wraps(build)
        def construct(self: Object, *args: P.args, **kwargs: P.kwargs) -> None:
            try:
                signature.bind(*args, **kwargs)
            except TypeError as error:
                raise WrongType(f"{type(self).__name__}: {error}") from None
            build(self, home(*args, **kwargs))

        construct.__signature__ = whole  # type: ignore[attr-defined]
        return construct

    return decorate


def documented(home: type) -> Callable[[Class], Class]:
    """Put the fields of a home where a class's docstring says that its parameters are those.

    Parameters
    ----------
    home
        The home whose fields are the class's parameters.

    Returns
    -------
    A decorator of the class.
    """

    def decorate(cls: Class) -> Class:
        if cls.__doc__ is not None:  # as under python -OO
            place = f"Those of :class:`pyvae.settings.{home.__name__}`."
            before, found, after = inspect.cleandoc(cls.__doc__).partition(place)
            if not found:
                raise TypeError(f"the docstring of {cls.__name__} lacks the line {place!r}")
            cls.__doc__ = before + parameters(home) + after
        return cls

    return decorate


def parameters(home: type) -> str:
    """Return the section of a docstring on a home's settings, as numpydoc has it."""
    entries = []
    for found in fields(home):
        about: Setting = found.metadata["setting"]
        expected = f" ({about.kind.expected})" if about.kind.expected else ""
        default = "" if found.default is MISSING else f", default {found.default!r}"
        text = textwrap.fill(about.doc or about.help, _WIDTH, break_on_hyphens=False)
        head = f"{found.name} : {found.type}{expected}{default}"
        entries.append(f"{head}\n{textwrap.indent(text, '    ')}")
    return "\n".join(entries)
