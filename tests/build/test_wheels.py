# SPDX-License-Identifier: MIT
"""What is told of Pythons, torches and libraries in several files is told alike."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from pyvae import _C
from tests import building
from tests.building import ROOT

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # pyright: ignore[reportMissingImports]

PYPROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT, WHEELS = PYPROJECT["project"], PYPROJECT["tool"]["cibuildwheel"]
MAKEFILE = (ROOT / "Makefile").read_text()
WORKFLOW: dict[str, Any] = yaml.safe_load((ROOT / ".github/workflows/wheels.yml").read_text())
RECIPE: dict[str, Any] = yaml.safe_load((ROOT / "build_support/conda/recipe.yaml").read_text())
# What conda-forge calls by another name.
CONDA = {
    "lightning-fabric": "pytorch-lightning",
    "matplotlib": "matplotlib-base",
    "torch": "pytorch",
}


def made(variable: str) -> list[str]:
    """The words of a variable of the Makefile."""
    (words,) = re.findall(rf"^{variable} \?= (.+)$", MAKEFILE, re.MULTILINE)
    return words.split()


def tags(pythons: list[str]) -> list[str]:
    return ["cp" + python.replace(".", "") for python in pythons]


def excluded(command: str) -> set[str]:
    """The libraries that auditwheel does not take into a wheel."""
    return set(re.findall(r"--exclude[ =](\S+)", command))


def for_conda(requirement: str) -> str:
    name, version = re.findall(r"^([\w-]+)(.*)$", requirement.partition(";")[0].strip())[0]
    return f"{CONDA.get(name, name)} {version}"


PYTHONS = made("WHEEL_PYTHONS")


def test_the_classifiers_name_the_pythons_that_have_wheels() -> None:
    named = [c.rpartition(" ")[2] for c in PROJECT["classifiers"] if " :: Python :: 3." in c]
    assert named == PYTHONS
    assert PROJECT["requires-python"] == f">={PYTHONS[0]}"


def test_cibuildwheel_builds_for_them() -> None:
    assert WHEELS["build"].split() == [f"{tag}-*" for tag in tags(PYTHONS)]
    assert WORKFLOW["jobs"]["wheels"]["strategy"]["matrix"]["python"] == tags(PYTHONS)


def test_the_library_that_stays_outside_is_the_one_that_torch_loads() -> None:
    outside = excluded(WHEELS["linux"]["repair-wheel-command"])
    assert outside == excluded(MAKEFILE)
    if sys.platform == "linux" and shutil.which("readelf"):
        done = subprocess.run(
            ["readelf", "-d", _C.__file__], check=True, capture_output=True, text=True
        )
        needed = re.findall(r"NEEDED.*\[(.+)\]", done.stdout)
        assert outside == {name for name in needed if re.search("torch|c10", name)}


def test_wheels_are_tested_with_the_oldest_torch_and_the_newest() -> None:
    (oldest,) = [r.partition(">=")[2] for r in PROJECT["dependencies"] if r.startswith("torch>")]
    assert made("WHEEL_TORCHES") == [f"{oldest}.0", "newest"]
    newest, change, again = WHEELS["test-command"]
    assert change == f"uv pip install torch=={oldest}.0"
    assert newest == again
    assert "pytest" in newest


def test_one_torch_is_built_against() -> None:
    assert WHEELS["before-all"].endswith(f" torch=={made('TORCH')[0]}")
    folder = WHEELS["environment"]["PYVAE_TORCH_DIR"]
    assert f" --target {Path(folder).parent} " in WHEELS["before-all"]


def test_a_suite_away_from_the_sources_compiles_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(building, "ROOT", tmp_path)
    with pytest.raises(pytest.skip.Exception, match="not beside the tests"):
        building.build(tmp_path, "wheels")


def test_only_a_tag_publishes() -> None:
    publishing = WORKFLOW["jobs"]["publish"]
    others = {name: job for name, job in WORKFLOW["jobs"].items() if name != "publish"}
    assert publishing["if"] == "github.event_name == 'push' && github.ref_type == 'tag'"
    assert set(publishing["needs"]) == set(others)
    assert publishing["permissions"] == {"id-token": "write"}
    assert WORKFLOW["permissions"] == {"contents": "read"}
    assert not [name for name, job in others.items() if "permissions" in job]
    assert "secrets" not in str(WORKFLOW)


def test_all_tell_one_version() -> None:
    version = PROJECT["version"]
    assert yaml.safe_load((ROOT / "CITATION.cff").read_text())["version"] == version
    assert RECIPE["context"]["version"] == version
    newest = re.findall(r"^## ([\d.]+), ", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)[0]
    assert newest == version


def test_the_conda_recipe_says_what_pyproject_says() -> None:
    assert RECIPE["about"]["summary"] == PROJECT["description"]
    assert RECIPE["about"]["license"] == PROJECT["license"]
    needs = RECIPE["requirements"]
    run = [line["then"] if isinstance(line, dict) else line for line in needs["run"]]
    expected = [f"python {PROJECT['requires-python']}", *map(for_conda, PROJECT["dependencies"])]
    assert sorted(run) == sorted(expected)
    build = [*map(for_conda, PYPROJECT["build-system"]["requires"]), for_conda("torch>=2.10")]
    assert set(build) <= set(needs["host"])


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
@pytest.mark.parametrize("target", [".cache/wheels/.wheel-9.9", "test-wheel-9.9-newest"])
def test_a_python_that_is_not_there_is_named_and_left_out(target: str) -> None:
    command = ["make", "--dry-run", "-C", str(ROOT), "WHEEL_PYTHONS=9.9", target]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert "No Python 9.9 here" in done.stdout
    assert "auditwheel" not in done.stdout.replace("pip install auditwheel", "")
    assert "pytest" not in done.stdout
