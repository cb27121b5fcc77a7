# SPDX-License-Identifier: MIT
"""The clustering as a module: built from its config, and part of a model of any type."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from pyvae.clustering import Classifier, InvariantClustering
from pyvae.clustering.examples import Scaling
from pyvae.clustering.networks import ConvolutionalClassifier, built_in

SHAPES = [(3,), (1, 9, 7), (3, 32, 20)]


def classifier(shape: tuple[int, ...] = (3,), dtype: torch.dtype = torch.float32) -> Classifier:
    torch.manual_seed(0)
    centre = torch.randn(shape, dtype=dtype)
    members = torch.eye(2, dtype=torch.float32)[torch.tensor([0, 1, 1, 0, 1])]
    return Classifier(built_in(shape, 5), members, Scaling(centre, 1.0 + centre.abs()), shape)


def config(**changes: Any) -> dict[str, Any]:
    return json.loads(json.dumps(classifier((1, 9, 7)).config)) | changes


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_a_config_builds_what_the_state_fits(shape: tuple[int, ...], device: str) -> None:
    first = classifier(shape)
    with torch.device(device):
        second = Classifier.from_config(json.loads(json.dumps(first.config)))
    assert all(value.device.type == device for value in second.state_dict().values())
    assert second.config == first.config
    second.load_state_dict(first.state_dict(), assign=True)
    x = torch.randn(4, *shape)
    assert torch.equal(second(x), first(x))
    assert not second.training
    assert not any(each.requires_grad for each in second.parameters())


def test_untrained_it_gives_every_cluster_some_of_the_networks() -> None:
    members = Classifier.from_config(config(n_overclusters=7, n_clusters=3)).members
    torch.testing.assert_close(members.sum(1), torch.ones(7))
    assert members.sum(0).tolist() == [3.0, 2.0, 2.0]


def test_widths_are_in_the_config() -> None:
    network = ConvolutionalClassifier((1, 9, 7), 5, width=4, hidden=12)
    members = torch.eye(5)
    unit = Scaling(torch.zeros(()), torch.ones(()))
    found = Classifier(network, members, unit, (1, 9, 7)).config
    assert found["network"] == {"name": "convolutional", "width": 4, "hidden": 12}
    again = Classifier.from_config(found)
    again.load_state_dict(Classifier(network, members, unit, (1, 9, 7)).state_dict())


def test_networks_of_ones_own() -> None:
    network = nn.Linear(3, 4)
    unit = Scaling(torch.zeros(()), torch.ones(()))
    first = Classifier(network, torch.eye(4), unit, (3,))
    assert first.config["network"] is None
    # A built-in one that is used for images of another size cannot be built from their size.
    other = Classifier(built_in((1, 32, 32), 4), torch.eye(4), unit, (1, 64, 64))
    assert other.config["network"] is None
    with pytest.raises(ValueError, match="of a network of your own; pass one"):
        Classifier.from_config(first.config)
    second = Classifier.from_config(first.config, network=nn.Linear(3, 4))
    second.load_state_dict(first.state_dict())
    with pytest.raises(ValueError, match="built-in network; leave out network="):
        Classifier.from_config(config(), network=network)


@pytest.mark.parametrize(
    ("found", "match"),
    [
        (None, "a Classifier: its content is None; expected names"),
        ({}, "lacks network, shape, n_overclusters, n_clusters"),
        (config(code="print()"), "code has no place there"),
        (config(shape=[]), r"shape is a list of 0; expected \[C, H, W\]"),
        (config(shape=[28, 28]), r"shape is a list of 2; expected \[C, H, W\]"),
        (config(shape="28"), "shape is '28'; expected a list"),
        (config(shape=[1, 0, 7]), "shape.1 is 0; expected an integer from 1"),
        (config(shape=[1, True, 7]), "shape.1 is True; expected an integer"),
        (config(shape=[1, 2**20, 7]), "shape.1 is 1048576; expected an integer from 1 to 16384"),
        (config(shape=[9]), "network.* has no place there"),
        (config(n_clusters=6), "n_clusters is 6; expected an integer from 1 to 5"),
        (config(n_clusters=1.0), "n_clusters is 1.0; expected an integer"),
        (config(n_overclusters=10**9), "n_overclusters is 1000000000; expected an integer"),
        (config(network="os.system"), "network is 'os.system'; expected names with values"),
        (
            config(network={"name": "perceptron", "width": 16, "hidden": 128}),
            "network.name is 'perceptron'; expected one of convolutional",
        ),
        (
            config(network={"name": "convolutional", "width": 10**6, "hidden": 128}),
            "network.width is 1000000; expected an integer from 1 to 4096",
        ),
        (config(network={"name": "convolutional", "width": 16}), "network is damaged, it lacks"),
        (config(shape=[16384, 16384, 16384]), "asks for .* numbers; expected 1073741824 at most"),
        (
            config(shape=[2**30], network={"name": "perceptron", "hidden": 4096}),
            "asks for .* numbers",
        ),
        (config(n_overclusters=2**20, n_clusters=2**20), "asks for .* numbers"),
    ],
)
def test_configs_it_refuses(found: Any, match: str) -> None:
    with pytest.raises(ValueError, match=match):
        Classifier.from_config(found)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_model_in_float64_holds_it(shape: tuple[int, ...]) -> None:
    first = classifier(shape)
    x = torch.randn(6, *shape)
    expected = first(x)
    whole = nn.Sequential(first).double().train()
    found = whole(x.double())
    assert found.dtype == torch.float64
    torch.testing.assert_close(found, expected.double(), rtol=1e-4, atol=1e-6)
    assert not first.training


def test_scales_keep_their_digits_in_a_model_of_any_type() -> None:
    """With an offset of 1e9 float32 has no digit of the data, and no model of float32 minds."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(90, 3, generator=generator, dtype=torch.float64)
    x += 1e9 + torch.tensor([0.0, 6.0, 12.0]).repeat_interleave(30)[:, None]
    found = InvariantClustering(3, n_steps=20, n_refining_steps=10, n_init=1, random_state=0).fit(x)
    expected = found.classifier_(x)
    for dtype in (torch.float32, torch.float16, torch.float64):
        whole = nn.Sequential(found.classifier_).to(dtype)
        assert whole[0].centre.dtype == torch.float64
        torch.testing.assert_close(whole(x).float(), expected.float(), rtol=2e-2, atol=2e-2)
    assert torch.equal(whole.float()(x).argmax(1), torch.as_tensor(found.labels_))


def test_bytes_are_taken_as_numbers() -> None:
    first = classifier((1, 9, 7))
    x = torch.from_numpy(np.random.RandomState(0).randint(0, 256, (3, 63), np.uint8))
    assert torch.equal(first(x), first(x.float()))
