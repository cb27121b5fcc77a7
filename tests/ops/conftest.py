# SPDX-License-Identifier: MIT
"""Settings of the op tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from tests.ops import devices


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    """Small tensors gain nothing from threads; the tests about threads set their own number."""
    torch.set_num_threads(1)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run what is marked so on every device."""
    if metafunc.definition.get_closest_marker("every_device"):
        metafunc.fixturenames.append("device")
        metafunc.parametrize("device", devices.available(), indirect=True)


@pytest.fixture
def device(request: pytest.FixtureRequest) -> Iterator[str]:
    with devices.running_on(request.param):
        yield request.param
