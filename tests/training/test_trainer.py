# SPDX-License-Identifier: MIT
"""The loop: what it maximises, logs, stops at and refuses."""

from __future__ import annotations

import csv
import json
import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import IterableDataset, TensorDataset

from pyvae.data import Data
from pyvae.models import GMVAE, VAE
from pyvae.training import History, Trainer, TrainingDivergedError
from pyvae.training.metrics import clustering_accuracy
from pyvae.training.monitor import mean_bound
from pyvae.training.start import start_mixture
from tests.training.helpers import blobs, small_model, small_trainer, without_time

PARTS = ("reconstruction", "log_prob_w", "neg_kl_z", "entropy_w")


def test_the_bound_rises_and_is_the_sum_of_its_parts():
    history = small_trainer(epochs=30, warmup_epochs=5, lr=1e-2).fit(small_model(), blobs())
    # The most that a model can reach which ignores its latents: every pixel at its mean.
    mean = blobs().mean(0)
    without_latents = -torch.distributions.Bernoulli(mean).entropy().sum().item()
    assert history[-1]["bound"] > max(without_latents, history[0]["bound"])
    for row in history:
        assert row["bound"] == pytest.approx(sum(row[part] for part in PARTS))
        rest = row["log_prob_w"] + row["neg_kl_z"] + row["entropy_w"]
        assert row["objective"] == pytest.approx(row["reconstruction"] + row["beta"] * rest)


def test_groups_that_are_apart_are_found_without_labels():
    x = blobs(300)
    model = small_model()
    history = small_trainer(epochs=20, pretrain_epochs=30, lr=1e-2).fit(model, x)
    assert clustering_accuracy(torch.arange(300) % 3, model.predict(x)) > 0.97
    assert history[-1]["effective_components"] > 2.9
    assert history[-1]["smallest_share"] > 0.3


def test_phases_and_warmup():
    trainer = small_trainer(epochs=5, pretrain_epochs=2, warmup_epochs=2, pretrain_beta=0.2)
    history = trainer.fit(small_model(beta=3.0), blobs())
    assert history.column("epoch") == [1, 2, 3, 4, 5, 6, 7]
    assert history.column("phase") == ["pretrain"] * 2 + ["joint"] * 5
    assert history.column("beta") == pytest.approx([0.2, 0.2, 1.0, 2.0, 3.0, 3.0, 3.0])
    assert history.column("neg_kl_z")[:2] == [0.0, 0.0]


def test_pretraining_logs_its_own_bound():
    x = blobs()
    model = small_model()
    history = small_trainer(epochs=0, pretrain_epochs=1).fit(model, x, x)
    row = history[0]
    figures = mean_bound(model, [x], torch.device("cpu"), pretrain=True)
    assert row["val_bound"] == pytest.approx(figures["bound"])
    assert row["val_neg_kl_z"] == 0.0
    assert row["effective_components"] is None
    assert row["posterior_entropy"] is None


def test_pretraining_leaves_the_mixture_and_the_start_moves_it():
    model = small_model()
    before = model.component_means.clone()
    small_trainer(epochs=0).fit(model, blobs())
    assert torch.equal(model.component_means, before)
    small_trainer(epochs=1, lr=1e-9, pretrain_epochs=0).fit(model, blobs())
    encoded = model.encode(blobs())[0]
    assert not torch.equal(model.component_means, before)
    assert (model.component_means.min(0).values >= encoded.min(0).values - 1e-3).all()


@pytest.mark.parametrize("covariance", ["isotropic", "diagonal"])
@pytest.mark.parametrize("learn_weights", [True, False])
@torch.no_grad()
def test_the_start_adds_the_spread_of_the_codes(covariance, learn_weights):
    model = small_model(covariance=covariance, learn_weights=learn_weights)
    start_mixture(model, [blobs()], torch.device("cpu"), method="em", seed=0)
    spread = model.encode(blobs())[1].exp().mean(0)
    least = spread.mean() if covariance == "isotropic" else spread
    assert (model.component_logvars.exp() > 0.999 * least).all()
    assert model.log_weights.exp().sum().item() == pytest.approx(1)
    assert learn_weights != torch.equal(model.weight_logits, torch.zeros(3))


