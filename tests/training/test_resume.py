# SPDX-License-Identifier: MIT
"""Checkpoints: a killed run resumes bit for bit, and what is damaged or foreign is refused."""

from __future__ import annotations

import io
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from torch import nn

from pyvae.models import VAE
from pyvae.training import History, load_weights
from tests.training.helpers import blobs, small_model, small_trainer, without_time

KILLS = 4
RUN = """
import sys
import torch
torch.set_num_threads(1)
from tests.training.helpers import blobs, small_model, small_trainer
trainer = small_trainer(
    epochs=30, pretrain_epochs=10, warmup_epochs=5, output_dir=sys.argv[1], optimizer="adamw",
    weight_decay=1e-2, grad_clip=5.0, early_stopping=100,
)
print("begin", flush=True)
trainer.fit(small_model(learn_weights=True), blobs(256), blobs(64, seed=1), resume="auto")
print("end", flush=True)
"""


def start(folder: Path) -> subprocess.Popen[str]:
    root = Path(__file__).parents[2]
    environment = os.environ | {"PYTHONPATH": str(root)}
    command = [sys.executable, "-c", RUN, str(folder)]
    return subprocess.Popen(
        command, cwd=root, env=environment, stdout=subprocess.PIPE, stderr=None, text=True
    )


def finish(process: subprocess.Popen[str]) -> None:
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0
    assert output.endswith("end\n")


def state_of(folder: Path, name: str) -> dict:
    content = (folder / name).read_bytes()
    return torch.load(io.BytesIO(content.partition(b"\n")[2]), weights_only=True)


def assert_same(first: object, second: object) -> None:
    """Equal to the last bit, through dicts and lists; times aside."""
    assert type(first) is type(second)
    if isinstance(first, dict) and isinstance(second, dict):
        assert first.keys() == second.keys()
        for key in first.keys() - {"seconds"}:
            assert_same(first[key], second[key])
    elif isinstance(first, list) and isinstance(second, list):
        assert len(first) == len(second)
        for a, b in zip(first, second, strict=True):
            assert_same(a, b)
    elif isinstance(first, torch.Tensor) and isinstance(second, torch.Tensor):
        assert torch.equal(first, second)
    else:
        assert first == second


def test_a_run_killed_at_any_moment_resumes_bit_for_bit(tmp_path):
    whole = start(tmp_path / "whole")
    assert whole.stdout is not None
    assert whole.stdout.readline() == "begin\n"
    begun = time.perf_counter()
    finish(whole)
    length = time.perf_counter() - begun

    # The moments are random and said, so that a failure can be looked into.
    seed = random.SystemRandom().randrange(10**6)
    moments = random.Random(seed)
    print(f"kill moments from seed {seed}, a run takes {length:.2f} s")
    for _ in range(KILLS):
        process = start(tmp_path / "killed")
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(moments.uniform(0, 0.4 * length))
        process.send_signal(signal.SIGKILL)
        process.communicate()
    finish(start(tmp_path / "killed"))

    for name in ("last.ckpt", "best.ckpt"):
        assert_same(state_of(tmp_path / "whole", name), state_of(tmp_path / "killed", name))
    histories = [History.load(tmp_path / name) for name in ("whole", "killed")]
    assert [row["epoch"] for row in histories[0]] == list(range(1, 41))
    assert without_time(histories[0]) == without_time(histories[1])
    tables = [(tmp_path / n / "history.csv").read_text().splitlines() for n in ("whole", "killed")]
    assert len(tables[0]) == len(tables[1]) == 41


