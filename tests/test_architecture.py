# SPDX-License-Identifier: MIT
"""Dependencies point one way, in Python and in C++."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE, SOURCES = ROOT / "pyvae", ROOT / "csrc"

# What each part of the package may import of it. data and plots are leaves.
PYTHON: dict[str, set[str]] = {
    "_C": set(),
    "ops": {"_C"},
    "data": set(),
    "plots": set(),
    "models": {"ops"},
    "mixture": {"ops"},
    "distributions": {"ops"},
    "inference": {"distributions", "models", "ops"},
    "optim": {"mixture", "models"},
    "training": {"inference", "optim", "models", "mixture", "data", "ops"},
    "bench": {"mixture", "ops", "plots"},
    "cli": {"bench", "training", "models", "mixture", "inference", "data", "plots", "ops"},
    "__main__": {"cli"},
    "__init__": {"ops", "_C"},
}
# What each folder of csrc may include of it, and the headers that only some may include.
CPP: dict[str, set[str]] = {
    "math": set(),
    "common": {"math"},
    "rows": {"math", "common"},
    "tiles": {"math", "common"},
    "full": {"math", "common"},
    "cpu": {"math", "common"},
    "cuda": {"math", "common"},
    "bind": {"cpu", "cuda"},
}
FOREIGN: dict[str, set[str]] = {
    "torch": {"bind"},
    "pybind11": {"bind"},
    "cuda_runtime.h": {"cuda", "bind"},
}
CONTAINERS = {"vector", "string", "map", "unordered_map", "list", "deque", "set", "memory"}


def _python_files() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def _cpp_files() -> list[Path]:
    return sorted(path for path in SOURCES.rglob("*") if path.suffix in (".h", ".cpp", ".cu", ".inc"))


def _part(path: Path, root: Path) -> str:
    relative = path.relative_to(root)
    return relative.parts[0] if len(relative.parts) > 1 else relative.stem


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def _imported(path: Path) -> Iterator[str]:
    """Dotted names of everything that a file imports, relative imports resolved."""
    package = list(path.relative_to(ROOT).parent.parts)
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*above, *([node.module] if node.module else [])])
            yield from (f"{module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("path", _python_files(), ids=_name)
def test_python_imports(path: Path) -> None:
    part = _part(path, PACKAGE)
    assert part in PYTHON, f"{part} is no part of the package: give it a line in PYTHON"
    for module in _imported(path):
        names = module.split(".")
        if names[0] == "pyvae" and len(names) > 1 and names[1] != part:
            assert names[1] in PYTHON[part] or names[1] == "__version__", f"imports {module}"


def test_plots_draw_arrays() -> None:
    """Arrays in, a figure out: no tensors and no models."""
    for path in _python_files():
        if _part(path, PACKAGE) == "plots":
            assert not any(name.split(".")[0] == "torch" for name in _imported(path)), path


def test_only_the_ops_reach_the_compiled_module() -> None:
    for path in _python_files():
        if _part(path, PACKAGE) in ("ops", "__init__"):
            continue
        assert not any(name.startswith("pyvae._C") for name in _imported(path)), path


@pytest.mark.parametrize("path", _cpp_files(), ids=_name)
def test_cpp_includes(path: Path) -> None:
    folder = _part(path, SOURCES)
    includes = re.findall(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]', path.read_text(), re.MULTILINE)
    for include in includes:
        first = include.split("/")[0]
        if first in CPP and first != folder and folder in CPP:
            assert first in CPP[folder], f"{folder} includes {include}"
        if first in FOREIGN:
            assert folder in FOREIGN[first], f"{folder} includes {include}"


def test_formulas_hold_no_containers() -> None:
    for path in (SOURCES / "math").iterdir():
        includes = set(re.findall(r"#include <(\w+)>", path.read_text()))
        assert not includes & CONTAINERS, path


def test_pybind_is_in_one_file() -> None:
    using = [path.name for path in _cpp_files() if "pybind11" in path.read_text()]
    assert using == ["module.cpp"]