@pytest.mark.parametrize("schedule", ["constant", "linear", "cosine"])
def test_schedules(schedule):
    history = small_trainer(schedule=schedule, epochs=4, lr=0.01).fit(small_model(), blobs())
    progress = [0, 0.25, 0.5, 0.75]
    expected = {
        "constant": [1.0] * 4,
        "linear": [1 - p for p in progress],
        "cosine": [0.5 + 0.5 * math.cos(math.pi * p) for p in progress],
    }
    assert history.column("lr") == pytest.approx(
        [0.01, 0.01, *(0.01 * f for f in expected[schedule])]
    )


def test_pretraining_may_have_a_learning_rate_of_its_own():
    trainer = small_trainer(pretrain_lr=0.3, lr=0.01, schedule="constant", epochs=1)
    assert trainer.fit(small_model(), blobs()).column("lr") == [0.3, 0.3, 0.01]
    with pytest.raises(ValueError, match="pretrain_lr is 0; expected a number > 0, or None"):
        small_trainer(pretrain_lr=0)


@pytest.mark.parametrize(
    "changes",
    [
        {"posterior": "amortized"},
        {"closed_form": True, "covariance": "diagonal"},
        {"likelihood": "gaussian", "num_samples": 3},
        {"learn_weights": True, "num_components": 1},
    ],
)
def test_every_kind_of_model(changes):
    history = small_trainer().fit(small_model(**changes), blobs())
    assert all(math.isfinite(row["bound"]) for row in history)


def test_vae_has_no_pretraining_and_no_components():
    torch.manual_seed(0)
    history = small_trainer().fit(VAE(6, 2, hidden=(8,), beta=2.0), blobs())
    assert history.column("phase") == ["joint"] * 4
    assert history.column("effective_components") == [None] * 4
    assert history[-1]["beta"] == 2.0
    assert 0 <= history[-1]["active_units"] <= 2


@pytest.mark.parametrize("optimizer", ["adam", "adamw"])
def test_options_of_the_step(optimizer):
    trainer = small_trainer(optimizer=optimizer, weight_decay=0.1, grad_clip=0.5, batch_size=7)
    assert len(trainer.fit(small_model(), blobs())) == 6


def weights_of(model: GMVAE) -> torch.Tensor:
    return nn.utils.parameters_to_vector(model.encoder.parameters()).detach().clone()


def test_a_clipped_gradient_moves_less():
    moved = []
    for clip in (None, 1e-9):
        model = small_model()
        before = weights_of(model)
        trainer = small_trainer(
            epochs=0, pretrain_epochs=1, batch_size=96, optimizer="adam", grad_clip=clip
        )
        trainer.fit(model, blobs())
        moved.append(float((weights_of(model) - before).abs().max()))
    assert moved[1] < 0.5 * moved[0]


def test_compiled_training_agrees():
    histories = []
    for compiled in (False, True):
        trainer = small_trainer(epochs=2, pretrain_epochs=1, compile=compiled, batch_size=48)
        histories.append(trainer.fit(small_model(num_samples=200), blobs()))
    # The compiler draws other noise from the same seed, which 200 samples average out.
    for plain, fast in zip(*histories, strict=True):
        assert fast["bound"] == pytest.approx(plain["bound"], rel=0.05)


def test_low_precision():
    history = small_trainer(precision="bf16-mixed").fit(small_model(), blobs())
    assert math.isfinite(history[-1]["bound"])


class Pairs(torch.utils.data.Dataset):
    def __init__(self, x):
        self.x = x

    def __len__(self):
        return len(self.x)

    def __getitem__(self, index):
        return {"tuple": (self.x[index], index)}["tuple"]


