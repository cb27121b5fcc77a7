# SPDX-License-Identifier: MIT
"""Small models and data that train in a fraction of a second."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from pyvae.models import GMVAE
from pyvae.training import Trainer


def blobs(n: int = 96, features: int = 6, seed: int = 0) -> Tensor:
    """Return points of [0, 1] in three groups."""
    generator = torch.Generator().manual_seed(seed)
    centres = 0.1 + 0.8 * torch.eye(3).repeat_interleave(features // 3, dim=1)
    noise = 0.05 * torch.randn(n, features, generator=generator)
    return (centres[torch.arange(n) % 3] + noise).clamp(0, 1)


def small_model(seed: int = 0, **changes: Any) -> GMVAE:
    """Return a GM-VAE of a few hundred parameters."""
    torch.manual_seed(seed)
    return GMVAE(6, 2, **({"num_components": 3, "hidden": (8,)} | changes))


def small_trainer(**changes: Any) -> Trainer:
    """Return a trainer of a few epochs."""
    defaults = {
        "epochs": 4,
        "pretrain_epochs": 2,
        "warmup_epochs": 1,
        "batch_size": 32,
        "accelerator": "cpu",
        "progress": "silent",
        "checkpoint_seconds": 0.0,
    }
    return Trainer(**(defaults | changes))


def without_time(rows: Any) -> list[dict[str, Any]]:
    """Return rows of a history without the column that no two runs share."""
    return [{k: v for k, v in row.items() if k != "seconds"} for row in rows]
