# SPDX-License-Identifier: MIT
"""What a setting may be: each kind checks a value and says what it expects."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, TypeVar

from pyvae.errors import WrongType, WrongValue

E = TypeVar("E", WrongValue, WrongType)


class Wording(NamedTuple):
    """How a refusal reads: of a value out of its range, of another type; and a choice in it."""

    wrong_value: str = "{name} is {value!r}; expected {expected}"
    wrong_type: str = "{name} is {value!r}; expected {expected}"
    choice: str = "{}"

    def refusal(self, error: type[E], name: str, value: object, expected: str) -> E:
        """Return the error to raise, a WrongValue or a WrongType."""
        form = self.wrong_type if issubclass(error, TypeError) else self.wrong_value
        kind = type(value).__name__
        return error(form.format(name=name, value=value, expected=expected, kind=kind))


@dataclass(frozen=True)
class Kind:
    """Anything: whoever uses the value checks it."""

    # As an option of the command line: its type there, and what stands for a value in the help.
    option_type: ClassVar[type | None] = None
    metavar: ClassVar[str | None] = None

    @property
    def expected(self) -> str:
        """What is expected, in words; empty where that is anything."""
        return ""

    def checked(self, name: str, value: Any, say: Wording) -> Any:
        """Return the value in its own type, or raise where it is none of this kind."""
        return value

    def recorded(self, value: Any) -> Any:
        """Return what stands for the value where only what JSON says can be kept."""
        return value


ANYTHING = Kind()


def qualified_name(value: Any) -> str:
    """Return the name of a function, or of an object's class, with its module's."""
    named = value if hasattr(value, "__qualname__") else type(value)
    return f"{named.__module__}.{named.__qualname__}"


def factor_of(function: Callable[[float], Any], progress: float) -> float:
    """Return a factor of the learning rate, or raise where the function gives none.

    Raises
    ------
    ValueError
        If it is no finite number >= 0.
    """
    found = function(progress)
    try:
        factor = float(found)
    except (TypeError, ValueError):
        factor = math.nan
    if not (math.isfinite(factor) and factor >= 0):
        raise WrongValue(
            f"schedule {qualified_name(function)} is {found!r} at progress {progress:g}; expected "
            "a finite factor >= 0 of the learning rate"
        )
    return factor


@dataclass(frozen=True)
class Flag(Kind):
    """True or false."""

    option_type, metavar = bool, ""  # it would say <bool>, and takes no value

    @property
    def expected(self) -> str:  # noqa: D102
        return "True or False"

    def checked(self, name: str, value: Any, say: Wording) -> bool:  # noqa: D102
        try:
            wrong = value not in (0, 1)  # NumPy's are equal to these, and no bool
        except (ValueError, RuntimeError):  # an array or a tensor of several
            wrong = True
        if wrong:
            raise say.refusal(WrongType, name, value, self.expected)
        return bool(value)


@dataclass(frozen=True)
class Count(Kind):
    """An integer from ``least`` to ``most``, which is what 32 bits hold if left out."""

    least: int
    most: int = 2**31 - 1
    option_type, metavar = int, "N"

    @property
    def expected(self) -> str:  # noqa: D102
        return f"at least {self.least}"

    @property
    def _highest(self) -> str:
        return f"at most {self.most}"

    def checked(self, name: str, value: Any, say: Wording) -> int:  # noqa: D102
        try:
            if isinstance(value, bool):
                raise TypeError
            number = operator.index(value)
        except TypeError:
            raise say.refusal(WrongType, name, value, "an integer") from None
        if number < self.least:
            raise say.refusal(WrongValue, name, number, self.expected)
        if number > self.most:
            raise say.refusal(WrongValue, name, number, self._highest)
        return number


@dataclass(frozen=True)
class Number(Kind):
    """A finite number from ``least`` on, or above ``above``, and to ``most``."""

    words: str
    least: float | None = None
    above: float = -math.inf
    most: float = math.inf
    option_type, metavar = float, "N"

    @property
    def expected(self) -> str:  # noqa: D102
        return self.words

    def checked(self, name: str, value: Any, say: Wording) -> float:  # noqa: D102
        try:
            if isinstance(value, (bool, str)):
                raise TypeError
            number = float(value)
        except (TypeError, ValueError, OverflowError):
            raise say.refusal(WrongType, name, value, self.expected) from None
        least = -math.inf if self.least is None else self.least
        within = least <= number <= self.most and self.above < number
        if not (within and math.isfinite(number)):
            raise say.refusal(WrongValue, name, value, self.expected)
        return number


@dataclass(frozen=True)
class OneOf(Kind):
    """One of a few words."""

    choices: tuple[str, ...]

    @property
    def expected(self) -> str:  # noqa: D102
        return self.among("{!r}")

    def among(self, form: str) -> str:
        """List the choices, each in that form."""
        return "one of " + ", ".join(form.format(choice) for choice in self.choices)

    def checked(self, name: str, value: Any, say: Wording) -> str:  # noqa: D102
        if not isinstance(value, str):
            raise say.refusal(WrongType, name, value, self.among(say.choice))
        if value not in self.choices:
            raise say.refusal(WrongValue, name, value, self.among(say.choice))
        return value


@dataclass(frozen=True)
class WordOrEstimator(OneOf):
    """One of a few words, or an object with ``predict_proba``."""

    def among(self, form: str) -> str:
        """List the choices, each in that form, and the other one."""
        return f"{super().among(form)}, or an estimator with predict_proba"

    def checked(self, name: str, value: Any, say: Wording) -> Any:  # noqa: D102
        clusters = not isinstance(value, type) and callable(getattr(value, "predict_proba", None))
        return value if clusters else super().checked(name, value, say)

    def recorded(self, value: Any) -> str:  # noqa: D102
        return value if isinstance(value, str) else qualified_name(value)


@dataclass(frozen=True)
class WordOrFactor(OneOf):
    """One of a few words, or a function of the share of a run that is done, to a factor."""

    def among(self, form: str) -> str:
        """List the choices, each in that form, and the other one."""
        return f"{super().among(form)}, or a function from progress in [0, 1] to a factor"

    def checked(self, name: str, value: Any, say: Wording) -> Any:  # noqa: D102
        if isinstance(value, type) or not callable(value):
            return super().checked(name, value, say)
        self._at_quarters(value)
        return value

    def recorded(self, value: Any) -> str:
        """Return a word as it is; of a function its name, and factors that tell it from another."""
        if isinstance(value, str):
            return value
        return f"{qualified_name(value)}: {', '.join(f'{f:.6g}' for f in self._at_quarters(value))}"

    def _at_quarters(self, function: Callable[[float], Any]) -> list[float]:
        return [factor_of(function, quarter / 4) for quarter in range(5)]


@dataclass(frozen=True)
class Objects(Kind):
    """An object that has some methods, or several in a list; they come out as a tuple."""

    words: str
    methods: tuple[str, ...]

    @property
    def expected(self) -> str:  # noqa: D102
        return self.words

    def checked(self, name: str, value: Any, say: Wording) -> tuple[Any, ...]:  # noqa: D102
        found = tuple(value) if isinstance(value, (list, tuple)) else (value,)
        for one in found:
            known = all(callable(getattr(one, method, None)) for method in self.methods)
            if isinstance(one, type) or not known:
                raise say.refusal(WrongType, name, one, self.expected)
        return found


@dataclass(frozen=True)
class OneOfOrModule(OneOf):
    """One of a few words, or a module, which whoever uses it checks."""

    @property
    def expected(self) -> str:  # noqa: D102
        return f"{super().expected}, or a module"

    def checked(self, name: str, value: Any, say: Wording) -> Any:  # noqa: D102
        return super().checked(name, value, say) if isinstance(value, str) else value


@dataclass(frozen=True)
class ImageShape(Kind):
    """``(C, H, W)``; ``(H, W)`` is of one channel."""

    @property
    def expected(self) -> str:  # noqa: D102
        return "(C, H, W), or (H, W) of one channel"

    def checked(self, name: str, value: Any, say: Wording) -> tuple[int, ...]:  # noqa: D102
        if isinstance(value, str) or not isinstance(value, Sequence):
            raise say.refusal(WrongType, name, value, self.expected)
        if len(value) not in (2, 3):
            raise say.refusal(WrongValue, name, value, self.expected)
        sizes = (Count(1).checked(f"{name}[{i}]", size, say) for i, size in enumerate(value))
        return (1,) * (3 - len(value)) + tuple(sizes)


@dataclass(frozen=True)
class Widths(Kind):
    """Widths of layers, from ``narrowest`` on; on the command line with commas between them."""

    narrowest: int = 1
    option_type, metavar = str, "W,W,..."

    def checked(self, name: str, value: Any, say: Wording) -> tuple[int, ...]:  # noqa: D102
        if isinstance(value, str) or not isinstance(value, Sequence):
            raise say.refusal(WrongType, name, value, "a sequence of integers like (256, 256)")
        widths = (
            Count(self.narrowest).checked(f"{name}[{i}]", width, say)
            for i, width in enumerate(value)
        )
        return tuple(widths)

    def written(self, widths: Sequence[int]) -> str:
        """Return the widths as the command line has them."""
        return ",".join(map(str, widths))

    def parsed(self, text: str) -> tuple[int, ...]:
        """Return the widths that a text of the command line names."""
        return tuple(int(width) for width in text.split(","))
