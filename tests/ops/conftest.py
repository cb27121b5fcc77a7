# SPDX-License-Identifier: MIT
"""Settings of the op tests."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.ops import devices


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run what is marked so on every device."""
    if metafunc.definition.get_closest_marker("every_device"):
        metafunc.parametrize("device", devices.available(), indirect=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave out the ops that a device runs by the same code as others, and mark a GPU's tests."""
    items[:] = [item for item in items if _is_of_its_own(getattr(item, "callspec", None))]
    for item in items:
        call = getattr(item, "callspec", None)
        if call and call.params.get("device") == devices.GPU:
            item.add_marker("gpu")


def _is_of_its_own(call: Any) -> bool:
    parameters = call.params if call else {}
    if "device" not in parameters or "case" not in parameters:
        return True
    return devices.has(parameters["device"], parameters["case"].name)


@pytest.fixture(autouse=True)
def device(request: pytest.FixtureRequest) -> Iterator[str]:
    """The device that the test runs on: the CPU, where it says nothing."""
    with devices.running_on(getattr(request, "param", devices.CPU)):
        yield devices.current()
