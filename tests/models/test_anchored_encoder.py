# SPDX-License-Identifier: MIT
"""An encoder that begins at its example's component, and a GM-VAE that keeps it there."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from pyvae.models import GMVAE, AnchoredEncoder
from pyvae.models.anchored_encoder import anchors

K, FEATURES = 3, 12


class Block(nn.Module):
    """The cluster of an example by which of its thirds is brightest; with running statistics."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(FEATURES, affine=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(x.flatten(1)).reshape(-1, K, FEATURES // K).sum(2).softmax(1)


def examples(count: int = 60, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % K
    x = 0.2 * torch.rand(count, K, FEATURES // K, generator=generator)
    x[torch.arange(count), labels] += 0.7
    return x.flatten(1), labels


def model(latent_dim: int = 2, seed: int = 0) -> GMVAE:
    torch.manual_seed(seed)
    encoder = AnchoredEncoder(Block(), FEATURES, K, latent_dim, hidden=(16,))
    found = GMVAE(
        FEATURES, latent_dim, num_components=K, encoder=encoder, hidden=(16,),
        likelihood="bernoulli",
    )  # fmt: skip
    found.set_mixture(None, encoder.anchors.detach(), torch.zeros(K, 1))
    return found


@pytest.mark.parametrize("dimension", [1, 2, 3, 10])
@pytest.mark.parametrize("count", [1, 2, 3, 7, 10, 45])
def test_anchors_are_apart(count: int, dimension: int) -> None:
    found = anchors(count, dimension, 8.0)
    assert found.shape == (count, dimension)
    if count > 1:
        assert torch.pdist(found).min() >= 8.0 * math.sqrt(2.0) * (1 - 1e-6)


@pytest.mark.parametrize("latent_dim", [1, 2, 5])
def test_it_begins_at_the_component(latent_dim: int) -> None:
    x, labels = examples()
    assert torch.equal(model(latent_dim).predict(x), labels)


def test_training_keeps_the_clusters_and_raises_the_bound() -> None:
    x, labels = examples()
    found = model()
    before = found.elbo(x).total.mean().item()
    optimizer = torch.optim.Adam([p for p in found.parameters() if p.requires_grad], 1e-2)
    for _ in range(60):
        loss = -found.elbo(x).total.mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert found.elbo(x).total.mean().item() > before + 0.5
    assert torch.equal(found.predict(x), labels)


def test_the_classifier_learns_nothing() -> None:
    x, _ = examples()
    found = model()
    encoder = found.encoder
    assert isinstance(encoder, AnchoredEncoder)
    before = {name: value.clone() for name, value in encoder.classifier.state_dict().items()}
    found.train()
    (-found.elbo(x).total.mean()).backward()
    assert not encoder.classifier.training
    assert all(p.grad is None for p in encoder.classifier.parameters())
    assert encoder.anchors.grad is not None
    for name, value in encoder.classifier.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_it_is_saved_with_the_model(tmp_path: Path) -> None:
    x, labels = examples()
    found = model(seed=1)
    found.save_pretrained(tmp_path / "model")
    empty = AnchoredEncoder(Block(), FEATURES, K, 2, hidden=(16,))
    again = GMVAE.from_pretrained(tmp_path / "model", encoder=empty)
    assert torch.equal(again.predict(x), labels)
    for have, want in zip(again.encode(x), found.encode(x), strict=True):
        assert torch.equal(have, want)
