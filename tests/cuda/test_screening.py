# SPDX-License-Identifier: MIT
"""Screening by bounds in bfloat16, on the emulated device: every shape, and the worst case."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from pyvae import ops
from tests.cuda import emulated
from tests.ops import devices, test_statistics
from tests.ops.cases import MIXTURE_CASES, STATISTICS_CASES
from tests.ops.checks import check_case


@pytest.fixture(autouse=True)
def _screened() -> Iterator[None]:
    with devices.running_on(devices.EMULATED), emulated.everything_is_large(screened_share=1024):
        yield


# Lanes that share a component, and a component's pieces, by the number of coordinates.
@pytest.mark.parametrize("d", [8, 40, 100, 180])
def test_every_number_of_coordinates(d: int) -> None:
    size = {"n": 70, "k": 140, "d": d}  # two tiles of components, the last mostly padding
    for case in (MIXTURE_CASES[0], STATISTICS_CASES[0]):
        inputs = case.among_clusters(case.draw(size, torch.float32), 2.0)
        check = test_statistics.check if case in STATISTICS_CASES else check_case
        check(case, inputs, size)


def test_more_components_than_lanes_have_bounds() -> None:
    case = MIXTURE_CASES[0]
    size = {"n": 40, "k": 1200, "d": 5}
    check_case(case, case.among_clusters(case.draw(size, torch.float32), 3.0), size)


def rounded_down(scale: float) -> float:
    """A number whose bfloat16 is smaller by as much as one can be, near enough."""
    return scale * (1.0 + 2.0**-8 - 2.0**-14)


@pytest.mark.parametrize("d", [16, 128, 192])
@pytest.mark.parametrize("scale", [1.0, 4.0, 16.0])
def test_the_worst_rounding(d: int, scale: float) -> None:
    """A point at the mean of a component of which all products are rounded down.

    By its approximate score it would be left out for another one, some sixty nats below it.
    """
    mean = torch.full((d,), rounded_down(scale))
    other = mean + (120.0 / d) ** 0.5 * torch.tensor([1.0, -1.0]).repeat(d // 2)
    means = torch.stack([mean, other, -mean, -other])  # about a centre of zero
    means = torch.cat([means, torch.zeros(44, d)])
    weights = torch.full((48,), -torch.inf)
    weights[:4] = -torch.tensor(4.0).log()
    x = mean.expand(3, d) * torch.tensor([[1.0], [1.0 + 1e-4], [1.0 - 1e-4]])
    given = x, weights, means, torch.zeros(48, 1)
    exact = ops.reference.mixture_log_prob(*(tensor.double() for tensor in given))
    found = ops.mixture_log_prob(*given)
    torch.testing.assert_close(found.double(), exact, rtol=2e-6, atol=2e-6)
    assert (ops.mixture_predict(*given)[0] == 0).all()


def test_padding_and_the_dead_keep_nothing() -> None:
    """They do not count among what is near the best: 100 components are screened like 128."""
    case = MIXTURE_CASES[0]
    drawn = case.draw({"n": 130, "k": 100, "d": 40}, torch.float32)
    inputs = case.among_clusters(drawn, 4.0)
    inputs["log_weights"][::3] = -torch.inf
    screened = ops.mixture_log_prob(**inputs)
    with emulated.everything_is_large(screened_share=60):
        chosen = ops.mixture_log_prob(**inputs)
    with emulated.everything_is_large():
        by_tiles = ops.mixture_log_prob(**inputs)
    assert torch.equal(chosen, screened)
    assert not torch.equal(by_tiles, screened)  # by rounding


@pytest.mark.parametrize("first", [0.0, 1.0])
def test_points_without_bounds_keep_everything(first: float) -> None:
    """Coordinates whose squares overflow are not screened; their densities are still exact."""
    x = torch.ones(70, 8)
    x[0], x[1, 0], x[2] = 3e15, 1e18, -3e15
    means = torch.randn(40, 8, generator=torch.Generator().manual_seed(0))
    means[:2] *= first
    given = x, torch.full((40,), -torch.tensor(40.0).log()), means, torch.full((40, 1), 80.0)
    exact = ops.reference.mixture_log_prob(*(tensor.double() for tensor in given))
    torch.testing.assert_close(ops.mixture_log_prob(*given).double(), exact, rtol=2e-6, atol=2e-6)
