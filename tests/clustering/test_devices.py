# SPDX-License-Identifier: MIT
"""Everything is where the examples are, and no step waits for a device.

Tensors without numbers show both without a GPU: they join with none of the CPU's, and whoever asks
for a number of theirs gets an error.
"""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
import torch

from pyvae.clustering import Classifier, ImageWarps, TableNoise
from pyvae.clustering.examples import Scaling
from pyvae.clustering.neighbors import nearest
from pyvae.clustering.networks import built_in
from pyvae.clustering.recipe import Examples, Recipe, laid_out, probabilities
from pyvae.clustering.training import Training, information_lost


@pytest.fixture(autouse=True)
def no_autocast(monkeypatch: pytest.MonkeyPatch) -> None:
    """Such tensors know of none."""
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: contextlib.nullcontext())


@pytest.mark.parametrize(("shape", "views"), [((1, 28, 28), ImageWarps()), ((7,), TableNoise())])
def test_all_is_where_the_examples_are(shape: tuple[int, ...], views: Any) -> None:
    x = torch.empty(50, *shape, device="meta", dtype=torch.float64)
    scaling = Scaling.of(x)
    examples = Examples(scaling(x), nearest(scaling(x), 5))
    assert examples.neighbors is not None
    assert examples.neighbors.shape == (50, 5)
    network = laid_out(built_in(shape, 10).to("meta"), 1 + len(shape))
    recipe = Recipe(2, 10, views, 0.5, 3, 2, 20, 1e-3, 1.0, half=False)
    each = torch.eye(10, device="meta")
    generator = torch.Generator()
    loss = information_lost(network, each, recipe, examples, generator, balance=1.0)
    training = Training(network, loss, examples.x, 20, 3, 1e-3, generator)
    for _ in range(3):
        assert training.advance().device.type == "meta"
    assert probabilities(network, examples.x, each, half=False).device.type == "meta"
    classifier = Classifier(network, torch.empty(10, 2, device="meta"), scaling, shape)
    assert classifier(x).device.type == "meta"
