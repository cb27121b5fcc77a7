# SPDX-License-Identifier: MIT
"""``pyvae fit-kl``."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

from pyvae.cli.errors import UserError
from pyvae.cli.files import ending, write_picture
from pyvae.cli.terminal import output, say, show, table
from pyvae.cli.threads import use_threads

if TYPE_CHECKING:
    from rich.console import Console
    from torch.distributions import MixtureSameFamily

    from pyvae.plots import FittedTarget, Sweep

APART = ("modes far apart", (0.5, 0.5), (-3.0, 3.0), (1.0, 1.0))
_STEPS = 41
_LARGEST = 1e100  # whose square is a number still
# The quadrature has 200,001 points on forty standard deviations of the target: as far apart, at
# most, as the narrowest component's own is long.
_WIDEST = 5_000.0


def fit_kl(weights: str, means: str, sigmas: str, picture: str, threads: int | None) -> None:
    """Fit a Gaussian to a mixture in both directions, print the fits, and draw them."""
    target = Path(picture).expanduser()
    ending(target, "--output")
    values = [_numbers(name, text) for name, text in
              (("--weights", weights), ("--means", means), ("--sigmas", sigmas))]  # fmt: skip
    w, m, s = values
    if not len(w) == len(m) == len(s):
        raise UserError(
            f"--weights, --means and --sigmas have {len(w)}, {len(m)} and {len(s)} numbers; "
            "expected as many of each"
        )
    if min(w) < 0 or not sum(w) > 0 or min(s) <= 0:
        raise UserError("--weights must not be negative, nor all zero, and --sigmas above zero")
    w = tuple(value / sum(w) for value in w)
    _check_spread(w, m, s)
    from pyvae import plots

    # Thousands of calls with some thousands of points each: two threads would wait for one another.
    use_threads(threads, work=0)
    console = output()
    found = fitted("the target", w, m, s)
    panels = [found, fitted(*APART)]
    _print(console, found)
    target.parent.mkdir(parents=True, exist_ok=True)
    write_picture(target, plots.kl_directions(panels, sweep()))
    say(console, f"wrote {target}")


def _print(console: Console, fitted: FittedTarget) -> None:
    columns = ("mean", "sigma", "nats")
    grid = table(console, "Gaussians nearest to the target", "direction", "", *columns,
                 numbers=columns)  # fmt: skip
    fits = [("inclusive", "KL(p || q)", fitted.inclusive)]
    for index, fit in enumerate(fitted.exclusive):
        fits.append(("exclusive" if index == 0 else "", "KL(q || p)", fit))
    for name, divergence, fit in fits:
        numbers = (fit.mean, fit.sigma, fit.divergence)
        grid.add_row(name, divergence, *(f"{round(value, 6) + 0.0:.6f}" for value in numbers))
    show(console, grid)


def _check_spread(w: tuple[float, ...], m: tuple[float, ...], s: tuple[float, ...]) -> None:
    """Refuse a target with components too narrow for the points at which it is looked at."""
    narrowest = min(sigma for weight, sigma in zip(w, s, strict=True) if weight > 0)
    mean = sum(weight * place for weight, place in zip(w, m, strict=True))
    spread = math.hypot(
        *(math.sqrt(a) * part for a, b, c in zip(w, m, s, strict=True) for part in (b - mean, c))
    )
    if narrowest < 1 / _LARGEST or spread > _WIDEST * narrowest:
        raise UserError(
            f"--sigmas: {narrowest:g} is too narrow beside the target's standard deviation of "
            f"{spread:g}; expected at least {max(spread / _WIDEST, 1 / _LARGEST):.2g}"
        )


def _numbers(name: str, text: str) -> tuple[float, ...]:
    """Read numbers such as ``1/3,2/3`` or ``-1,1``."""
    found = []
    for part in text.split(","):
        above, _, below = part.partition("/")
        try:
            value = float(above) / float(below or "1")
        except (ValueError, ZeroDivisionError):
            raise UserError(f"{name}: {part!r} is no number; expected such as 1/3,2/3") from None
        if not abs(value) <= _LARGEST:
            raise UserError(f"{name}: {part!r} is out of range; expected up to {_LARGEST:g}")
        found.append(value)
    return tuple(found)


def mixture(
    weights: tuple[float, ...], means: tuple[float, ...], sigmas: tuple[float, ...]
) -> MixtureSameFamily:
    """Give a mixture on the line, in float64."""
    import torch
    from torch.distributions import Categorical, MixtureSameFamily, Normal

    w, m, s = (torch.tensor(values, dtype=torch.float64) for values in (weights, means, sigmas))
    return MixtureSameFamily(Categorical(w), Normal(m, s))


def fitted(
    title: str,
    w: tuple[float, ...],
    m: tuple[float, ...],
    s: tuple[float, ...],
    starts: int = 8,
) -> FittedTarget:
    """Fit a mixture in both directions, as the picture takes it."""
    from pyvae.inference import fit_gaussian
    from pyvae.plots import Fit, FittedTarget

    p = mixture(w, m, s)
    fits = [
        Fit(o.distribution.mean.item(), o.distribution.stddev.item(), o.divergence)
        for direction in ("inclusive", "exclusive")
        for o in fit_gaussian(p, direction, num_starts=starts).optima
    ]
    return FittedTarget(title, w, m, s, fits[0], fits[1:])


def sweep() -> Sweep:
    """Two equal modes of standard deviation one, from none to far apart."""
    import numpy as np

    from pyvae.plots import Sweep

    distances = np.linspace(0.0, 8.0, _STEPS)
    inclusive = np.full((_STEPS, 2), np.nan)
    exclusive = np.full((_STEPS, 3, 2), np.nan)  # of the left mode, of both, of the right one
    best = np.zeros((_STEPS, 3), dtype=bool)
    for row, distance in enumerate(distances):
        found = fitted("", (0.5, 0.5), (-distance / 2, distance / 2), (1.0, 1.0), starts=3)
        inclusive[row] = found.inclusive[:2]
        for fit in found.exclusive:
            branch = 1 + (abs(fit.mean) > 0.1) * int(np.sign(fit.mean))
            exclusive[row, branch] = fit[:2]
            best[row, branch] = fit.divergence <= found.exclusive[0].divergence + 1e-6
    return Sweep(distances, inclusive, exclusive, best)