@pytest.mark.parametrize("workers", [0, 1])
def test_data_of_every_kind_train_alike(workers):
    x = blobs()
    sources = [Data(x.numpy()), x, TensorDataset(x), TensorDataset(x, torch.arange(96)), Pairs(x)]
    models = []
    for source in sources if workers == 0 else sources[-1:]:
        models.append(small_model())
        small_trainer(epochs=1, num_workers=workers).fit(models[-1], source)
    reference = small_model()
    small_trainer(epochs=1).fit(reference, x)
    for model in models:
        for a, b in zip(reference.parameters(), model.parameters(), strict=True):
            assert torch.equal(a, b)


def test_modules_of_the_users_own_see_the_shape_of_the_data():
    encoder = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.Flatten(), nn.Linear(12, 4))
    torch.manual_seed(0)
    model = GMVAE(6, 2, num_components=3, hidden=(8,), encoder=encoder)
    small_trainer().fit(model, blobs().reshape(-1, 1, 2, 3))


def test_memory_mapped_data(tmp_path):
    np.save(tmp_path / "a.npy", blobs().numpy())
    from pyvae.data import load

    assert len(small_trainer().fit(small_model(), load(tmp_path / "a.npy"))) == 6


def test_the_callers_random_numbers_go_on():
    torch.manual_seed(3)
    expected = torch.rand(3)
    model = small_model()
    torch.manual_seed(3)
    small_trainer().fit(model, blobs())
    assert torch.equal(torch.rand(3), expected)


def test_validation_and_the_best_epoch(tmp_path):
    model = small_model()
    held_out = blobs(60, seed=5)
    trainer = small_trainer(
        epochs=60, early_stopping=3, lr=3e-2, schedule="constant", output_dir=tmp_path
    )
    history = trainer.fit(model, blobs(24), held_out)
    assert len(history) < 62  # it stopped
    bounds = [row["val_bound"] for row in history if row["phase"] == "joint"]
    assert bounds.index(max(bounds)) == len(bounds) - 4
    # The model has the weights of the best epoch, which the logged bound shows.
    assert mean_bound(model, [held_out], torch.device("cpu"))["bound"] == pytest.approx(max(bounds))


def test_without_joint_epochs_nothing_is_best(tmp_path):
    small_trainer(epochs=0, output_dir=tmp_path).fit(small_model(), blobs())
    assert not (tmp_path / "best.ckpt").exists()
    assert len(History.load(tmp_path)) == 2
    assert len(small_trainer(epochs=0, pretrain_epochs=0).fit(small_model(), blobs())) == 0


def test_history_files(tmp_path):
    history = small_trainer(output_dir=tmp_path).fit(small_model(), blobs())
    rows = json.loads((tmp_path / "history.json").read_text())
    assert rows == history.rows
    assert History.load(tmp_path).rows == history.rows
    with (tmp_path / "history.csv").open() as file:
        table = list(csv.DictReader(file))
    assert [float(row["bound"]) for row in table] == history.column("bound")
    (tmp_path / "history.json").write_text("[{")
    with pytest.raises(ValueError, match=r"history.json is damaged"):
        History.load(tmp_path)


class Sick(nn.Module):
    """A decoder, or encoder, that answers well so many times and then with NaN or infinities."""

    def __init__(self, inner: nn.Module, good: int, value: float) -> None:
        super().__init__()
        self.inner, self.left, self.value = inner, good, value

    def forward(self, x):
        self.left -= self.training
        return self.inner(x) if self.left >= 0 else self.inner(x) * self.value


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_sick_decoder_stops_the_run(tmp_path, value):
    model = small_model(decoder=Sick(nn.Linear(2, 6), 10, value))
    with pytest.raises(
        TrainingDivergedError,
        match=r"epoch 4, batch 2 of 3: reconstruction is (nan|-inf) \(log_prob_w .*last good "
        r"checkpoint is .*last.ckpt",
    ):
        small_trainer(output_dir=tmp_path).fit(model, blobs())
    assert all(torch.isfinite(p).all() for p in model.parameters())
    assert History.load(tmp_path).column("epoch") == [1, 2, 3]
    well = small_model(decoder=Sick(nn.Linear(2, 6), 10**9, value))
    assert len(small_trainer(output_dir=tmp_path).fit(well, blobs(), resume=True)) == 6


