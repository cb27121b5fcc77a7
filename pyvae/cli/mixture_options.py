# SPDX-License-Identifier: MIT
"""What ``fit-mixture`` is asked for: families of mixtures, and which options each has a use for."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import Any

from pyvae.cli.errors import UserError
from pyvae.cli.settings import flag

ALL = "all"
LOW_RANK = "low_rank"
_VARIANCES = ("diag", "spherical", "tied_diag", "tied_spherical")
_ANYWHERE = ("kmeans", "random")  # where a fit of any family may start
_AT_POINTS = ("k-means++", "random_from_data")  # and of Gaussians without noise alone


@dataclass(frozen=True)
class Family:
    """A kind of mixture: its estimator of ``pyvae.mixture``, and the options that not all have."""

    estimator: str
    words: str
    takes: tuple[str, ...]

    @property
    def has_covariances(self) -> bool:
        """Whether components have a place and a matrix, and not columns of their own."""
        return "covariance" in self.takes

    @property
    def takes_text(self) -> bool:
        """Whether columns of text are categories."""
        return self.estimator in ("CategoricalMixture", "TableMixture")

    @property
    def kind(self) -> Any:
        """The estimator's class."""
        from pyvae import mixture

        return getattr(mixture, self.estimator)


_OF_ALL_GAUSSIANS = ("covariance", "reg_covar", "labels", "label_column")
FAMILIES: dict[str, Family] = {
    "gaussian": Family(
        "GaussianMixture", "Gaussian", (*_OF_ALL_GAUSSIANS, "rank", "criterion", "noise", "missing")
    ),
    "student-t": Family("StudentTMixture", "Student t", (*_OF_ALL_GAUSSIANS, "degrees_of_freedom")),
    "bernoulli": Family("BernoulliMixture", "Bernoulli", ("binarize", "missing")),
    "categorical": Family("CategoricalMixture", "categorical", ("missing",)),
    "table": Family("TableMixture", "mixed columns", ("categorical", "missing")),
}
_OF_SOME = {name for family in FAMILIES.values() for name in family.takes}


@dataclass(frozen=True)
class Options:
    """What the command line says; ``given`` names the options that stand on it."""

    data: str
    components: str
    covariance: str
    starts: int
    max_iter: int
    tolerance: float
    reg_covar: float
    seed: int
    output: str
    overwrite: bool
    split: str
    threads: int | None
    reading: dict[str, Any]
    picture_format: str = "png"
    criterion: str = "bic"
    rank: int | None = None
    family: str = "gaussian"
    noise: str | None = None
    degrees_of_freedom: str = "free"
    initialization: str | None = None
    labels: str | None = None
    label_column: str | None = None
    binarize: float | None = None
    categorical: str | None = None
    given: frozenset[str] = field(default_factory=frozenset)

    @property
    def of(self) -> Family:
        """The family."""
        return FAMILIES[self.family]

    @property
    def has_labels(self) -> bool:
        """Whether the components of some points are told."""
        return self.labels is not None or self.label_column is not None


def numbers(text: str) -> tuple[int, ...]:
    """Read numbers of components: ``10``, ``2,3,5`` or ``1-10``."""
    found: set[int] = set()
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\d+)(?:-(\d+))?\s*", part)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (0, 0)
        if not 1 <= first <= last:
            raise UserError(f"--components: {text!r}; expected such as 10, 2,3,5 or 1-10")
        found.update(range(first, last + 1))
    return tuple(sorted(found))


def check(options: Options) -> None:
    """Refuse what has no use for the family, or beside another option."""
    family = options.of
    for name in sorted(options.given & _OF_SOME - set(family.takes)):
        if name == "missing" and options.reading["missing"] == "refuse":
            continue
        *others, last = (other for other, about in FAMILIES.items() if name in about.takes)
        families = f"{', '.join(others)} or {last}" if others else last
        raise UserError(
            f"{flag(name)} has no use with --family {options.family}; leave it out, or take "
            f"--family {families}"
        )
    if family.has_covariances:
        _check_covariance(options)
    _check_selection(options)
    _check_start(options)
    degrees(options.degrees_of_freedom)


def _check_covariance(options: Options) -> None:
    if options.covariance == LOW_RANK and options.family != "gaussian":
        raise UserError(
            f"--covariance low_rank has no use with --family {options.family}; take another type, "
            "or --family gaussian"
        )
    if options.covariance == LOW_RANK and options.rank is None:
        raise UserError("--covariance low_rank: give --rank, the number of factors, such as 4")
    if options.rank is not None and options.covariance not in (LOW_RANK, ALL):
        raise UserError(
            f"--rank: {options.covariance} covariances have no factors; leave it out, or take "
            "--covariance low_rank"
        )


def _check_selection(options: Options) -> None:
    """Refuse several fits where there is nothing that compares them."""
    if not is_selection(options):
        return
    several = f"--components {options.components}"
    one = "give one number"
    if options.covariance == ALL:
        several, one = "--covariance all", "name one type, and one number of components"
    if options.family != "gaussian":
        raise UserError(
            f"{several}: only fits of --family gaussian are compared; {one}, and compare `bic` in "
            "mixture.json of several folders"
        )
    if options.has_labels:
        raise UserError(
            f"{several}: fits are compared without labels; {one}, or leave out --labels and "
            "--label-column"
        )


def _check_start(options: Options) -> None:
    start = options.initialization
    if start is None:
        return
    if not options.of.has_covariances and start not in _ANYWHERE:
        raise UserError(
            f"--initialization {start} has no use with --family {options.family}; expected "
            f"{' or '.join(_ANYWHERE)}"
        )
    if options.noise is not None and start in _AT_POINTS:
        raise UserError(
            f"--initialization {start} starts at single points, beside which all others are noise; "
            "with --noise expected trimmed_kmeans or random"
        )


def is_selection(options: Options) -> bool:
    """Tell whether several fits are asked for, of which the best is kept."""
    of_all = options.of.has_covariances and options.covariance == ALL
    return of_all or len(numbers(options.components)) > 1


def degrees(text: str) -> str | float:
    """Read degrees of freedom: ``free``, ``tied``, or a number above 0."""
    if text in ("free", "tied"):
        return text
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise UserError(
            f"--degrees-of-freedom: {text!r}; expected free, tied or a number above 0, such as 4"
        )
    return value


def settings(options: Options) -> dict[str, Any]:
    """Return the constructor's arguments, but for the number and covariances of components."""
    taken = options.of.takes
    found: dict[str, Any] = {
        "n_init": options.starts,
        "max_iter": options.max_iter,
        "tol": options.tolerance,
        "random_state": options.seed,
    }
    if options.initialization is not None:
        found["init_params"] = options.initialization
    if "missing" in taken:
        found["missing_values"] = options.reading["missing"]
    if "degrees_of_freedom" in taken:
        found["degrees_of_freedom"] = degrees(options.degrees_of_freedom)
    own = ("reg_covar", "rank", "noise", "binarize")
    return found | {name: getattr(options, name) for name in own if name in taken}


def reading_of_text(options: Options) -> dict[str, Any]:
    """Return which columns of text the family takes for categories, as options of reading."""
    kept = {"categorical": "mixed", "table": "keep"}.get(options.family, "refuse")
    return {"text": kept, "categorical": options.categorical}


def multiplications(options: Options, d: int) -> int:
    """Give how many a coordinate asks for in each component, of the dearest type."""
    if not options.of.has_covariances:
        return 1
    if options.covariance == LOW_RANK:
        return 3 * (options.rank or 1)
    return 1 if options.covariance in _VARIANCES else d
