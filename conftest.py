# SPDX-License-Identifier: MIT
"""What is no test where an optional library is not installed."""

from __future__ import annotations

from importlib.util import find_spec

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
