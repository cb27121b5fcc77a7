# SPDX-License-Identifier: MIT
"""The compiled module asks of torch only what its stable interface promises."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from pyvae import _C

MODULE = Path(_C.__file__)
needs_nm = pytest.mark.skipif(shutil.which("nm") is None, reason="nm (binutils) is not installed")


@needs_nm
def test_no_unstable_symbols_of_torch() -> None:
    done = subprocess.run(
        ["nm", "-C", "-D", "--undefined-only", str(MODULE)],
        capture_output=True,
        text=True,
        check=True,
    )
    symbols = [line.split(maxsplit=1)[-1] for line in done.stdout.splitlines() if line.strip()]
    assert any(symbol.startswith(("aoti_torch_", "torch_")) for symbol in symbols)
    unstable = [s for s in symbols if re.search(r"\b(at|c10|caffe2|torch)::", s)]
    assert unstable == []
