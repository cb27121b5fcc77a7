# SPDX-License-Identifier: MIT
"""Dependencies point one way, in Python and in C++, and by public names."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests import dependencies

ROOT = Path(__file__).parent.parent
PACKAGE, SOURCES = ROOT / "pyvae", ROOT / "csrc"

# What each part of the package may import of it. data, plots and settings stand on errors alone.
PYTHON: dict[str, set[str]] = {
    "_C": set(),
    "errors": set(),
    "progress": set(),
    "arrow": {"errors"},
    "examples": {"errors"},
    "ops": {"_C"},
    "storage": {"errors"},
    "data": {"arrow", "errors"},
    "plots": {"errors"},
    "settings": {"errors"},
    "models": {"errors", "examples", "storage", "ops", "settings", "clustering"},
    "mixture": {"arrow", "errors", "distributions", "examples", "ops", "progress", "storage"},
    "clustering": {"errors", "examples", "progress", "storage"},
    "distributions": {"errors", "ops"},
    "inference": {"errors", "distributions", "models", "ops"},
    "optim": {"errors", "mixture", "models"},
    "training": {
        "errors",
        "examples",
        "progress",
        "storage",
        "inference",
        "optim",
        "models",
        "mixture",
        "clustering",
        "data",
        "ops",
        "settings",
    },
    "cli": {
        "errors",
        "storage",
        "training",
        "models",
        "mixture",
        "clustering",
        "inference",
        "data",
        "plots",
        "ops",
        "settings",
    },
    # Stands on all that is public; of it only a lazy public name of the package is known elsewhere.
    "integrations": {"errors", "ops", "models", "distributions", "training"},
    "__main__": {"cli"},
    "__init__": {"ops", "_C", "integrations"},
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
# Folders that stand on the package, and that it knows nothing of.
ABOVE = {"benchmarks", "experiments", "tests"}
# Private names of other libraries that a part uses, because there is no public one.
PRIVATE: dict[str, dict[str, str]] = {
    "ops": {
        "_C": "torch's dispatch keys, and what tells whether a torch.func transform is on",
        "_ops": "torch's class of an op, for annotations",
        "_pytree": "torch's registry of containers, to which torch.export points",
        "_register_namedtuple": "what gives a NamedTuple a name in exported programs' files",
        "_name": "of an op with its namespace, as torch's registration takes it",
        "_opname": "of an op without it",
        "_AutoDispatchBelowAutograd": "torch's way past the autograd of its registry",
        "_current_level": "whether torch's forward mode has dual tensors, to ask in every call",
        "_is_any_autocast_enabled": "what a small call asks of all devices at once",
    },
    "mixture": {
        "_check_sample_weight": "scikit-learn's own check of weights",
        "_param_validation": "scikit-learn's ranges of parameters, for messages like its own",
        "_version": "how often torch has written to a tensor",
    },
    "clustering": {
        "_param_validation": "scikit-learn's ranges of parameters, for messages like its own",
        "_is_mkldnn_bf16_supported": "torch's word on whether a processor multiplies bfloat16",
    },
    "distributions": {
        "_kl_independent_independent": "torch's rule, for what ours does not know",
        "_validate_args": "torch's flag, which expand() hands on in torch's distributions too",
    },
    "integrations": {
        "_KL_REGISTRY": "torch's rules, of which the patch puts the former back",
        "_validate_args": "torch's flag, for the patch to validate where torch does",
        "_validate_sample": "torch's own validation, with its errors",
        "_priors": "scvi-tools' file of SysVI's priors, which it exports nowhere",
    },
}
MOST_LINES = 400
CODE = (".py", ".cpp", ".h", ".cu", ".inc")
CONTAINERS = {"vector", "string", "map", "unordered_map", "list", "deque", "set", "memory"}


def _python_files() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def _cpp_files() -> list[Path]:
    return sorted(path for path in SOURCES.rglob("*") if path.suffix in CODE)


def _part(path: Path, root: Path) -> str:
    relative = path.relative_to(root)
    return relative.parts[0] if len(relative.parts) > 1 else relative.stem


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def _texts(paths: list[Path]) -> dict[str, str]:
    return {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in paths}


def _imported(path: Path) -> list[str]:
    return list(dependencies.imported(_name(path), path.read_text(encoding="utf-8")))


@pytest.mark.parametrize("path", _python_files(), ids=_name)
def test_python_imports(path: Path) -> None:
    part = _part(path, PACKAGE)
    assert part in PYTHON, f"{part} is no part of the package: give it a line in PYTHON"
    for module in _imported(path):
        names = module.split(".")
        assert names[0] not in ABOVE, f"imports {module}"
        if names[0] == "pyvae" and len(names) > 1 and names[1] != part:
            assert names[1] in PYTHON[part] or names[1] == "__version__", f"imports {module}"


def test_no_circle_of_modules() -> None:
    """Nor within a folder, nor for the sake of an annotation."""
    stubs = sorted(PACKAGE.rglob("*.pyi"))
    graph = dependencies.module_graph(_texts([*_python_files(), *stubs]))
    circles = dependencies.circles(graph)
    assert not circles, "\n".join(circles)
    own_doors = dependencies.by_their_own_door(graph)
    assert not own_doors, "\n".join(own_doors)


def test_no_circle_of_headers() -> None:
    circles = dependencies.circles(dependencies.header_graph(_texts(_cpp_files()), SOURCES.name))
    assert not circles, "\n".join(circles)


@pytest.mark.parametrize("path", _python_files(), ids=_name)
def test_no_private_name_of_another_module(path: Path) -> None:
    allowed = PRIVATE.get(_part(path, PACKAGE), {})
    reads = dependencies.private_reads(_name(path), path.read_text(encoding="utf-8"))
    found = [f"line {line}: {name}" for line, name in reads if name not in allowed]
    assert not found, f"{found}; give it a public name, or move what needs it to where it is"


def test_no_file_is_long() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("no git checkout: what is tracked is not known")
    paths = [ROOT / name for name in listed.stdout.splitlines() if name.endswith(CODE)]
    sources = _texts([path for path in paths if path.exists()])
    long = set(dependencies.longer_than(MOST_LINES, sources))
    assert not long, f"over {MOST_LINES} lines: {sorted(long)}; split it where its subjects part"


def test_the_table_of_cases_knows_of_no_benchmark() -> None:
    """It is copied away with the tests, to be run on an installed wheel."""
    for path in sorted((ROOT / "tests" / "ops").glob("*.py")):
        assert "benchmarks" not in {name.split(".")[0] for name in _imported(path)}, path


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
    for include in dependencies.includes(path.read_text()):
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
