# SPDX-License-Identifier: MIT
"""Settings of the op tests."""

from __future__ import annotations

import pytest
import torch


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    """Small tensors gain nothing from threads; the tests about threads set their own number."""
    torch.set_num_threads(1)
