# SPDX-License-Identifier: MIT
"""Views: what they leave, what they change, and that a generator says how."""

from __future__ import annotations

import pytest
import torch

from pyvae.clustering import ImageWarps, TableNoise

NO_WARP = ImageWarps(rotation=0, shear=0, scale=0, shift=0, elastic=0)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def blob(size: int = 33) -> torch.Tensor:
    """An image ``(1, 1, S, S)`` with a spot above the middle."""
    axis = torch.linspace(-1, 1, size)
    return (-20 * (axis**2 + (axis[:, None] + 0.5) ** 2)).exp()[None, None]


def centre(x: torch.Tensor) -> torch.Tensor:
    """Where the light is, in half sides: down and across, ``(N, 2)``."""
    axis, light = torch.linspace(-1, 1, x.shape[-1]), x.sum((1, 2, 3))
    down = (x.sum((1, 3)) * axis).sum(1) / light
    return torch.stack([down, (x.sum((1, 2)) * axis).sum(1) / light], 1)


@pytest.mark.parametrize("shape", [(3, 1, 28, 28), (2, 3, 17, 9)])
def test_no_range_is_no_change(shape: tuple[int, ...]) -> None:
    x = torch.rand(shape, generator=generator())
    torch.testing.assert_close(NO_WARP(x, generator()), x, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("views", [ImageWarps(), TableNoise()])
def test_a_generator_says_how(views: ImageWarps | TableNoise) -> None:
    x = torch.rand((4, 1, 12, 12), generator=generator())
    x = x if isinstance(views, ImageWarps) else x.flatten(1)
    before = torch.random.get_rng_state()
    assert torch.equal(views(x, generator(1)), views(x, generator(1)))
    assert not torch.equal(views(x, generator(1)), views(x, generator(2)))
    assert torch.equal(before, torch.random.get_rng_state())


def test_rotation_keeps_to_its_range() -> None:
    x = blob().expand(500, -1, -1, -1)
    warps = ImageWarps(rotation=30, shear=0, scale=0, shift=0, elastic=0)
    found = centre(warps(x, generator()))
    angles = torch.rad2deg(torch.atan2(found[:, 1], -found[:, 0]))
    assert 27 < angles.abs().max() < 31
    assert angles.abs().min() < 2
    torch.testing.assert_close(found.norm(dim=1), torch.full((500,), 0.5), atol=0.01, rtol=0)


def test_shifts_are_shares_of_the_side() -> None:
    x = blob().expand(500, -1, -1, -1)
    warps = ImageWarps(rotation=0, shear=0, scale=0, shift=0.1, elastic=0)
    moved = centre(warps(x, generator())) - centre(x)
    side = 33 / 32  # beside the distance of the outer pixels' middles
    assert 0.18 < moved.abs().max() < 0.2 * side + 1e-3  # half sides: twice the share


def test_scales_and_shears() -> None:
    x = blob().expand(500, -1, -1, -1)
    scaled = ImageWarps(rotation=0, shear=0, scale=0.2, shift=0, elastic=0)(x, generator())
    heights = -centre(scaled)[:, 0]
    assert 0.5 / 1.2 - 0.01 < heights.min() < heights.max() < 0.5 / 0.8 + 0.01
    sheared = ImageWarps(rotation=0, shear=0.4, scale=0, shift=0, elastic=0)(x, generator())
    across = centre(sheared)[:, 1]
    assert 0.17 < across.abs().max() < 0.21  # 0.4 of the height, 0.5


def test_elastic_warps_differ_within_an_image() -> None:
    axis = torch.linspace(-1, 1, 29)
    ramp = axis.expand(29, 29)[None, None].expand(50, -1, -1, -1)
    warps = ImageWarps(rotation=0, shear=0, scale=0, shift=0, elastic=0.06)
    change = (warps(ramp, generator()) - ramp)[..., 5:-5, 5:-5]
    assert 0.03 < change.std() < 0.07
    assert change.amax((1, 2, 3)).min() > change.amin((1, 2, 3)).max()


def test_beyond_the_border_is_background() -> None:
    x = torch.ones(100, 1, 16, 16)
    found = ImageWarps(rotation=0, shear=0, scale=0, shift=0.3, elastic=0)(x, generator())
    assert found.min() == 0.0
    assert found.max() <= 1.0 + 1e-6


def test_noise_and_masking() -> None:
    x = torch.full((2000, 5), 3.0)
    found = TableNoise(noise=0.2, masking=0.25)(x, generator())
    masked = found == 0.0
    assert masked.float().mean().item() == pytest.approx(0.25, abs=0.02)
    assert found[~masked].std().item() == pytest.approx(0.2, abs=0.01)
    assert torch.equal(TableNoise(noise=0.0, masking=0.0)(x, generator()), x)
