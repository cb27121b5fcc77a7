# SPDX-License-Identifier: MIT
"""How many components, and of which covariances: fits of many, compared by a criterion."""

from __future__ import annotations

import contextlib
import math
import time
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from numbers import Integral
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils.parallel import Parallel, delayed
from threadpoolctl import threadpool_limits

from pyvae.errors import WrongValue
from pyvae.mixture import arrays, state
from pyvae.mixture.arrays import Array, is_source
from pyvae.mixture.covariance import COVARIANCES, NAMES, covariance_of
from pyvae.mixture.factors import IllDefined
from pyvae.mixture.gaussian_mixture import GaussianMixture
from pyvae.mixture.selection_folder import SelectionFolder
from pyvae.mixture.streams import opened

CRITERIA = ("bic", "aic", "icl")


class Candidate(NamedTuple):
    """One fit.

    Attributes
    ----------
    covariance_type, n_components
        What was fitted.
    bic, aic, icl
        The criteria, of which lower is better; NaN where there is no fit.
    log_likelihood
        Of all points, in nats.
    n_parameters
        Free ones.
    converged
        Whether EM came to its end.
    seconds
        The fit took.
    problem
        Why there is no fit; None where there is one.
    """

    covariance_type: str
    n_components: int
    bic: float
    aic: float
    icl: float
    log_likelihood: float
    n_parameters: int
    converged: bool
    seconds: float
    problem: str | None


@dataclass(frozen=True)
class MixtureSelection:
    """What :func:`select_mixture` has found.

    Attributes
    ----------
    table
        A :class:`Candidate` of every fit, by covariance type, then by number of components.
    criterion
        What they were compared by.
    best_
        The fitted estimator of the least value.
    best_index_
        Its place in the table.
    """

    table: tuple[Candidate, ...]
    criterion: str
    best_: GaussianMixture
    best_index_: int

    @property
    def values(self) -> list[float]:
        """The criterion of every row of the table."""
        return [getattr(row, self.criterion) for row in self.table]


def select_mixture(
    X: Array,
    n_components: int | Iterable[int] = range(1, 11),
    covariance_types: str | Sequence[str] = ("full",),
    criterion: str = "bic",
    *,
    n_jobs: int | None = None,
    random_state: int | np.random.RandomState | None = None,
    folder: str | Path | None = None,
    **options: Any,
) -> MixtureSelection:
    """Fit mixtures of every number of components and type of covariance, and keep the best.

    Parameters
    ----------
    X
        Points ``(N, D)``, as of :meth:`GaussianMixture.fit`.
    n_components
        Numbers to try.
    covariance_types
        Types to try; ``"all"`` is all six, and with a ``rank`` low_rank as well.
    criterion
        ``"bic"``, ``"aic"`` or ``"icl"``, of which the least is best: the estimator's methods.
    n_jobs
        How many fits go on at a time, as in scikit-learn: None is one, -1 as many as there are
        processors. Each has one thread, so that the result is the same whatever the number.
    random_state
        A number is that of every fit, so that ``GaussianMixture(k, random_state=...)`` repeats a
        row of the table; a generator, or None, draws one.
    folder
        Where fits are kept as they end: another call with the same X and settings reads those that
        are there, and may ask for other numbers, types or criteria.
    options
        Others of :class:`GaussianMixture`'s parameters.

    Returns
    -------
    The criteria of all fits, and the best of them.

    Raises
    ------
    ValueError
        If nothing is to be tried, a number is above that of the points, no fit succeeds, or the
        folder holds fits to other points or with other settings.

    Warns
    -----
    ConvergenceWarning
        If the best fit has not converged.

    References
    ----------
    Schwarz (1978), "Estimating the dimension of a model"; Akaike (1974), "A new look at the
    statistical model identification"; Biernacki, Celeux & Govaert (2000), "Assessing a mixture
    model for clustering with the integrated completed likelihood".

    Examples
    --------
    >>> random = np.random.default_rng(0)
    >>> X = np.concatenate([random.normal(mean, 1.0, (100, 2)) for mean in (-5.0, 0.0, 5.0)])
    >>> found = select_mixture(X, range(1, 5), ("full", "spherical"), random_state=0)
    >>> found.best_.covariance_type, len(found.best_.weights_)
    ('spherical', 3)
    >>> [row.n_components for row in found.table if row.bic < found.values[0]]
    [2, 3, 4, 3, 4]
    """
    X = opened(X)
    grid = _grid(X, n_components, covariance_types, options.get("rank"))
    if criterion not in CRITERIA:
        raise WrongValue(f"criterion={criterion!r}; expected one of {', '.join(CRITERIA)}")
    if folder is not None and not isinstance(random_state, Integral):
        raise WrongValue(
            f"random_state={random_state!r} with a folder; give a number, so that the fits in it "
            "can be told from others"
        )
    seed = _seed(random_state)
    first = GaussianMixture(covariance_type=grid[0][0], random_state=seed, **options)
    kept = None if folder is None else SelectionFolder(Path(folder).expanduser())
    folded = contextlib.nullcontext() if kept is None else kept.opened(X, first)
    with folded, _one_thread():
        found = Parallel(n_jobs=n_jobs)(delayed(_fitted)(X, *each, first, kept) for each in grid)
    table, mixtures = zip(*found, strict=True)
    return _best(table, mixtures, criterion)


