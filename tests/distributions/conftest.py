# SPDX-License-Identifier: MIT
from __future__ import annotations

import pytest
from torch.distributions import Distribution


@pytest.fixture(autouse=True)
def _torch_validates(monkeypatch: pytest.MonkeyPatch) -> None:
    """As by default: the first compilation of a process turns torch's validation off for good."""
    monkeypatch.setattr(Distribution, "_validate_args", True)
