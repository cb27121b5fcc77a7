# SPDX-License-Identifier: MIT
"""The defaults on real data: one seed of what benchmarks/studies/digits_seeds.py runs five of."""

from __future__ import annotations

import torch

from pyvae.data import digits
from pyvae.models import GMVAE
from pyvae.training import Trainer
from pyvae.training.baselines import baselines
from pyvae.training.metrics import clustering_accuracy


def test_the_defaults_beat_kmeans_on_the_digits():
    data = digits()
    assert data.labels is not None
    torch.manual_seed(0)
    model = GMVAE(64, 10)
    history = Trainer(accelerator="cpu", progress="silent").fit(model, data)
    accuracy = clustering_accuracy(data.labels, model.predict(data.x))
    assert accuracy > baselines(data.x, data.labels, 10)["kmeans"]["clustering_accuracy"]
    assert history[-1]["bound"] > -24
    assert history[-1]["effective_components"] > 9
    assert history[-1]["active_units"] == 10
