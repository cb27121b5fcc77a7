# SPDX-License-Identifier: MIT
"""A setting, and the homes of settings: dataclasses whose fields say all there is to say of them.

Checks, documentation, the options of the command line and what a resumed run may change follow.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, NamedTuple, TypeVar

from pyvae.settings.kinds import Kind, Wording

T = TypeVar("T")
NEVER = object()


class Needs(NamedTuple):
    """A setting that another one is of no use without: with this value, or any but None."""

    name: str
    value: Any = None

    def met_by(self, values: Mapping[str, Any]) -> bool:
        """Tell whether it has that value."""
        found = values[self.name]
        return found is not None if self.value is None else found == self.value


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What is known of a setting besides its name, type and default.

    Attributes
    ----------
    kind
        What it may be. A setting whose default is None may be None besides.
    help
        One sentence, for the command line.
    doc
        What the docstring has in place of ``help``, where that is more.
    option, option_kind, panel, metavar
        On the command line: the option's name, where not the setting's own, or None for no option;
        what it may be there, where that is not ``kind``; its panel of the help, where not the
        home's; what stands for its value, where not the kind's.
    model
        The one model of the command line that has a use for it, where that is not the home's.
    free
        Whether a resumed run may change it, since it touches no numbers.
    needs
        What it is of no use without.
    before
        What runs and models had that were made before there was the setting. Of a model's option
        that is its default, with which an older file is read; of ``standardize`` it is not, and
        readers of files see to it.
    recorded
        Whether a model's ``config`` takes it from the attribute of its name.
    """

    kind: Kind
    help: str
    doc: str = ""
    option: str | None = ""
    option_kind: Kind | None = None
    panel: str = ""
    metavar: str = ""
    model: str = ""
    free: bool = False
    needs: Needs | None = None
    before: Any = NEVER
    recorded: bool = True


def setting(default: T, kind: Kind, help: str, **more: Any) -> T:
    """Return a field of a home with that default; the rest are the attributes of a Setting."""
    return field(default=default, metadata=required(kind, help, **more))


def required(kind: Kind, help: str, **more: Any) -> Mapping[str, Setting]:
    """Return the metadata of a field without default: ``field(metadata=required(...))``."""
    return {"setting": Setting(kind=kind, help=help, **more)}


class Home:
    """Base of the homes: every argument is checked."""

    # How refusals read; the panel and the model of the settings that name none.
    WORDING: ClassVar = Wording()
    PANEL: ClassVar = ""
    MODEL: ClassVar = ""

    def __post_init__(self) -> None:
        defaults = {found.name: found.default for found in fields(self)}  # type: ignore[arg-type]
        for name, about in settings_of(type(self)).items():
            value = getattr(self, name)
            if value is not None or defaults[name] is not None:
                setattr(self, name, about.kind.checked(name, value, self.WORDING))

    def of(self, home: type) -> dict[str, Any]:
        """Return the arguments that another home, a base of this one, has as well."""
        return {name: getattr(self, name) for name in settings_of(home)}


def settings_of(home: type) -> dict[str, Setting]:
    """Return the settings of a home by their names.

    Parameters
    ----------
    home
        A subclass of :class:`Home`.

    Returns
    -------
    The settings by their names, in the order of the fields.
    """
    return {found.name: found.metadata["setting"] for found in fields(home)}


def earlier(home: type) -> dict[str, Any]:
    """Return what older runs lack, with what they were made by.

    Parameters
    ----------
    home
        A subclass of :class:`Home`.

    Returns
    -------
    By name the value that was in use before there was the setting.
    """
    found = {name: about.before for name, about in settings_of(home).items()}
    return {name: before for name, before in found.items() if before is not NEVER}


def recorded(model: object, home: type) -> dict[str, Any]:
    """Return a model's options for its ``config``, ready for JSON, as the model has them now.

    Parameters
    ----------
    model
        What was built with the home's options, and has them as attributes.
    home
        A subclass of :class:`Home`.

    Returns
    -------
    The options by name, of types that JSON has.
    """
    names = [name for name, about in settings_of(home).items() if about.recorded]
    values = {name: getattr(model, name) for name in names}
    return {n: list(value) if isinstance(value, tuple) else value for n, value in values.items()}
