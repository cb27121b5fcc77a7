# SPDX-License-Identifier: MIT
"""Training shared by two processes on CPUs: both end with the same model."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parents[2]
RUN = """
import sys
import torch
torch.set_num_threads(1)
from pyvae.training import Callback
from tests.training.helpers import blobs, small_model, small_trainer
likelihood = "gaussian" if sys.argv[1] == "gradient" else "bernoulli"
model = small_model(learn_weights=sys.argv[2] == "learnt", likelihood=likelihood)
class Stop(Callback):
    def on_epoch_end(self, state, row):
        with open(f"{sys.argv[3]}/calls", "a") as file:
            print(torch.distributed.get_rank(), row["epoch"], file=file)
        state.should_stop = row["epoch"] == 5
trainer = small_trainer(devices=2, prior_update=sys.argv[1], prior_lr=0.2, callbacks=Stop())
assert len(trainer.fit(model, blobs())) == 5
rank = torch.distributed.get_rank()
torch.save(model.state_dict(), f"{sys.argv[3]}/{rank}.pt")
"""


@pytest.mark.parametrize(
    ("prior_update", "weights"), [("gradient", "uniform"), ("em", "uniform"), ("em", "learnt")]
)
def test_both_processes_end_with_one_model(tmp_path: Path, prior_update: str, weights: str) -> None:
    """Also the counts of a uniform pi, which are no parameter's gradient that DDP would share.

    Callbacks are the first process's, and stop both.
    """
    script = tmp_path / "run.py"  # a file, for the second process is started by it
    script.write_text(RUN, encoding="utf-8")
    command = [sys.executable, str(script), prior_update, weights, str(tmp_path)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    found = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300
    )
    assert found.returncode == 0, found.stderr[-2000:]
    assert (tmp_path / "calls").read_text() == "".join(f"0 {epoch}\n" for epoch in range(1, 6))
    first, second = (torch.load(tmp_path / f"{rank}.pt") for rank in (0, 1))
    for name, value in first.items():
        assert torch.equal(value, second[name]), name
    if prior_update == "gradient":
        assert (first["standardization.scale"] > 0).all()
    uniform = torch.zeros(3)
    assert torch.equal(first["weight_logits"], uniform) == (weights == "uniform")
