# SPDX-License-Identifier: MIT
"""Training in any units: the trainer takes location and scale from what it trains on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import normalized_mutual_info_score
from torch import Tensor
from torch.utils.data import ConcatDataset, DataLoader, Subset, TensorDataset

from pyvae.data import Data
from pyvae.models import GMVAE, VAE, VampPrior
from pyvae.training import Trainer, TrainingDivergedError, evaluate, load_weights
from pyvae.training.checkpoint import read_checkpoint, write_checkpoint
from tests.training.helpers import small_model, small_trainer, without_time

QUICK = {"epochs": 2, "pretrain_epochs": 1}
UNITS = {"large": (0.0, 1e6), "small": (0.0, 1e-6), "far": (1.7e9, 1.0)}


def table(n: int = 96) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    centres = 3.0 * torch.eye(3, dtype=torch.float64).repeat_interleave(2, dim=1)
    x = centres[torch.arange(n) % 3] + torch.randn(n, 6, generator=generator, dtype=torch.float64)
    return x * torch.tensor([1.0, 500.0, 0.1, 3.0, 1.0, 20.0])


def gaussian(**changes: Any) -> GMVAE:
    return small_model(likelihood="gaussian", **changes)


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("objective", ["elbo", "iwae"])
def test_a_run_in_other_units_is_the_same_run(unit: str, objective: str) -> None:
    """Its bounds are less by the logarithm of the unit, and its clusters the same."""
    (offset, scale), found = UNITS[unit], []
    for x in (table(), table() * scale + offset):
        model = gaussian(num_samples=2)
        trainer = small_trainer(objective=objective, **QUICK | {"warmup_epochs": 0})
        history = trainer.fit(model, x)
        figures = evaluate(model, x, num_samples=4)
        bounds = [row["bound"] for row in history] + [figures["bound"], figures["log_likelihood"]]
        found.append((torch.tensor(bounds), model.predict(x)))
    shift = 6 * np.log(scale)
    torch.testing.assert_close(found[1][0], found[0][0] - shift, rtol=1e-4, atol=1e-3)
    # Their numbers are those of the start, which the last bits of the data may exchange.
    assert normalized_mutual_info_score(found[1][1], found[0][1]) == pytest.approx(1.0)


@pytest.mark.parametrize("precision", ["bf16-mixed", "64-true"])
def test_an_offset_costs_no_digits_in_any_precision(precision: str) -> None:
    bounds = []
    for offset in (0.0, 1.7e9):
        trainer = small_trainer(epochs=1, pretrain_epochs=0, precision=precision)
        bounds.append(trainer.fit(gaussian(), 1e-2 * table() + offset)[0]["bound"])
    assert bounds[1] == pytest.approx(bounds[0], abs=0.05)


def test_a_vamp_prior_in_other_units_is_trained_alike() -> None:
    found = []
    for scale in (1.0, 1e6):
        x = scale * table()
        torch.manual_seed(0)
        model = VAE(6, 2, hidden=(8,), likelihood="gaussian", prior=VampPrior(x[:5]))
        small_trainer(**QUICK).fit(model, x)
        found.append([part.detach() for part in model.prior])
    torch.testing.assert_close(found[1], found[0], rtol=1e-4, atol=1e-4)


def test_only_the_training_data_are_measured_and_a_known_model_keeps_its_units() -> None:
    x = table()
    model = gaussian()
    small_trainer(**QUICK).fit(model, Subset(TensorDataset(x), range(40)), 100 * x[40:])
    assert model.standardization is not None
    torch.testing.assert_close(model.standardization.location, x[:40].mean(0))
    small_trainer(**QUICK).fit(model, 2 * x)
    torch.testing.assert_close(model.standardization.location, x[:40].mean(0))


def test_a_loop_of_ones_own() -> None:
    x = 1e6 * table()
    loader = DataLoader(TensorDataset(x.float(), torch.arange(len(x))), batch_size=32)
    model = gaussian().fit_standardization(loader)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    losses = []
    for _ in range(8):
        for batch, _ in loader:
            optimizer.zero_grad()
            loss = -model.elbo(batch).total.mean()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    assert losses[-1] < losses[0] - 1.0


def test_pixels_keep_one_range() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (30, 4, 4))
    pixels[:, 0], pixels[0, 1, :2] = 0, (0, 255)
    found = []
    for stored in (pixels.astype(np.float32), pixels.astype(np.float32) / 255):
        model = GMVAE(16, 2, num_components=2, hidden=(4,), likelihood="gaussian")
        small_trainer(**QUICK).fit(model, Subset(Data(stored, None, (4, 4)), range(30)))
        assert model.standardization is not None
        found.append(model.standardization.scale)
    assert found[0].tolist() == [255.0] * 16
    assert found[1].tolist() == [1.0] * 16


def test_the_same_pixels_have_the_same_units_in_any_container() -> None:
    pixels = np.random.default_rng(0).random((40, 4, 4), dtype=np.float32)
    pixels[:, 0] = 0
    data = Data(pixels, torch.zeros(40, dtype=torch.long), (4, 4))
    halves = ConcatDataset([Subset(data, range(20)), Subset(data, range(20, 40))])
    span = pixels.max().item()

    def fresh() -> GMVAE:
        return GMVAE(16, 2, num_components=2, hidden=(4,), likelihood="gaussian")

    found = [fresh().fit_standardization(data.x, image=True)]
    for source in (data, halves, TensorDataset(torch.from_numpy(pixels)[:, None])):
        found += [fresh().fit_standardization(source), fresh()]
        small_trainer(epochs=1, pretrain_epochs=0).fit(found[-1], source)
        found.append(fresh().fit_standardization(DataLoader(source, batch_size=16)))
    for model in found:
        assert model.standardization is not None
        assert model.standardization.scale.tolist() == [span] * 16
    labelled = TensorDataset(data.x, torch.zeros(40))
    one, other = (fresh().fit_standardization(part) for part in (labelled, data.x))
    assert one.standardization is not None
    assert other.standardization is not None
    assert torch.equal(one.standardization.scale, other.standardization.scale)
    with pytest.raises(TypeError, match=r"data are a int; expected a tensor"):
        fresh().fit_standardization(3)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"items of shape \(16,\), expected batches.*DataLoader"):
        fresh().fit_standardization(list(data.x))


def test_a_resumed_run_has_its_units_to_the_bit(tmp_path: Path) -> None:
    x, whole, parts = table(), gaussian(), gaussian()
    rows = small_trainer(epochs=3, pretrain_epochs=1, schedule="constant").fit(whole, x)
    settings = {"pretrain_epochs": 1, "schedule": "constant", "output_dir": tmp_path}
    small_trainer(epochs=1, **settings).fit(parts, x)
    resumed = gaussian()
    again = small_trainer(epochs=3, **settings).fit(resumed, x, resume=True)
    assert without_time(again) == without_time(rows)
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name


def older(path: Path) -> None:
    """Make a checkpoint what it was before models standardised."""
    state = read_checkpoint(path)
    del state["run"]["model"]["standardize"]
    write_checkpoint(path, state)


def test_an_older_run_goes_on_unstandardised(tmp_path: Path) -> None:
    x = 1e-3 * table()
    settings = {"pretrain_epochs": 1, "schedule": "constant", "output_dir": tmp_path}
    small_trainer(epochs=1, **settings).fit(gaussian(standardize=False), x)
    for name in ("last.ckpt", "best.ckpt"):
        older(tmp_path / name)
    assert not load_weights(gaussian(), tmp_path / "last.ckpt").standardize
    refused = gaussian()
    with pytest.raises(ValueError, match="belongs to another data"):
        small_trainer(epochs=2, **settings).fit(refused, 2 * x, resume=True)
    assert refused.standardize
    model = gaussian()
    history = small_trainer(epochs=2, **settings).fit(model, x, resume=True)
    assert len(history) == 3
    assert not model.standardize


def test_another_runs_units_are_refused(tmp_path: Path) -> None:
    x = 1e-3 * table()
    settings = {**QUICK, "output_dir": tmp_path}
    small_trainer(**settings).fit(gaussian(standardize=False), x)
    with pytest.raises(ValueError, match="standardize was False, is True"):
        small_trainer(**settings).fit(gaussian(), x, resume=True)


def test_a_run_that_diverges_on_large_data_says_so() -> None:
    model = gaussian(standardize=False)
    with pytest.raises(TrainingDivergedError, match=r"reach 2.86e\+21 and .*standardize=True"):
        Trainer(epochs=1, pretrain_epochs=1, lr=10.0, progress="silent").fit(model, 1e18 * table())


@pytest.mark.parametrize("kind", ["gmvae", "vae", "vamp"])
def test_a_model_in_the_units_of_other_data_says_so(kind: str) -> None:
    x = table()
    prior = VampPrior(x[:4]) if kind == "vamp" else None
    options: dict[str, Any] = {"hidden": (8,), "likelihood": "gaussian"}
    model = gaussian() if kind == "gmvae" else VAE(6, 2, prior=prior, **options)
    model.fit_standardization(x)
    with pytest.raises(TrainingDivergedError, match=r"reach .* model.fit_standardization\(x\)"):
        small_trainer(epochs=1, pretrain_epochs=0).fit(model, 1e25 * x)


@pytest.mark.parametrize("make", [gaussian, VAE])
def test_a_first_epoch_that_fails_leaves_no_units(make: Any) -> None:
    x = 1e9 + table()
    prior = {} if make is gaussian else {"prior": VampPrior(x[:4])}
    options = {"input_dim": 6, "latent_dim": 2, "likelihood": "gaussian", **prior}
    model = gaussian() if make is gaussian else make(**options, hidden=(8,))
    with pytest.raises(TrainingDivergedError):
        small_trainer(epochs=1, pretrain_epochs=0, lr=1e30).fit(model, x)
    assert model.standardization is not None
    assert not model.standardization.is_fitted
    history = small_trainer(epochs=1, pretrain_epochs=0).fit(model, x)
    assert np.isfinite(history[0]["bound"])


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_validation_data_without_numbers_are_refused(bad: float) -> None:
    held_out = table(10)
    held_out[7, 2] = bad
    model = gaussian()
    with pytest.raises(ValueError, match=r"validation data hold NaN or inf.* row 7, feature 2"):
        small_trainer(**QUICK, early_stopping=1).fit(model, table(), held_out)
