# SPDX-License-Identifier: MIT
"""The defaults on real data: one seed of what benchmarks/studies/digits_seeds.py runs five of."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from pyvae.data import digits
from pyvae.models import GMVAE
from pyvae.training import Trainer
from pyvae.training.baselines import baselines
from pyvae.training.history import History
from pyvae.training.metrics import clustering_accuracy


def trained(**settings: Any) -> tuple[float, History]:
    data = digits()
    assert data.labels is not None
    torch.manual_seed(0)
    model = GMVAE(64, 10)
    history = Trainer(accelerator="cpu", progress="silent", **settings).fit(model, data)
    assert history[-1]["effective_components"] > 9
    assert history[-1]["active_units"] == 10
    return clustering_accuracy(data.labels, model.predict(data.x)), history


def test_by_default_the_digits_are_told_apart() -> None:
    """In a fifth of the epochs, which is time enough for the clusters."""
    accuracy, history = trained(epochs=20)
    assert history.column("phase") == ["joint"] * 20
    assert accuracy > 0.93
    assert history[-1]["bound"] > -25.0


@pytest.mark.slow
def test_from_codes_they_are_told_apart_better_than_by_kmeans() -> None:
    accuracy, history = trained(initialization="em")
    data = digits()
    assert data.labels is not None
    assert accuracy > baselines(data.x, data.labels, 10)["kmeans"]["clustering_accuracy"]
    assert history[-1]["bound"] > -24
