# SPDX-License-Identifier: MIT
"""Settings of the model tests."""

from __future__ import annotations

import pytest
import torch


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    """The models are tiny: waking threads would take longer than their work."""
    torch.set_num_threads(1)
