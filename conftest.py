# SPDX-License-Identifier: MIT
"""What is no test where an optional library is not installed."""

from __future__ import annotations

from importlib.util import find_spec

import pytest

# Files whose import, and with it that of their examples, needs another library.
_NEEDS = {
    "lightning": "lightning",
    "onnx": "onnxruntime",
    "pyro": "pyro",
    "scvi": "scvi",
    "skorch": "skorch",
}

collect_ignore = [
    f"pyvae/integrations/{file}.py" for file, name in _NEEDS.items() if find_spec(name) is None
]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the libraries warn: what they say of their loops is no error of ours."""
    for item in items:
        if "pyvae/integrations" in item.path.as_posix():
            item.add_marker(pytest.mark.filterwarnings("default"))
