# SPDX-License-Identifier: MIT
"""Leaves out what is the same for every way of a large problem."""

from __future__ import annotations

import pytest
import torch

SCREENED = ("mixture_log_prob", "mixture_predict", "mixture_statistics")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect the screened turns of ops and numbers that are never screened."""
    others = [item for item in items if _is_never_screened(item)]
    if others:
        config.hook.pytest_deselected(items=others)
        items[:] = [item for item in items if item not in set(others)]


def _is_never_screened(item: pytest.Item) -> bool:
    callspec = getattr(item, "callspec", None)
    if callspec is None or callspec.params.get("_large") != "screened":
        return False
    case = callspec.params.get("case")
    diagonal = case is None or case.name.partition("-")[0] in SCREENED
    return not diagonal or callspec.params.get("dtype") == torch.float64