def _best(
    table: tuple[Candidate, ...], mixtures: Sequence[GaussianMixture | None], criterion: str
) -> MixtureSelection:
    values = np.array([getattr(row, criterion) for row in table])
    if not np.isfinite(values).any():
        raise WrongValue(
            f"no fit has a finite {criterion.upper()}: {table[0].problem or values[0]}"
        )
    best = int(np.nanargmin(np.where(np.isfinite(values), values, np.nan)))
    mixture = mixtures[best]
    assert mixture is not None
    if not table[best].converged:
        warnings.warn(
            f"the best fit ({table[best].covariance_type}, {table[best].n_components} components) "
            "did not converge; increase max_iter or tol",
            ConvergenceWarning,
            stacklevel=3,
        )
    return MixtureSelection(table, criterion, mixture, best)


def _fitted(
    X: Array, covariance_type: str, count: int, like: GaussianMixture, kept: SelectionFolder | None
) -> tuple[Candidate, GaussianMixture | None]:
    """Give one fit and its row: the one that is kept, or a new one, which then is."""
    name = f"{covariance_type}-{count}"
    present = None if kept is None else kept.read(name)
    if present is not None:
        row, read = present
        if read is not None:
            kind = covariance_of(covariance_type, read.rank)
            p = state.parameters(read, kind)
            p = p.to(arrays.like(X).device) if is_source(X) else p
            state.set_mixture(read, X, kind, p)  # as a fit to X has them
        return Candidate(**row), read
    settings = like.get_params() | {"covariance_type": covariance_type, "n_components": count}
    mixture = GaussianMixture(**settings)
    begin, problem = time.perf_counter(), None
    try:
        with _one_thread(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the fits that are not the best; the table says
            mixture.fit(X)
            seconds = time.perf_counter() - begin
            row = _row(mixture, X, seconds)
    except IllDefined as error:
        problem = str(error)
        seconds, nan = time.perf_counter() - begin, math.nan
        row = Candidate(covariance_type, count, nan, nan, nan, nan, 0, False, seconds, problem)
    fitted = None if problem else mixture
    if kept is not None:
        kept.write(name, row._asdict(), fitted)
    return row, fitted


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """Compute on one thread: more add in another order, and are for other fits."""
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        with threadpool_limits(limits=1):
            yield
    finally:
        torch.set_num_threads(threads)


def _row(mixture: GaussianMixture, X: Array, seconds: float) -> Candidate:
    bic, aic, icl = (float(getattr(mixture, name)(X)) for name in CRITERIA)
    return Candidate(
        mixture.covariance_type, mixture.n_components, bic, aic, icl,
        mixture.score(X) * len(X), mixture.n_parameters_, bool(mixture.converged_), seconds, None,
    )  # fmt: skip


def _grid(
    X: Array,
    n_components: int | Iterable[int],
    covariance_types: str | Sequence[str],
    rank: int | None,
) -> list[tuple[str, int]]:
    counts = [n_components] if isinstance(n_components, int) else list(n_components)
    if isinstance(covariance_types, str):
        every = covariance_types == "all"
        known = tuple(COVARIANCES) if rank is None else NAMES
        covariance_types = known if every else (covariance_types,)
    unknown = [kind for kind in covariance_types if kind not in NAMES]
    if unknown or not covariance_types:
        raise WrongValue(
            f"covariance_types={list(covariance_types)!r}; expected some of "
            f"{', '.join(NAMES)}, or 'all'"
        )
    for count in counts:
        if isinstance(count, bool) or not isinstance(count, Integral) or count < 1:
            raise WrongValue(f"n_components: {count!r}; expected whole numbers from 1 on")
    if not counts:
        raise WrongValue("n_components is empty; expected numbers of components to try")
    if max(counts) > len(X):
        raise WrongValue(
            f"n_components: {max(counts)} are more than the {len(X)} points; try fewer"
        )
    grid = [(kind, int(count)) for kind in covariance_types for count in counts]
    return list(dict.fromkeys(grid))


def _seed(random_state: int | np.random.RandomState | None) -> int:
    if isinstance(random_state, Integral):
        return int(random_state)
    return int(check_random_state(random_state).randint(np.iinfo(np.int32).max))
