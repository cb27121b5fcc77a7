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


def clumps(count: int = 3000) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    centres = 4.0 * torch.randn(30, 40, generator=generator)
    which = torch.randint(30, (count,), generator=generator)
    return centres[which] + torch.randn(count, 40, generator=generator)


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take a thousand examples for many."""
    monkeypatch.setattr(neighbors, "_MOST_ON_CPU", 1000)


@pytest.mark.usefixtures("few")
def test_of_many_nearly_all_are_found() -> None:
    pytest.importorskip("faiss")
    x = clumps()
    expected = torch.cdist(x, x).fill_diagonal_(torch.inf).topk(5, largest=False).indices
    found = nearest(x, 5)
    assert found.dtype == torch.int64
    assert not bool((found == torch.arange(len(x))[:, None]).any())
    share = (found[:, :, None] == expected[:, None]).any(2).float().mean()
    assert share > 0.98


@pytest.mark.usefixtures("few")
def test_of_many_the_number_of_threads_is_no_matter() -> None:
    pytest.importorskip("faiss")
    x, before = clumps(1500), torch.get_num_threads()
    try:
        found = []
        for threads in (1, 2, 2):
            torch.set_num_threads(threads)
            found.append(nearest(x, 5))
    finally:
        torch.set_num_threads(before)
    assert torch.equal(found[0], found[1])
    assert torch.equal(found[1], found[2])


@pytest.mark.usefixtures("few")
def test_of_many_without_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbors, "_LIBRARY", "no_such_library")
    monkeypatch.setattr(neighbors, "_LIBRARY_RUNS", True)
    match = r"X has 1001 examples.*not installed: pip install 'pyvae\[neighbors\]'.*n_neighbors=0"
    with pytest.raises(ValueError, match=match):
        nearest(torch.zeros(1001, 2), 5)
    monkeypatch.setattr(neighbors, "_LIBRARY_RUNS", False)  # where it would end the process
    assert nearest(clumps(1001), 5).shape == (1001, 5)


def test_leaving_itself_out() -> None:
    found = torch.tensor([[0, 1, 2], [0, 2, 1], [1, 0, 3], [3, -1, -1], [4, 2, -1]])
    assert neighbors.without_own(found, 2).tolist() == [[1, 2], [0, 2], [1, 0], [3, 3], [2, 4]]
