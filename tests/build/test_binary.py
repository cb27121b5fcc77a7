# SPDX-License-Identifier: MIT
"""The laws of the compiled files: what may leave an object, and what `_C` may ask of torch."""

from __future__ import annotations

import importlib.machinery
import re
import subprocess
import sysconfig
from pathlib import Path

import pytest

import pyvae

ROOT = Path(__file__).parents[2]
VARIANTS = ["baseline", "avx2", "avx512"] if "x86_64" in sysconfig.get_platform() else ["baseline"]


def extension() -> Path:
    """The module `_C` where an editable installation put it, or beside the installed sources."""
    name = "_C" + importlib.machinery.EXTENSION_SUFFIXES[0]
    (found,) = [f for folder in pyvae.__path__ if (f := Path(folder, name)).is_file()]
    return found


def output_of(*command: str | Path) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@pytest.fixture(params=VARIANTS)
def variant_object(request: pytest.FixtureRequest) -> Path:
    """The object file of one instruction set, from the newest editable build."""
    objects = ROOT.glob(f"build/*/CMakeFiles/cpu_{request.param}.dir/csrc/cpu/variant.cpp.o")
    newest = max(objects, key=lambda path: path.stat().st_mtime, default=None)
    assert newest, "no objects under build/; type `pip install -e .`"
    return newest


def test_nothing_weak_leaves_a_variant(variant_object: Path) -> None:
    # The linker keeps one copy of a weak function: AVX-512 code would run on every machine.
    weak = re.findall(r"^\S* +[uVvWw] .+$", output_of("nm", "-C", variant_object), re.MULTILINE)
    assert weak == []


def test_a_variant_needs_neither_torch_nor_exceptions(variant_object: Path) -> None:
    needed = re.findall(r" U (\S+)", output_of("nm", variant_object))
    assert [n for n in needed if re.match(r"_Z|__cxa|__gxx|_Unwind|torch|aoti", n)] == []


def test_the_extension_asks_torch_for_its_stable_abi_only() -> None:
    needed = re.findall(r" U (\S+)", output_of("nm", "-D", extension()))
    assert [n for n in needed if re.match(r"_ZNK?(2at|3c10|5torch)", n)] == []
    assert any(n.startswith(("torch_", "aoti_torch_")) for n in needed)


def test_the_extension_finds_torch_by_its_having_been_imported() -> None:
    dynamic = output_of("readelf", "-d", extension())
    assert not re.search("RPATH|RUNPATH", dynamic)
    libraries = re.findall(r"NEEDED.*\[(.+)\]", dynamic)
    assert [n for n in libraries if "torch" in n or "c10" in n] == ["libtorch_cpu.so"]
