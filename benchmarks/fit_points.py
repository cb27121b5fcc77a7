# SPDX-License-Identifier: MIT
"""Points that whole fits are made to, drawn from the models that are fitted: the same every time.

Clusters overlap, as those that users have do.
"""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from benchmarks.variants import Inputs
from tests.ops.draws import Size

CATEGORIES = 5
UNKNOWN = -1
_DEGREES = 4  # of freedom, of what has heavy tails
_NOISE, _LABELLED = 0.1, 0.1  # shares of the points that are noise, that have labels


def gaussian(size: Size, generator: Generator) -> Inputs:
    """Draw from Gaussians of one covariance."""
    x, _, _ = _clusters(size, generator)
    return {"x": x}


def heavy_tailed(size: Size, generator: Generator) -> Inputs:
    """Draw from Student t distributions: Gaussians whose precision is drawn too."""
    x, centres, chosen = _clusters(size, generator)
    precision = torch.randn(len(x), _DEGREES, generator=generator).square().mean(1)
    return {"x": torch.lerp(centres[chosen], x, precision.rsqrt()[:, None])}


def noisy(size: Size, generator: Generator) -> Inputs:
    """Draw from Gaussians, and some points uniformly in a box about them; and tell the means."""
    x, centres, _ = _clusters(size, generator)
    low, high = x.amin(0), x.amax(0)
    count = int(_NOISE * len(x))
    x[:count] = low + (high - low) * torch.rand(count, x.shape[1], generator=generator)
    return {"x": x, "means": centres}


def labelled(size: Size, generator: Generator) -> Inputs:
    """Draw from Gaussians, and tell of some points which."""
    x, _, chosen = _clusters(size, generator)
    known = torch.rand(len(x), generator=generator) < _LABELLED
    return {"x": x, "labels": torch.where(known, chosen, UNKNOWN)}


def binary(size: Size, generator: Generator) -> Inputs:
    """Draw zeros and ones from products of Bernoulli distributions."""
    return {"x": _ones(_components(size, generator), size["k"], size["d"], generator)}


def categorical(size: Size, generator: Generator) -> Inputs:
    """Draw codes from products of distributions over categories."""
    return {"x": _codes(_components(size, generator), size["k"], size["d"], generator)}


def mixed(size: Size, generator: Generator) -> Inputs:
    """Draw tables whose columns are of :func:`families`."""
    chosen, k, columns = _components(size, generator), size["k"], families(size["d"])
    draws = {"gaussian": _numbers, "bernoulli": _ones, "categorical": _codes}
    parts = [draw(chosen, k, columns.count(family), generator) for family, draw in draws.items()]
    return {"x": torch.cat(parts, 1)}


def families(columns: int) -> list[str]:
    """Name the family of every column of a mixed table: a third each."""
    third = columns // 3
    return ["gaussian"] * third + ["bernoulli"] * third + ["categorical"] * (columns - 2 * third)


def _clusters(size: Size, generator: Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Draw points of as many clusters; their centres, and whose each is."""
    centres, spread = _shapes(size["k"], size["d"], generator)
    chosen = _components(size, generator)
    noise = torch.randn(size["n"], size["d"], generator=generator)
    return centres[chosen] + spread * noise, centres, chosen


def _shapes(k: int, d: int, generator: Generator) -> tuple[Tensor, Tensor]:
    """Draw centres ``(K, D)``, and the standard deviations ``(D,)`` about all of them."""
    centres = 2.0 * torch.randn(k, d, generator=generator)
    return centres, 0.5 + torch.rand(d, generator=generator)


def _components(size: Size, generator: Generator) -> Tensor:
    return torch.randint(size["k"], (size["n"],), generator=generator)


def _numbers(chosen: Tensor, k: int, d: int, generator: Generator) -> Tensor:
    centres, spread = _shapes(k, d, generator)
    return centres[chosen] + spread * torch.randn(len(chosen), d, generator=generator)


def _ones(chosen: Tensor, k: int, d: int, generator: Generator) -> Tensor:
    ones = torch.rand(k, d, generator=generator)
    return (torch.rand(len(chosen), d, generator=generator) < ones[chosen]).float()


def _codes(chosen: Tensor, k: int, d: int, generator: Generator) -> Tensor:
    logits = torch.randn(k, d, CATEGORIES, generator=generator)
    uniform = torch.rand(len(chosen), d, generator=generator)
    heights = logits.softmax(2).cumsum(2)[:, :, :-1].unbind(2)
    return torch.stack([uniform > height[chosen] for height in heights]).sum(0).float()