def test_a_sick_mixture_names_its_part():
    model = small_model()
    with torch.no_grad():
        model.component_logvars.fill_(math.nan)
    trainer = small_trainer(pretrain_epochs=0, initialization="none")
    with pytest.raises(
        TrainingDivergedError, match=r"epoch 1, batch 1 of 3: log_prob_w is nan, neg_kl_z is nan"
    ):
        trainer.fit(model, blobs())


def test_a_gradient_that_is_not_finite_never_reaches_a_checkpoint(tmp_path):
    model = small_model()
    model.component_means.register_hook(lambda grad: grad * math.nan)
    trainer = small_trainer(output_dir=tmp_path, batch_size=96)
    with pytest.raises(TrainingDivergedError, match=r"epoch 3, last batch: .*component_means NaN"):
        trainer.fit(model, blobs())
    assert History.load(tmp_path).column("epoch") == [1, 2]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"batch_size": 0}, "batch_size is 0; expected at least 1"),
        ({"epochs": -1}, "epochs is -1; expected at least 0"),
        ({"lr": 0.0}, "lr is 0.0; expected a number > 0"),
        ({"lr": math.nan}, "lr is nan"),
        ({"optimizer": "sgd"}, "optimizer is 'sgd'; expected one of adam, adamw"),
        ({"schedule": "step"}, "schedule is 'step'; expected one of"),
        ({"progress": "loud"}, "progress is 'loud'; expected one of"),
        ({"initialization": "magic"}, "initialization is 'magic'"),
        ({"early_stopping": 0}, "early_stopping is 0"),
        ({"grad_clip": 0.0}, "grad_clip is 0.0"),
        ({"weight_decay": -1.0}, "weight_decay is -1.0"),
    ],
)
def test_settings_out_of_range(changes, message):
    with pytest.raises(ValueError, match=message):
        Trainer(**changes)


def test_settings_of_a_wrong_type():
    with pytest.raises(TypeError, match=r"epochs is 1\.5; expected an integer"):
        Trainer(epochs=1.5)  # type: ignore[arg-type]


class Endless(IterableDataset):
    def __iter__(self):
        return iter(())


@pytest.mark.parametrize(
    ("data", "error", "message"),
    [
        (torch.zeros(0, 6), ValueError, "hold no examples"),
        (torch.zeros(6), ValueError, r"shape \(6,\); expected \(N, ...\)"),
        ([[1.0]], TypeError, "data are a list; expected pyvae.data.Data"),
        (Endless(), TypeError, "data are a Endless; expected"),
        (torch.zeros(9, 5), ValueError, "expected .* with 6 features"),
        (blobs() + 1, ValueError, r"likelihood='bernoulli' takes \[0, 1\]"),
        (torch.zeros(9, 6, dtype=torch.uint8), TypeError, "must be a floating tensor"),
    ],
)
def test_data_that_do_not_fit(data, error, message):
    with pytest.raises(error, match=message):
        small_trainer().fit(small_model(), data)


def test_more_components_than_examples():
    with pytest.raises(ValueError, match="num_components=3: more than the 2 examples to train on"):
        small_trainer().fit(small_model(), blobs()[:2])


def test_early_stopping_needs_validation():
    with pytest.raises(ValueError, match="pass validation data"):
        small_trainer(early_stopping=2).fit(small_model(), blobs())


def test_a_seed_repeats_a_run_and_another_does_not():
    histories = [small_trainer(seed=s).fit(small_model(), blobs()) for s in (1, 1, 2)]
    assert without_time(histories[0]) == without_time(histories[1])
    assert histories[0][0]["bound"] != histories[2][0]["bound"]
