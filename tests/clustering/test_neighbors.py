# SPDX-License-Identifier: MIT
"""Nearest neighbours are those of a search through all pairs."""

from __future__ import annotations

import pytest
import torch

from pyvae.clustering import neighbors
from pyvae.clustering.neighbors import nearest


@pytest.mark.parametrize("shape", [(80, 3), (60, 1, 4, 5)])
@pytest.mark.parametrize("block", [1, 500, 2**24])
def test_of_all_pairs(shape: tuple[int, ...], block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbors, "_BLOCK", block)
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    distances = torch.cdist(x.flatten(1), x.flatten(1)).fill_diagonal_(torch.inf)
    assert torch.equal(nearest(x, 4), distances.argsort(1)[:, :4])


def test_a_copy_is_the_nearest() -> None:
    x = torch.randn(20, 6, generator=torch.Generator().manual_seed(0))
    found = nearest(torch.cat([x, x]), 1)[:, 0]
    assert torch.equal(found, (torch.arange(40) + 20) % 40)


def test_in_leading_components() -> None:
    """What varies little decides nothing."""
    generator = torch.Generator().manual_seed(0)
    leading = torch.randn(50, 2, generator=generator)
    x = torch.cat([leading, 1e-3 * torch.randn(50, 60, generator=generator)], 1)
    assert torch.equal(nearest(x, 3, coordinates=2), nearest(leading, 3))
