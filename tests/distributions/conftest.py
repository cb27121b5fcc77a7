# SPDX-License-Identifier: MIT
from __future__ import annotations

import pytest
from torch.distributions import Distribution


@pytest.fixture(autouse=True)
def _torch_validates(monkeypatch: pytest.MonkeyPatch) -> None:
    """On, as by default, and put back: a process's first compilation turns it off for good."""
    monkeypatch.setattr(Distribution, "_validate_args", True)
