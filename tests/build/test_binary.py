# SPDX-License-Identifier: MIT
"""The laws of the compiled files: what may leave an object, and what `_C` may show.

What `_C` may ask of torch is in tests/ops/test_binary.py, which runs on every torch.
"""

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


def newest_build() -> Path:
    """The folder of the editable build that was made last."""
    objects = ROOT.glob("build/*/CMakeFiles/cpu_baseline.dir/**/*.o")
    newest = max(objects, key=lambda path: path.stat().st_mtime, default=None)
    assert newest, "no objects under build/; type `pip install -e .`"
    return ROOT / Path(*newest.relative_to(ROOT).parts[:2])


@pytest.fixture(params=VARIANTS)
def variant(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def objects(variant: str) -> list[Path]:
    """Every object file of one instruction set."""
    found = sorted(newest_build().glob(f"CMakeFiles/cpu_{variant}.dir/**/*.o"))
    assert found, variant
    return found


def symbols(objects: list[Path], kinds: str) -> set[str]:
    """The names that `nm` gives one of these letters in any of the objects."""
    return set(re.findall(rf"^\S* +[{kinds}] (.+)$", output_of("nm", *objects), re.MULTILINE))


def test_nothing_weak_leaves_a_variant(objects: list[Path]) -> None:
    # The linker keeps one copy of a weak function: AVX-512 code would run on every machine.
    assert symbols(objects, "uVvWw") == set()


def test_what_leaves_a_variant_bears_its_name(variant: str, objects: list[Path]) -> None:
    defined = symbols(objects, "ABCDGRST")
    assert any("table" in name for name in defined)
    assert [name for name in defined if variant not in name] == []


def test_a_variant_needs_neither_torch_nor_exceptions(objects: list[Path]) -> None:
    needed = symbols(objects, "U") - symbols(objects, "ABCDGRST")
    assert [n for n in needed if re.match(r"_Z|__cxa|__gxx|_Unwind|torch|aoti", n)] == []


def test_no_code_of_a_variant_runs_at_import(objects: list[Path]) -> None:
    # A constructor of a global would be AVX-512 code before anybody asked what the processor has.
    sections = output_of("readelf", "-S", "--wide", *objects)
    assert not re.search(r"\.(init_array|ctors)", sections)


@pytest.mark.skipif(len(VARIANTS) == 1, reason="one instruction set on this processor's family")
def test_a_variant_keeps_to_its_registers(variant: str, objects: list[Path]) -> None:
    widths = {"baseline": "x", "avx2": "xy", "avx512": "xyz"}
    code = output_of("objdump", "-d", "--no-show-raw-insn", *objects)
    assert set(re.findall(r"%([xyz])mm", code)) <= set(widths[variant])
    assert f"%{widths[variant][-1]}mm" in code  # the variant's own are what it is for


def test_the_rest_of_the_extension_is_baseline_code() -> None:
    objects = sorted(newest_build().glob("CMakeFiles/_C.dir/**/*.o"))
    assert any(path.name == "select.cpp.o" for path in objects)
    code = output_of("objdump", "-d", "--no-show-raw-insn", *objects)
    assert not re.search(r"%[yz]mm", code)


def test_the_extension_exports_its_initialisation_only() -> None:
    exported = output_of("nm", "-D", "--defined-only", extension())
    functions = re.findall(r" T (\S+)$", exported, re.MULTILINE)
    assert [name for name in functions if name not in ("_init", "_fini")] == ["PyInit__C"]


def test_the_extension_finds_torch_by_its_having_been_imported() -> None:
    dynamic = output_of("readelf", "-d", extension())
    assert not re.search("RPATH|RUNPATH", dynamic)
    libraries = re.findall(r"NEEDED.*\[(.+)\]", dynamic)
    assert [n for n in libraries if "torch" in n or "c10" in n] == ["libtorch_cpu.so"]
