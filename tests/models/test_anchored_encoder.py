# SPDX-License-Identifier: MIT
"""An encoder that begins at its example's component, and a GM-VAE that keeps it there."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.mixture import GaussianMixture
from torch import Tensor, nn

from pyvae.clustering import InvariantClustering
from pyvae.models import GMVAE, AnchoredEncoder, from_pretrained
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


def clustering(x: Tensor, classes: int = K) -> InvariantClustering:
    short: dict[str, Any] = {"n_steps": 30, "n_refining_steps": 15, "n_init": 1, "batch_size": 30}
    return InvariantClustering(classes, random_state=0, **short).fit(x)


@pytest.mark.parametrize("likelihood", ["bernoulli", "gaussian"])
@pytest.mark.parametrize("shape", [(FEATURES,), (4, 3), (1, 4, 3)])
def test_a_clustering_is_saved_with_the_model(
    shape: tuple[int, ...], likelihood: str, tmp_path: Path
) -> None:
    """In units of the data, which the networks do not see; and without a word when it is loaded."""
    x, _ = examples()
    x = x.reshape(-1, *shape)
    found = clustering(x)
    expected = torch.as_tensor(found.labels_)
    model = GMVAE(FEATURES, 2, num_components=K, hidden=(8,), likelihood=likelihood)
    model.fit_standardization(x)
    assert model.anchor(found) is model
    assert torch.equal(model.predict(x), expected)
    assert torch.equal(model.predict(x.flatten(1)), expected)
    model.save_pretrained(tmp_path)
    again = from_pretrained(tmp_path)
    assert isinstance(again, GMVAE)
    assert torch.equal(again.predict(x), expected)
    assert again.config == model.config
    assert again.own_modules == ()
    classifier: Any = again.classifier
    assert float(classifier.information) == pytest.approx(found.information_, abs=1e-6)
    given = GMVAE(FEATURES, 2, num_components=K, classifier=found)
    assert given.component_means.norm(dim=1).tolist() == [8.0, 8.0, 8.0]
    assert not given.predict(x).ne(expected).any() or likelihood == "gaussian"


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_units_with_an_offset_reach_the_classifier(dtype: torch.dtype) -> None:
    x, _ = examples()
    x = 1e9 + 1e-2 * x.double()
    found = clustering(x)
    model = GMVAE(FEATURES, 2, num_components=K, likelihood="gaussian", hidden=(8,)).to(dtype)
    model.fit_standardization(x).anchor(found)
    assert model.encoder.anchors.dtype == dtype
    assert model.predict(x).tolist() == np.asarray(found.labels_).tolist()
    assert model.elbo(x).total.isfinite().all()


def test_an_estimator_of_another_library(tmp_path: Path) -> None:
    x, _ = examples()
    found = GaussianMixture(K, covariance_type="spherical", random_state=0).fit(x.numpy())
    model = GMVAE(FEATURES, 2, num_components=K, hidden=(8,), classifier=found)
    expected = torch.as_tensor(found.predict(x.numpy()))
    assert torch.equal(model.predict(x), expected)
    assert model.own_modules == ("classifier",)
    model.save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="own as classifier; pass one of the same architecture"):
        GMVAE.from_pretrained(tmp_path)
    assert torch.equal(GMVAE.from_pretrained(tmp_path, classifier=found).predict(x), expected)


def test_the_clustering_stays_its_owners() -> None:
    x, _ = examples()
    found = clustering(x)
    before = found.predict_proba(x)
    GMVAE(FEATURES, 2, num_components=K, hidden=(8,)).anchor(found).half()
    assert torch.equal(found.predict_proba(x), before)


def test_it_is_compiled_with_the_model() -> None:
    x, _ = examples()
    model = GMVAE(FEATURES, 2, num_components=K, hidden=(8,), classifier=clustering(x))
    torch.manual_seed(0)
    expected = model.elbo(x).total
    torch.manual_seed(0)
    torch.testing.assert_close(torch.compile(model, backend="aot_eager")(x).total, expected)


def test_what_is_refused(tmp_path: Path) -> None:
    x, _ = examples()
    model = GMVAE(FEATURES, 2, num_components=K, hidden=(8,))
    state = {name: value.clone() for name, value in model.state_dict().items()}
    wrong: list[tuple[Any, type[Exception], str]] = [
        ("kmeans", TypeError, "classifier must be a module, a fitted estimator with predict_proba"),
        (GaussianMixture, TypeError, "pass an instance, not the class"),
        (clustering(x, 2), ValueError, "gives 2 clusters, and the model has num_components=3"),
        (
            GaussianMixture(2).fit(x),
            ValueError,
            "gives 2 clusters, and the model has num_components=3",
        ),
        (clustering(x[:, 1:]), ValueError, "of 11 numbers, and the model has input_dim=12"),
        (
            GaussianMixture(K).fit(x[:, 1:]),
            ValueError,
            "cannot be asked of 12 features: X has 12 features",
        ),
        (GaussianMixture(K), ValueError, "cannot be asked of 12 features: .*not fitted yet"),
        ({"network": 3}, ValueError, "the config of a Classifier"),
    ]
    for given, error, message in wrong:
        with pytest.raises(error, match=message):
            model.anchor(given)
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    own = GMVAE(FEATURES, 2, num_components=K, encoder=nn.Linear(FEATURES, 4))
    with pytest.raises(ValueError, match="the model has an encoder of its own"):
        own.anchor(clustering(x))
    with pytest.raises(ValueError, match=r"the classifier gives \(60, 2\) for 60 examples"):
        model.anchor(nn.Sequential(nn.Linear(FEATURES, 2), nn.Softmax(1))).predict(x)
    model.anchor(clustering(x)).save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    for name, value in (("n_clusters", 2**40), ("shape", [2**30]), ("network", None)):
        spoilt = json.loads(json.dumps(config))
        spoilt["config"]["classifier"][name] = value
        (tmp_path / "config.json").write_text(json.dumps(spoilt))
        with pytest.raises(ValueError, match="belongs to another save"):
            from_pretrained(tmp_path)
