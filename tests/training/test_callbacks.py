# SPDX-License-Identifier: MIT
"""Callbacks: when they are called, that they change no number, and what becomes of their errors."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from pyvae.training import Callback, CallbackError, Trainer, TrainingDivergedError, TrainingState
from pyvae.training.checkpoint import read_checkpoint
from tests.training.helpers import blobs, small_model, small_trainer, without_time

HOOKS = [name for name in vars(Callback) if name.startswith("on_")]


class Recorder(Callback):
    """Notes every call; fails at one of them, or asks to stop."""

    def __init__(self, *, fail: str = "", at: int = 0, stop: str = "") -> None:
        self.calls: list[tuple[str, int]] = []
        self.values: list[Any] = []
        self.fail, self.at, self.stop = fail, at, stop

    def names(self) -> list[str]:
        return [name for name, _ in self.calls]


def _recorded(hook: str) -> Any:
    def called(self: Recorder, state: TrainingState, *values: Any) -> None:
        done = len(state.history)
        self.calls.append((hook, done))
        self.values.append(values)
        if hook == self.stop and done >= self.at:
            state.should_stop = True
        if hook == self.fail and done >= self.at:
            raise KeyError("mine")

    return called


for _hook in HOOKS:
    setattr(Recorder, _hook, _recorded(_hook))


def fitted(*callbacks: Callback, resume: bool = False, **changes: Any) -> Any:
    model = small_model()
    trainer = small_trainer(epochs=2, pretrain_epochs=1, callbacks=callbacks, **changes)
    return model, trainer.fit(model, blobs(), resume=resume)


def test_the_order_of_the_calls(tmp_path):
    found = Recorder()
    fitted(found, output_dir=tmp_path)
    expected = [("on_fit_start", 0)]
    for e in range(3):
        expected += [("on_epoch_start", e), *[("on_batch_end", e)] * 3]
        expected += [("on_epoch_end", e + 1), ("on_checkpoint", e + 1)]
    assert found.calls == [*expected, ("on_checkpoint", 3), ("on_fit_end", 3)]


def test_what_they_are_told(tmp_path):
    found, seen = Recorder(), []

    class Seen(Callback):
        def on_epoch_end(self, state: TrainingState, row: dict[str, Any]) -> None:
            seen.append((state, dict(row), state.model.training))
            row["bound"] = 0.0  # a copy: what a callback does to it is nobody's number

        def on_batch_end(self, state: TrainingState, batch: int, figures: dict[str, float]) -> None:
            assert state.model.training

    model, history = fitted(Seen(), found, output_dir=tmp_path)
    assert [row for _, row, _ in seen] == history.rows
    state, _, training = seen[-1]
    assert state.model is model
    assert not training
    assert (state.total_epochs, state.settings.epochs, state.settings.batch_size) == (3, 2, 32)
    values = dict(zip(found.names(), found.values, strict=True))
    assert values["on_checkpoint"] == (tmp_path / "last.ckpt",)
    batch, figures = values["on_batch_end"]
    assert batch == 2
    parts = ("reconstruction", "log_prob_w", "neg_kl_z", "entropy_w")
    assert figures["bound"] == pytest.approx(sum(figures[part] for part in parts))
    batches = [v for name, v in zip(found.names(), found.values, strict=True) if "batch" in name]
    means = [sum(figures["bound"] for _, figures in batches[i : i + 3]) / 3 for i in (0, 3, 6)]
    assert history.column("bound") == pytest.approx(means)  # three batches of 32


class Drawing(Callback):
    """Draws, evaluates and leaves the model in another mode, wherever it is called."""


def _drawn(self: Drawing, state: TrainingState, *_: Any) -> None:
    torch.rand(7)
    torch.manual_seed(1)
    state.model.train(not state.model.training)
    state.model.sample(3)


for _hook in HOOKS:
    setattr(Drawing, _hook, _drawn)


def test_no_number_depends_on_a_callback():
    model, history = fitted()
    with_one, same = fitted(Drawing())
    assert without_time(history) == without_time(same)
    for a, b in zip(model.parameters(), with_one.parameters(), strict=True):
        assert torch.equal(a, b)


def test_one_that_means_to_changes_the_model():
    class Frozen(Callback):
        def on_batch_end(self, state: TrainingState, batch: int, figures: dict[str, float]) -> None:
            with torch.no_grad():
                state.model.component_means.fill_(0.5)

    model, _ = fitted(Frozen())
    assert (model.component_means == 0.5).all()


@pytest.mark.parametrize(("stop", "at", "epochs"), [("on_epoch_end", 2, 2), ("on_fit_start", 0, 0)])
def test_stopping(tmp_path, stop, at, epochs):
    found = Recorder(stop=stop, at=at)
    _, history = fitted(found, output_dir=tmp_path)
    assert len(history) == epochs
    assert found.calls[-1] == ("on_fit_end", epochs)
    assert read_checkpoint(tmp_path / "last.ckpt")["epoch"] == epochs


def test_a_resumed_run_calls_them_for_what_is_left_and_ends_the_same(tmp_path):
    whole, history = fitted()
    fitted(Recorder(stop="on_epoch_end", at=2), output_dir=tmp_path)
    found = Recorder()
    resumed, rest = fitted(found, output_dir=tmp_path, resume=True)
    assert [call for call in found.calls if "epoch" in call[0]] == [
        ("on_epoch_start", 2), ("on_epoch_end", 3),
    ]  # fmt: skip
    assert found.calls[0] == ("on_fit_start", 2)
    assert without_time(history) == without_time(rest)
    assert all(map(torch.equal, whole.state_dict().values(), resumed.state_dict().values()))


# With the epochs that are kept: within one, what was written before.
@pytest.mark.parametrize(
    ("hook", "kept"),
    [
        ("on_fit_start", None), ("on_epoch_start", 2), ("on_batch_end", None), ("on_epoch_end", 2),
        ("on_fit_end", 3),
    ],
)  # fmt: skip
def test_an_error_of_a_callback_ends_the_run_and_names_it(tmp_path, hook, kept):
    """Written once a minute, so that what is there was written because of the error."""
    failing, beside = Recorder(fail=hook, at=0 if hook == "on_fit_start" else 2), Recorder()
    changes = {"checkpoint_seconds": 60.0, "output_dir": tmp_path}
    with pytest.raises(CallbackError, match=rf"Recorder, {hook}, with \d of 3 .*KeyError: 'mine'"):
        fitted(beside, failing, **changes)
    for callback in (failing, beside):
        assert callback.calls[-1][0] == "on_exception"
        assert isinstance(callback.values[-1][0], CallbackError)
        assert isinstance(callback.values[-1][0].__cause__, KeyError)
    path = tmp_path / "last.ckpt"
    if hook == "on_fit_start":
        assert not path.exists()
        return
    epochs = read_checkpoint(path)["epoch"]
    assert epochs == (1 if kept is None else kept)
    whole, _ = fitted()
    resumed, _ = fitted(resume=True, **changes)
    assert all(map(torch.equal, whole.state_dict().values(), resumed.state_dict().values()))


def test_what_ends_a_run_is_told_and_goes_on(monkeypatch):
    class Interrupting(Callback):
        def on_epoch_end(self, state: TrainingState, row: dict[str, Any]) -> None:
            raise KeyboardInterrupt

    found, failing = Recorder(), Recorder(fail="on_exception")
    with (
        pytest.raises(KeyboardInterrupt),
        pytest.warns(RuntimeWarning, match="Recorder, on_exception, .*'mine'"),
    ):
        fitted(failing, found, Interrupting())
    assert found.names()[-1] == "on_exception"
    assert isinstance(found.values[-1][0], KeyboardInterrupt)
    found = Recorder()
    with pytest.raises(TrainingDivergedError):
        fitted(found, lr=1e30, pretrain_lr=1e30)
    assert isinstance(found.values[-1][0], TrainingDivergedError)


@pytest.mark.parametrize("wrong", [print, Recorder, [Recorder(), 3]])
def test_what_is_no_callback_is_refused(wrong):
    with pytest.raises(TypeError, match=r"callbacks is .*; expected a pyvae.training.Callback, or"):
        Trainer(callbacks=wrong)
