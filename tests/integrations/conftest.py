# SPDX-License-Identifier: MIT
from __future__ import annotations

from collections.abc import Iterator

import pytest
from torch.distributions import Distribution, MixtureSameFamily

ORIGINAL = MixtureSameFamily.log_prob


@pytest.fixture(autouse=True)
def _nothing_is_left(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Validation is on, which a process's first compilation turns off, and patches are undone."""
    monkeypatch.setattr(Distribution, "_validate_args", True)
    yield
    assert MixtureSameFamily.log_prob is ORIGINAL
