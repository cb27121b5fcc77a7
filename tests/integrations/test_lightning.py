# SPDX-License-Identifier: MIT
"""Our models under Lightning's Trainer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from pyvae.models import GMVAE
from pyvae.training import evaluate
from tests.models.builders import data, small_vae, table

lightning: Any = pytest.importorskip("lightning")

from pyvae.integrations.lightning import GMVAEModule  # noqa: E402

pytestmark = pytest.mark.filterwarnings("default")  # they are Lightning's own
QUIET: dict[str, Any] = {
    "logger": False,
    "enable_progress_bar": False,
    "enable_model_summary": False,
    "accelerator": "cpu",
    "devices": 1,
}


def trained(module: GMVAEModule, x: Tensor, epochs: int = 2, **options: Any) -> Any:
    given = {"enable_checkpointing": False, **QUIET, **options}
    trainer = lightning.Trainer(max_epochs=epochs, **given)
    loaders = DataLoader(TensorDataset(x), batch_size=20), DataLoader(x, batch_size=1000)
    trainer.fit(module, *loaders)
    return trainer


def gmvae() -> GMVAE:
    return GMVAE(5, 2, num_components=3, hidden=(8,), likelihood="gaussian", learn_weights=True)


def test_two_epochs_and_the_bound_of_our_evaluation() -> None:
    x, model = table(), gmvae()
    trainer = trained(GMVAEModule(model, x, pretrain_epochs=1, warmup_epochs=1), x)
    figures = evaluate(model, x, num_samples=1)
    logged = trainer.callback_metrics
    for name in ("bound", "reconstruction", "log_prob_w", "neg_kl_z", "entropy_w"):
        assert float(logged[f"val_{name}"]) == pytest.approx(figures[name], rel=1e-5), name
    assert torch.isfinite(logged["train_loss"])


def test_units_and_the_mixture_come_from_the_data() -> None:
    x, model = table(), gmvae()
    before = model.component_means.detach().clone()
    trained(GMVAEModule(model, x, lr=0.0), x, epochs=1)
    assert model.standardization is not None
    assert model.standardization.is_fitted
    assert not torch.equal(model.component_means, before)
    started = model.component_means.detach().clone()
    trained(GMVAEModule(model, x, lr=0.0, initialization=None), x, epochs=1)
    assert torch.equal(model.component_means, started)


def test_a_vae_without_a_start(tmp_path: Path) -> None:
    x, model = data(40, torch.float32), small_vae(torch.float32)
    module = GMVAEModule(model)
    trainer = trained(module, x)
    assert trainer.test(module, DataLoader(x, batch_size=1000), verbose=False)[0]["test_bound"] < 0
    codes = torch.cat(trainer.predict(module, DataLoader(x, batch_size=16)))
    torch.testing.assert_close(codes, model.encode(x)[0].detach())


def test_a_checkpoint_goes_on_after_the_start(tmp_path: Path) -> None:
    x, model = table(), gmvae()
    trainer = trained(GMVAEModule(model, x), x, epochs=1, default_root_dir=tmp_path)
    path = tmp_path / "module.ckpt"
    trainer.save_checkpoint(path)
    again = gmvae()
    module = GMVAEModule.load_from_checkpoint(path, model=again, weights_only=False)
    for name, value in module.model.state_dict().items():
        assert torch.equal(value, model.state_dict()[name]), name
