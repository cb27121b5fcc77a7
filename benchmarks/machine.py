# SPDX-License-Identifier: MIT
"""The machine and the software of a run; no host name and no path."""

from __future__ import annotations

import platform
import re
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from pyvae import ops

_PACKAGES = {
    "pyvae": "pyvae",
    "torch": "torch",
    "numpy": "numpy",
    "scikit-learn": "scikit-learn",
    "jax": "jax",
    "KeOps": "pykeops",
}


def machine() -> dict[str, Any]:
    """Describe the processor and the instruction set in use."""
    return {
        "processor": _processor(),
        "instruction_set": ops.build_info()["instruction_set"],
        "system": f"{platform.system()} {platform.machine()}",
    }


def software() -> dict[str, str]:
    """Give the versions of everything that takes turns."""
    found = {"python": platform.python_version(), "compiler": ops.build_info()["compiler"]}
    for name, package in _PACKAGES.items():
        try:
            found[name] = version(package)
        except PackageNotFoundError:
            found[name] = "not installed"
    found["torch"] = torch.__version__
    return found


def file_name(facts: dict[str, Any]) -> str:
    """Name a machine for its file of results: processor and instruction set."""
    text = f"{facts['processor']} {facts['instruction_set']}".lower()
    return re.sub(r"[^a-z0-9]+", "-", re.sub(r"\((r|tm)\)", "", text)).strip("-")


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        found = re.search(r"^model name\s*:\s*(.+)$", info.read_text(), re.MULTILINE)
        if found:
            return found[1].strip()
    if platform.system() == "Darwin":
        command = ["sysctl", "-n", "machdep.cpu.brand_string"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode == 0:
            return done.stdout.strip()
    return platform.processor() or platform.machine()