@pytest.mark.parametrize("prior_update", ["gradient", "em"])
@pytest.mark.parametrize("stop", range(6))
def test_every_epoch_is_as_good_to_resume_from(tmp_path, monkeypatch, stop, prior_update):
    """Stop before each epoch in turn: also between pretraining and the start of the mixture."""
    changes = {"prior_update": prior_update}
    whole = small_model()
    expected = small_trainer(**changes).fit(whole, blobs())

    model = small_model()
    monkeypatch.setattr("pyvae.training.run.Run._stops_early", lambda run: len(run.history) >= stop)
    small_trainer(output_dir=tmp_path, **changes).fit(model, blobs())
    monkeypatch.undo()
    torch.manual_seed(77)  # nothing of the process's own random numbers may matter
    resumed = small_model(seed=5)
    history = small_trainer(output_dir=tmp_path, **changes).fit(resumed, blobs(), resume=True)
    assert without_time(history) == without_time(expected)
    for a, b in zip(whole.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(a, b)


def test_what_a_kill_leaves_half_written_is_never_read(tmp_path):
    trainer = small_trainer(output_dir=tmp_path)
    trainer.fit(small_model(), blobs())
    (tmp_path / ".last.ckpt.part").write_bytes(b"half")
    history = trainer.fit(small_model(), blobs(), resume=True)
    assert len(history) == 6


def test_a_constant_rate_may_be_prolonged(tmp_path):
    whole = small_model()
    small_trainer(schedule="constant", epochs=4).fit(whole, blobs())
    model = small_model()
    for epochs in (2, 4):
        trainer = small_trainer(schedule="constant", epochs=epochs, output_dir=tmp_path)
        trainer.fit(model, blobs(), resume="auto")
    for a, b in zip(whole.parameters(), model.parameters(), strict=True):
        assert torch.equal(a, b)


@pytest.fixture
def finished(tmp_path):
    small_trainer(output_dir=tmp_path).fit(small_model(), blobs())
    return tmp_path


def resume(folder: Path, model=None, data=None, **changes) -> None:
    trainer = small_trainer(output_dir=folder, **changes)
    trainer.fit(model or small_model(), blobs() if data is None else data, resume=True)


@pytest.mark.parametrize("kept", [0, 10, 60, 97, 5000, -1])
def test_a_truncated_checkpoint_is_refused(finished, kept):
    path = finished / "last.ckpt"
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(ValueError, match=r"last.ckpt: (damaged checkpoint|no checkpoint of pyvae)"):
        resume(finished)


def test_one_changed_bit_is_seen(finished):
    path = finished / "last.ckpt"
    content = bytearray(path.read_bytes())
    for place in (30, 100, len(content) // 2, len(content) - 1):
        changed = content.copy()
        changed[place] ^= 1
        path.write_bytes(changed)
        with pytest.raises(ValueError, match=r"last.ckpt: damaged checkpoint"):
            resume(finished)


def test_foreign_files_are_refused(finished):
    path = finished / "last.ckpt"
    foreign = io.BytesIO()
    torch.save({"model": nn.Linear(2, 2).state_dict()}, foreign)
    for content in (random.Random(0).randbytes(5000), foreign.getvalue(), b"text\n"):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"last.ckpt: no checkpoint of pyvae"):
            resume(finished)


def test_the_best_weights_are_no_run(finished):
    (finished / "last.ckpt").write_bytes((finished / "best.ckpt").read_bytes())
    with pytest.raises(ValueError, match=r"holds a model but no state .*load_weights"):
        resume(finished)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": small_model(hidden=(4,))}, r"another model: .*hidden was \[8\], is \[4\]"),
        ({"model": small_model(num_components=2)}, "another model: .*num_components was 3, is 2"),
        ({"model": VAE(6, 2, hidden=(8,))}, "another model: class was 'GMVAE', is 'VAE'"),
        ({"model": small_model(encoder=nn.Linear(6, 4))}, "another model: tensors was"),
        ({"data": blobs(seed=1)}, "another data: digest was"),
        ({"data": blobs(95)}, "another data: examples was 96, is 95"),
        ({"lr": 2e-3}, "another trainer: lr was 0.001, is 0.002"),
        ({"seed": 3, "batch_size": 16}, "batch_size was 32, is 16; seed was 0, is 3"),
        ({"prior_update": "em"}, "another trainer: prior_update was 'gradient', is 'em'"),
        ({"epochs": 9}, "another trainer: epochs was 4, is 9"),
        ({"pretrain_lr": 0.1}, "another trainer: pretrain_lr was None, is 0.1"),
    ],
)
def test_a_checkpoint_of_another_run_is_refused(finished, changes, message):
    with pytest.raises(ValueError, match=message):
        resume(finished, **changes)


def test_resume_without_a_checkpoint(tmp_path):
    with pytest.raises(FileNotFoundError, match="no checkpoint there to resume from"):
        resume(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match=r"x.ckpt: no checkpoint there"):
        small_trainer().fit(small_model(), blobs(), resume=tmp_path / "x.ckpt")
    with pytest.raises(ValueError, match="resume needs output_dir"):
        small_trainer().fit(small_model(), blobs(), resume=True)


def test_a_folder_that_holds_another_run_is_left_alone(finished):
    before = (finished / "last.ckpt").read_bytes()
    with pytest.raises(ValueError, match=r"holds another run .*resume=True"):
        small_trainer(output_dir=finished).fit(small_model(), blobs())
    assert (finished / "last.ckpt").read_bytes() == before


def test_a_folder_that_cannot_be_written_to(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="cannot be written to"):
        small_trainer(output_dir=tmp_path / "file" / "run").fit(small_model(), blobs())


def test_load_weights(finished):
    model = small_model(seed=9)
    assert load_weights(model, finished / "best.ckpt") is model
    expected = state_of(finished, "best.ckpt")["model"]
    assert_same(dict(model.state_dict()), expected)
    with pytest.raises(ValueError, match=r"best.ckpt: the tensors do not fit the model"):
        load_weights(small_model(hidden=(4,)), finished / "best.ckpt")
