# SPDX-License-Identifier: MIT
"""The declared form of what a file holds: whatever came is compared with it before it is used.

A form takes a value apart and returns one of its own making, or raises with the file and the place
in it. Nothing of a value is called, compared or printed before its type is known.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, NoReturn

from pyvae.errors import WrongValue

_LONGEST = 80  # of a value in a message
_DEEPEST = 16
_MOST_NODES = 200_000
_MOST_INTEGER = 2**63


@dataclass(frozen=True)
class Place:
    """A file, or the name of what else a value is from, and where in it."""

    file: Path | str
    names: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.file}: {'.'.join(self.names) or 'its content'}"

    def of(self, name: object) -> Place:
        """Return the place of a part."""
        return Place(self.file, (*self.names, _shortened(str(name))))

    def refuse(self, found: Any, expected: str) -> NoReturn:
        """Raise that something else came than was expected."""
        raise WrongValue(f"{self} is {said(found)}; expected {expected}")


@dataclass(frozen=True)
class Form:
    """What may stand in one place."""

    expected: ClassVar[str] = ""

    def taken(self, found: Any, place: Place) -> Any:
        """Return the value that was found, checked, or raise."""
        raise NotImplementedError


@dataclass(frozen=True)
class Text(Form):
    """A text, or one of a few."""

    choices: tuple[str, ...] = ()

    def taken(self, found: Any, place: Place) -> str:  # noqa: D102
        if type(found) is not str:
            place.refuse(found, "a text")
        if self.choices and found not in self.choices:
            place.refuse(found, f"one of {', '.join(self.choices)}")
        return found


@dataclass(frozen=True)
class Truth(Form):
    """True or false."""

    def taken(self, found: Any, place: Place) -> bool:  # noqa: D102
        if type(found) is not bool:
            place.refuse(found, "true or false")
        return found


@dataclass(frozen=True)
class Integer(Form):
    """An integer from ``least`` to ``most``."""

    least: int = -_MOST_INTEGER
    most: int = _MOST_INTEGER

    def taken(self, found: Any, place: Place) -> int:  # noqa: D102
        if type(found) is not int or not self.least <= found <= self.most:
            place.refuse(found, f"an integer from {self.least} to {self.most}")
        return found


@dataclass(frozen=True)
class Real(Form):
    """A number from ``least`` on; a finite one, unless ``finite`` is False."""

    least: float = -math.inf
    finite: bool = True

    def taken(self, found: Any, place: Place) -> float:  # noqa: D102
        real = type(found) is float or (type(found) is int and abs(found) < _MOST_INTEGER)
        if not real or found < self.least or (self.finite and not math.isfinite(found)):
            least = "" if self.least == -math.inf else f" from {self.least:g} on"
            place.refuse(found, f"a {'finite ' if self.finite else ''}number{least}")
        return found


@dataclass(frozen=True)
class Maybe(Form):
    """Nothing, or what has that form."""

    form: Form

    def taken(self, found: Any, place: Place) -> Any:  # noqa: D102
        return None if found is None else self.form.taken(found, place)


@dataclass(frozen=True)
class Plain(Form):
    """What JSON can say (and tuples), whatever it is, to a depth and a size."""

    def taken(self, found: Any, place: Place) -> Any:  # noqa: D102
        return self._copied(found, place, [_MOST_NODES], _DEEPEST)

    def _copied(self, found: Any, place: Place, left: list[int], depth: int) -> Any:
        left[0] -= 1
        if left[0] < 0 or depth < 0:
            raise WrongValue(f"{place} is nested too deeply, or too large")
        if found is None or type(found) in (bool, int, float, str):
            return found
        if type(found) in (list, tuple):
            return type(found)(self._copied(part, place, left, depth - 1) for part in found)
        if isinstance(found, dict) and all(type(name) is str for name in found):
            return {n: self._copied(part, place, left, depth - 1) for n, part in found.items()}
        return place.refuse(found, "plain numbers and texts")


@dataclass(frozen=True)
class Exactly(Form):
    """One value and no other; ``otherwise`` says what to do about another."""

    value: Any
    otherwise: str = ""

    def taken(self, found: Any, place: Place) -> Any:  # noqa: D102
        plain = Plain().taken(found, place)
        if type(plain) is not type(self.value) or plain != self.value:
            place.refuse(found, said(self.value) + self.otherwise)
        return self.value


@dataclass(frozen=True)
class Fields(Form):
    """Names, each with a form of its own; ``others`` is the form of those that are not listed."""

    required: Mapping[Any, Form] = field(default_factory=dict)
    optional: Mapping[Any, Form] = field(default_factory=dict)
    others: Form | None = None

    def taken(self, found: Any, place: Place) -> dict[Any, Any]:  # noqa: D102
        if not isinstance(found, dict) or not all(type(name) in (str, int) for name in found):
            place.refuse(found, "names with values")
        missing = [str(name) for name in self.required if name not in found]
        if missing:
            raise WrongValue(f"{place} is damaged, it lacks {', '.join(missing)}")
        forms = {**self.required, **self.optional}
        for name in found:
            if name not in forms and (self.others is None or type(name) is not str):
                raise WrongValue(
                    f"{place.of(name)} has no place there; is the file of a later pyvae?"
                )
        return {
            name: forms.get(name, self.others).taken(part, place.of(name))  # type: ignore[union-attr]
            for name, part in found.items()
        }


@dataclass(frozen=True)
class Rows(Form):
    """A list, each entry of the form that ``form`` gives for its index."""

    form: Callable[[int], Form]
    count: int | None = None

    def taken(self, found: Any, place: Place) -> list[Any]:  # noqa: D102
        if type(found) is not list:
            place.refuse(found, "a list")
        if self.count is not None and len(found) != self.count:
            raise WrongValue(f"{place} has {len(found)} entries; expected {self.count}")
        return [self.form(i).taken(part, place.of(i)) for i, part in enumerate(found)]


def said(value: Any) -> str:
    """Return a value in words that fit into a message, whatever it is."""
    if value is None or type(value) in (bool, float, str):
        return _shortened(repr(value))
    if type(value) is int:
        return repr(value) if abs(value) < 10**_LONGEST else "an integer of many digits"
    if type(value) in (list, tuple, dict):
        return f"a {type(value).__name__} of {len(value)}"
    shape, dtype = getattr(value, "shape", None), getattr(value, "dtype", None)
    if isinstance(shape, Sequence) and dtype is not None:
        return f"{dtype} of shape {_shortened(str(tuple(shape)))}"
    return f"a {type(value).__name__}"


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."
