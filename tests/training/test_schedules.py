# SPDX-License-Identifier: MIT
"""A schedule of the user's own: a function from the share that is done to a factor."""

from __future__ import annotations

import functools
import math

import pytest
import torch

from pyvae.training import Trainer
from tests.training.helpers import blobs, small_model, small_trainer


def cosine(progress: float) -> float:
    return 0.5 + 0.5 * math.cos(math.pi * progress)


def halving(progress: float, times: int = 2) -> float:
    return 0.5 ** (times * progress)


def test_a_function_is_as_good_as_a_word():
    """The same factors at every step are the same run, bit for bit."""
    models = [small_model(), small_model()]
    for schedule, model in zip(("cosine", cosine), models, strict=True):
        small_trainer(schedule=schedule).fit(model, blobs())
    assert all(map(torch.equal, models[0].state_dict().values(), models[1].state_dict().values()))


def test_a_resumed_run_goes_on_by_its_function_and_by_no_other(tmp_path, monkeypatch):
    whole, resumed = small_model(), small_model(seed=3)
    small_trainer(schedule=halving).fit(whole, blobs())
    with monkeypatch.context() as patch:
        patch.setattr("pyvae.training.run.Run._stops_early", lambda run: len(run.history) >= 4)
        small_trainer(schedule=halving, output_dir=tmp_path).fit(small_model(), blobs())
    for other in (cosine, "linear", functools.partial(halving, times=3)):
        with pytest.raises(
            ValueError, match=r"another trainer: schedule was '[\w.]+\.halving: 1, 0"
        ):
            small_trainer(schedule=other, output_dir=tmp_path).fit(resumed, blobs(), resume=True)
    with pytest.raises(ValueError, match="epochs was 4, is 5"):
        small_trainer(schedule=halving, epochs=5, output_dir=tmp_path).fit(
            resumed, blobs(), resume=True
        )
    history = small_trainer(schedule=halving, output_dir=tmp_path).fit(
        resumed, blobs(), resume=True
    )
    assert history.column("lr")[2:] == pytest.approx([1e-3 * halving(e / 4) for e in range(4)])
    assert all(map(torch.equal, whole.state_dict().values(), resumed.state_dict().values()))


def test_functions_of_one_name_are_told_apart_by_their_factors(tmp_path):
    for rate in (0.5, 0.25):
        trainer = small_trainer(schedule=lambda p, rate=rate: rate**p, output_dir=tmp_path)
        if rate == 0.5:
            trainer.fit(small_model(), blobs())
    with pytest.raises(ValueError, match=r"schedule was .*<lambda>: 1, 0.84.* is .*: 1, 0.70"):
        trainer.fit(small_model(), blobs(), resume=True)


@pytest.mark.parametrize(
    ("schedule", "error", "message"),
    [
        ("cosin", ValueError, "schedule is 'cosin'; expected one of .*, or a function"),
        (3, TypeError, "schedule is 3; expected one of .*, or a function from progress"),
        (torch.optim.lr_scheduler.LinearLR, TypeError, "expected one of .*, or a function"),
        (lambda p: 1 - 2 * p, ValueError, "schedule .*<lambda> is -0.5 at progress 0.75"),
        (lambda p: math.inf, ValueError, "is inf at progress 0; expected a finite factor >= 0"),
        (lambda p: "small", ValueError, "is 'small' at progress 0"),
    ],
)
def test_what_gives_no_factors_is_refused(schedule, error, message):
    with pytest.raises(error, match=message):
        Trainer(schedule=schedule)


def test_a_scheduler_of_torchs_is_refused():
    """It belongs to an optimizer, and counts its steps."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)])
    with pytest.raises(TypeError, match=r"schedule is .*LinearLR.*; expected one of"):
        Trainer(schedule=torch.optim.lr_scheduler.LinearLR(optimizer))  # type: ignore[arg-type]


def test_a_factor_between_quarters_is_checked_in_the_run():
    trainer = small_trainer(schedule=lambda p: math.nan if 0.3 < p < 0.4 else 1.0)
    with pytest.raises(ValueError, match=r"is nan at progress 0.33"):
        trainer.fit(small_model(), blobs())
