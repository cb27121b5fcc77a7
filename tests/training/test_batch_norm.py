# SPDX-License-Identifier: MIT
"""Networks with BatchNorm, which takes no batch of one: in training, resumed, and judged."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from pyvae.models import GMVAE, VAE, VampPrior
from pyvae.training import Trainer, evaluate
from pyvae.training.batches import Batches
from tests.training.helpers import blobs, small_trainer, without_time


class Normalized(nn.Module):
    """Batch statistics by torch's function, which no module tells of."""

    def forward(self, x: Tensor) -> Tensor:
        return functional.batch_norm(x, None, None, training=True) if self.training else x


def network(width: int, out: int, normalization: nn.Module) -> nn.Sequential:
    return nn.Sequential(nn.Linear(width, 8), normalization, nn.ReLU(), nn.Linear(8, out))


def model_of(kind: str, **options: Any) -> Any:
    torch.manual_seed(0)
    if kind == "decoder":
        return VAE(6, 2, decoder=network(2, 6, nn.BatchNorm1d(8)))
    norm = Normalized() if kind == "function" else nn.BatchNorm1d(8)
    encoder = network(6, 4, norm)
    if kind == "gmvae":
        decoder = network(2, 6, nn.BatchNorm1d(8))
        return GMVAE(6, 2, num_components=3, encoder=encoder, decoder=decoder)
    return VAE(6, 2, encoder=encoder, **options)


@pytest.mark.parametrize("kind", ["vae", "gmvae", "decoder", "function"])
@pytest.mark.parametrize("count", [33, 65])
def test_one_example_left_over(kind: str, count: int) -> None:
    model = model_of(kind)
    history = small_trainer(epochs=1, pretrain_epochs=1).fit(model, blobs(count), blobs(1))
    assert all(row["bound"] == row["bound"] for row in history.rows)


@pytest.mark.parametrize("objective", ["iwae", "wake-sleep", "reweighted-wake-sleep"])
def test_every_objective(objective: str) -> None:
    model = model_of("vae", num_samples=2)
    small_trainer(epochs=1, warmup_epochs=0, objective=objective).fit(model, blobs(33))


def test_resumed_it_is_the_same(tmp_path: Path) -> None:
    whole = model_of("gmvae")
    rows = small_trainer(epochs=3).fit(whole, blobs(65)).rows

    class Stopped(Exception):
        pass

    part, folder = model_of("gmvae"), tmp_path / "run"
    trainer, parts = small_trainer(epochs=3, output_dir=folder), []

    def stop(*_: Any) -> None:
        parts.append(1)
        if len(parts) == 11:  # in the fourth epoch: each has two batches and a look at the codes
            raise Stopped

    handle = part.encoder.register_forward_hook(stop)
    with pytest.raises(Stopped):
        trainer.fit(part, blobs(65))
    handle.remove()
    again = model_of("gmvae")
    resumed = small_trainer(epochs=3, output_dir=folder).fit(again, blobs(65), resume="auto")
    assert without_time(resumed.rows) == without_time(rows)
    for name, value in whole.state_dict().items():
        assert torch.equal(value, again.state_dict()[name]), name


@pytest.mark.parametrize(
    ("count", "batch_size", "world_size", "expected"),
    [
        (65, 32, 1, [32, 33]),
        (66, 32, 1, [32, 32, 2]),
        (3, 2, 1, [3]),
        (3, 1, 1, [1, 1, 1]),
        (1, 32, 1, [1]),
        (67, 32, 2, [32, 35]),
        (68, 32, 2, [32, 32, 4]),
        (9, 2, 2, [2, 2, 2, 3]),
    ],
)
def test_batches(count: int, batch_size: int, world_size: int, expected: list[int]) -> None:
    """Every example is in one batch, and every rank makes as many steps."""
    batches, x = [], torch.arange(count)[:, None].float()
    for rank in range(world_size):
        loader = Batches(x).shuffled(batch_size, 5, rank, world_size)
        batches.append([batch.flatten().tolist() for batch in loader])
    sizes = [sum(len(part) for part in parts) for parts in zip(*batches, strict=True)]
    assert sizes == expected
    seen = [example for rank in batches for part in rank for example in part]
    assert sorted(seen) == list(range(count))


def test_fewer_examples_than_processes() -> None:
    with pytest.raises(ValueError, match=r"1 of the 1 examples .*2 processes"):
        Batches(torch.zeros(1, 2)).shuffled(32, 0, 0, 2)


@pytest.mark.parametrize(
    ("kind", "count", "batch_size", "named"),
    [
        ("vae", 1, 32, r"epoch 1, batch 1 of 1, of one example: .*BatchNorm \(encoder.1\)"),
        ("gmvae", 5, 1, r"batch 1 of 5, of one example: .*\(encoder.1, decoder.1\).*batch_size"),
        ("function", 1, 32, "batch normalization"),
        ("vamp", 8, 4, r"batch 1 of 2, of 4 examples.*pseudo-inputs"),
    ],
)
def test_what_cannot_be_trained(kind: str, count: int, batch_size: int, named: str) -> None:
    prior = VampPrior(blobs(1)) if kind == "vamp" else None
    model = model_of(kind, prior=prior) if prior is not None else model_of(kind)
    with pytest.raises(ValueError, match=named):
        small_trainer(batch_size=batch_size).fit(model, blobs(count))


def test_batch_size_one_without_batch_statistics() -> None:
    history = Trainer(epochs=1, batch_size=1, progress="silent").fit(VAE(6, 2), blobs(3))
    assert len(history.rows) == 1


def test_evaluation_takes_one_example_and_leaves_the_modes() -> None:
    model = model_of("vae").train()
    model.encoder[1].eval()
    model.encoder[1].running_mean.fill_(0.25)
    modes = [module.training for module in model.modules()]
    first = evaluate(model, blobs(1), num_samples=2)
    assert [module.training for module in model.modules()] == modes
    assert (model.encoder[1].running_mean == 0.25).all()
    assert evaluate(model.eval(), blobs(1), num_samples=2) == first
    with pytest.raises(ValueError, match="features"):
        evaluate(model.train(), torch.zeros(3, 7))
    assert model.training
