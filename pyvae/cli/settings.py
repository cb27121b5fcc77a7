# SPDX-License-Identifier: MIT
"""Options of ``pyvae train`` made from the homes of the settings, and passed on to them."""

import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import fields
from enum import Enum
from typing import Annotated, Any, NamedTuple

import typer

from pyvae.cli.errors import UserError
from pyvae.settings import (
    NEVER,
    GMVAEOptions,
    Home,
    ModelOptions,
    Setting,
    TrainerSettings,
    VAEOptions,
    settings_of,
)
from pyvae.settings.kinds import Flag, Kind, Number, OneOf, Widths

SEEDS = 2**32 - 1  # the largest that NumPy takes
PANELS = ("Data", "Model", "Training", "Machine", "Run folder and output")


class Option(NamedTuple):
    """An option that a home describes."""

    name: str
    argument: str
    default: Any
    about: Setting
    home: type[Home]

    @property
    def flag(self) -> str:
        """How it is written."""
        return flag(self.name)

    @property
    def model(self) -> str:
        """The one model that has a use for it, or ''."""
        return self.about.model or self.home.MODEL

    @property
    def kind(self) -> Kind:
        """What it may be on the command line."""
        return self.about.option_kind or self.about.kind

    @property
    def before(self) -> Any:
        """What older runs had, as the command line has it; NEVER where they had the option."""
        kind, found = self.kind, self.about.before
        return kind.written(found) if isinstance(kind, Widths) and found is not NEVER else found


def options_of(home: type[Home]) -> list[Option]:
    """Return the options that a home describes, in its order."""
    settings = settings_of(home)
    return [
        Option(about.option or found.name, found.name, found.default, about, home)
        for found in fields(home)  # type: ignore[arg-type]
        if (about := settings[found.name]).option is not None
    ]


# The models' common home first: an option that they inherit belongs to none of them.
OPTIONS: dict[str, Option] = {}
for _home in (ModelOptions, GMVAEOptions, VAEOptions, TrainerSettings):
    for _option in options_of(_home):
        OPTIONS.setdefault(_option.name, _option)


def arguments(home: type[Home], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of a home that ``values`` holds as options."""
    return {option.argument: _parsed(option, values[option.name]) for option in options_of(home)}


def check(values: Mapping[str, Any]) -> None:
    """Raise what a kind would raise for the value of an option, before anything is loaded.

    What settings say of one another the home checks, when it is built.
    """
    for option in OPTIONS.values():
        check_option(option, values[option.name])


def check_option(option: Option, found: Any) -> None:
    """Raise what the kind of one option would raise for its value."""
    value = _parsed(option, found)
    if value is not None:
        option.about.kind.checked(option.argument, value, option.home.WORDING)


def no_use(name: str, values: Mapping[str, Any]) -> str:
    """Return why an option of that name changes nothing beside the others; empty where it does."""
    if name == "channels" and "conv" not in (values.get("encoder"), values.get("decoder")):
        return "--channels has no use without --encoder conv or --decoder conv"
    if name not in OPTIONS:
        return ""
    option = OPTIONS[name]
    needs, model = option.about.needs, values["model"]
    if needs is not None and not needs.met_by(values):
        wanted = flag(needs.name) if needs.value is None else f"{flag(needs.name)} {needs.value}"
        return f"{option.flag} has no use without {wanted}"
    if option.model not in ("", model):
        why = {"gmvae": "a vae has no mixture", "vae": "a gmvae's mixture is its prior"}
        return f"{option.flag} belongs to --model {option.model}; {why[option.model]}"
    return ""


def flag(name: str) -> str:
    """Return how the option of that name is written."""
    return "--" + name.replace("_", "-")


def with_settings(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options of the homes to a command; one that it declares itself takes its place."""
    own = dict(inspect.signature(command).parameters)
    del own["settings"]  # what the others arrive in
    described = [own.pop(name, None) or _parameter(option) for name, option in OPTIONS.items()]
    every = sorted([*own.values(), *described], key=_place)
    every = [found.replace(kind=inspect.Parameter.KEYWORD_ONLY) for found in every]
    command.__signature__ = inspect.Signature(every)  # type: ignore[attr-defined]
    del command.__annotations__["settings"]
    command.__annotations__ |= {found.name: found.annotation for found in every}
    return command


def within(least: float, most: float = math.inf) -> dict[str, Any]:
    """Return what makes an option refuse numbers beyond, in words that say which came.

    The parser's own words of a range do not.
    """

    def checked(value: float | None) -> float | None:
        if value is not None and not least <= value <= most:
            wanted = f"{_said(least)} or more"
            wanted = wanted if most == math.inf else f"{_said(least)} to {_said(most)}"
            raise typer.BadParameter(f"expected {wanted}, got {_said(value)}")
        return value

    told = most == math.inf or most >= SEEDS  # beyond it is nothing to warn of
    bounds = f"x>={least:g}" if told else f"{least:g}<=x<={most:g}"
    return {"callback": checked, "metavar": f"N [{bounds}]"}


def _said(number: float) -> str:
    return f"{number:g}" if isinstance(number, float) else str(number)


def _place(parameter: inspect.Parameter) -> int:
    for about in getattr(parameter.annotation, "__metadata__", ()):
        return PANELS.index(about.rich_help_panel)
    return -1  # the context


def _parameter(option: Option) -> inspect.Parameter:
    about, kind, default = option.about, option.kind, option.default
    value: Any = kind.option_type
    metavar, least = about.metavar or kind.metavar, getattr(kind, "least", None)
    more = {} if least is None or isinstance(kind, Number) else within(least)
    written = option.flag
    if isinstance(kind, Flag) and default:
        written += f"/--no-{option.flag.removeprefix('--')}"
    if isinstance(kind, OneOf):
        value = Enum(option.name, {choice: choice for choice in kind.choices}, type=str)
        default = value(default)
    elif isinstance(kind, Widths):
        default = kind.written(default)
    elif isinstance(kind, Number) and least is not None:
        # The kind refuses the rest in better words than the parser's: they say what came.
        metavar = f"{metavar} [x>={least:g}]"
    information = typer.Option(
        written,
        help=f"{about.help[:-1]} ({option.model})." if option.model else about.help,
        rich_help_panel=about.panel or option.home.PANEL,
        **{"metavar": metavar, **more},
    )
    return inspect.Parameter(
        option.name,
        inspect.Parameter.KEYWORD_ONLY,
        default=default,
        annotation=Annotated[value if default is not None else value | None, information],
    )


def _parsed(option: Option, value: Any) -> Any:
    if not isinstance(option.kind, Widths):
        return value
    try:
        return option.kind.parsed(value)
    except ValueError:
        raise UserError(f"{option.flag}: expected widths like 256,256, got {value!r}") from None
