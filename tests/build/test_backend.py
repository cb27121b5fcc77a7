# SPDX-License-Identifier: MIT
"""What the build backend says and asks for, seen as pip sees it: from a process of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tarfile
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BACKEND = ROOT / "build_support"

# Stands for pip's build isolation: site-packages is gone from sys.path, sysconfig still names it.
ISOLATION = """
import sys, sysconfig
sys.path = [p for p in sys.path if p != sysconfig.get_path("purelib")]
"""
# Stands for scikit-build-core, so that a bare environment can answer what a build requires.
SCIKIT_BUILD_CORE = """
def get_requires_for_build_wheel(config_settings=None): return ["ninja"]
get_requires_for_build_editable = get_requires_for_build_wheel
def build_wheel(wheel_directory, config_settings, metadata_directory): print(config_settings)
build_editable = build_wheel
"""


def fake_torch(folder: Path, version: str) -> Path:
    (folder / "torch").mkdir(parents=True)
    (folder / "torch" / "version.py").write_text(f"__version__ = '{version}'\n")
    return folder / "torch"


@pytest.fixture
def environment(tmp_path: Path) -> Path:
    """An empty virtual environment."""
    venv.create(tmp_path / "env", with_pip=False)
    return tmp_path / "env"


@pytest.fixture
def compiler(tmp_path: Path) -> Path:
    """A folder for PATH that holds a compiler and nothing else."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "c++").touch(mode=0o755)
    return tmp_path / "bin"


def site_packages(environment: Path) -> Path:
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    return environment / "lib" / version / "site-packages"


def run_hook(environment: Path, call: str, **env: str | Path) -> subprocess.CompletedProcess[str]:
    """Call a hook of the backend in ``environment`` under build isolation."""
    overlay = environment / "overlay"
    (overlay / "scikit_build_core").mkdir(parents=True)
    (overlay / "sitecustomize.py").write_text(ISOLATION)
    (overlay / "scikit_build_core" / "__init__.py").touch()
    (overlay / "scikit_build_core" / "build.py").write_text(SCIKIT_BUILD_CORE)
    unset = {"CXX", "CMAKE_ARGS", "CMAKE_TOOLCHAIN_FILE", "SKBUILD_CMAKE_DEFINE", "PYVAE_TORCH_DIR"}
    unset.add("PYVAE_CUDA")
    kept = {k: v for k, v in os.environ.items() if k not in unset}
    return subprocess.run(
        [environment / "bin" / "python", "-c", f"import sys, pyvae_backend as b; print({call})"],
        env={**kept, "PYTHONPATH": f"{overlay}:{BACKEND}"} | {k: str(v) for k, v in env.items()},
        capture_output=True,
        text=True,
    )


def assert_one_sentence(result: subprocess.CompletedProcess[str], *parts: str) -> None:
    assert result.returncode == 1
    assert result.stderr.count("\n") == 1, result.stderr
    assert "Traceback" not in result.stderr
    for part in parts:
        assert part in result.stderr


HOOKS = [
    "b.get_requires_for_build_wheel()",
    "b.get_requires_for_build_editable()",
    "b.build_wheel('dist')",
    "b.build_editable('dist')",
]


@pytest.mark.parametrize("hook", HOOKS)
def test_no_compiler(environment: Path, hook: str) -> None:
    fake_torch(site_packages(environment), "2.13.0")
    result = run_hook(environment, hook, PATH="/nowhere")
    assert_one_sentence(result, "C++20 compiler", "c++, g++, clang++", "apt-get install g++")


def test_named_compiler_is_missing(environment: Path, compiler: Path) -> None:
    fake_torch(site_packages(environment), "2.13.0")
    result = run_hook(environment, "b.build_wheel('dist')", PATH=compiler, CXX="g++-99 -m64")
    assert_one_sentence(result, "C++20 compiler", "looked for g++-99)")


@pytest.mark.parametrize("hook", HOOKS)
def test_old_torch(environment: Path, compiler: Path, hook: str) -> None:
    folder = fake_torch(site_packages(environment), "2.9.1+cpu")
    result = run_hook(environment, hook, PATH=compiler)
    assert_one_sentence(
        result, "torch 2.10 or newer", f"{folder} is torch 2.9", "pip install --upgrade"
    )


def test_no_torch_is_asked_for(environment: Path, compiler: Path) -> None:
    result = run_hook(environment, "b.get_requires_for_build_wheel()", PATH=compiler)
    assert result.stdout == "['ninja', 'torch>=2.10']\n", result.stderr


def test_no_torch_without_isolation(environment: Path, compiler: Path) -> None:
    result = run_hook(environment, "b.build_wheel('dist')", PATH=compiler)
    found_none = f"found none in {site_packages(environment)}"
    assert_one_sentence(result, "torch 2.10 or newer", found_none, "pip install 'torch>=2.10'")


@pytest.mark.parametrize("version", ["2.10.0", "2.13.0+cpu", "2.15.0.dev20261101+cu130", "3.0.0"])
def test_torch_of_the_environment_is_used(environment: Path, compiler: Path, version: str) -> None:
    fake_torch(site_packages(environment), version)
    result = run_hook(environment, "b.get_requires_for_build_wheel()", PATH=compiler)
    assert result.stdout == "['ninja']\n", result.stderr


def test_cmake_is_told_where_torch_is(environment: Path, compiler: Path) -> None:
    folder = fake_torch(site_packages(environment), "2.13.0")
    result = run_hook(
        environment, "b.build_wheel('dist', {'cmake.verbose': 'true'})", PATH=compiler
    )
    settings = {
        "cmake.verbose": "true",
        "cmake.define.PYVAE_TORCH_DIR": str(folder),
        "cmake.define.PYVAE_CUDA": "AUTO",  # whatever an earlier build in the same folder was told
    }
    assert result.stdout.startswith(f"{settings}\n"), result.stderr


@pytest.mark.parametrize("value", ["ON", "off", "Auto"])
def test_cmake_is_told_whether_to_build_cuda_kernels(
    environment: Path, compiler: Path, value: str
) -> None:
    fake_torch(site_packages(environment), "2.13.0")
    result = run_hook(environment, "b.build_wheel('dist')", PATH=compiler, PYVAE_CUDA=value)
    assert f"'cmake.define.PYVAE_CUDA': '{value.upper()}'" in result.stdout, result.stderr


def test_cuda_kernels_may_be_asked_for_by_scikit_builds_own_ways(
    environment: Path, compiler: Path
) -> None:
    fake_torch(site_packages(environment), "2.13.0")
    variable = {"SKBUILD_CMAKE_DEFINE": "PYVAE_WERROR=ON;PYVAE_CUDA=ON"}
    result = run_hook(environment, "b.build_wheel('dist')", PATH=compiler, **variable)
    assert result.returncode == 0, result.stderr
    assert "PYVAE_CUDA" not in result.stdout


@pytest.mark.parametrize("hook", HOOKS)
def test_cuda_setting_is_no_word_for_it(environment: Path, compiler: Path, hook: str) -> None:
    fake_torch(site_packages(environment), "2.13.0")
    result = run_hook(environment, hook, PATH=compiler, PYVAE_CUDA="maybe")
    assert_one_sentence(result, "PYVAE_CUDA=maybe", "AUTO", "ON or OFF")


def test_torch_dir_overrides(environment: Path, compiler: Path, tmp_path: Path) -> None:
    fake_torch(site_packages(environment), "2.9.0")
    folder = fake_torch(tmp_path / "elsewhere", "2.12.0")
    result = run_hook(environment, "b.build_wheel('dist')", PATH=compiler, PYVAE_TORCH_DIR=folder)
    assert str(folder) in result.stdout, result.stderr


def test_torch_dir_without_torch(environment: Path, compiler: Path, tmp_path: Path) -> None:
    result = run_hook(environment, HOOKS[0], PATH=compiler, PYVAE_TORCH_DIR=tmp_path)
    assert_one_sentence(result, f"PYVAE_TORCH_DIR={tmp_path} holds no torch", "torch.__path__[0]")


def test_unsupported_platform(environment: Path) -> None:
    call = "setattr(sys, 'platform', 'win32') or b.build_wheel('dist')"
    assert_one_sentence(run_hook(environment, call), "Linux", "macOS", "WSL", "wsl --install")


def test_sdist_holds_what_a_build_needs_and_nothing_else(tmp_path: Path) -> None:
    call = f"import pyvae_backend as b; b.build_sdist({str(tmp_path)!r})"
    env = {**os.environ, "PYTHONPATH": str(BACKEND)}
    subprocess.run([sys.executable, "-c", call], cwd=ROOT, env=env, check=True)
    (archive,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(archive) as tar:
        names = {name.partition("/")[2] for name in tar.getnames()}
    needed = {"CMakeLists.txt", "pyproject.toml", "README.md", "LICENSE"}
    for pattern in ("csrc/**/*", "pyvae/**/*", "build_support/*"):
        needed |= {f.relative_to(ROOT).as_posix() for f in ROOT.glob(pattern) if f.is_file()}
    built = re.compile(r"__pycache__|\.(so|dylib)$")
    assert names == {"PKG-INFO"} | {name for name in needed if not built.search(name)}


def test_hooks_pin_what_the_dev_extra_pins() -> None:
    hooks = re.findall(r"_dependencies: \[(.+)\]", (ROOT / ".pre-commit-config.yaml").read_text())
    pins = re.findall(r'"([\w-]+==[^"]+)"', (ROOT / "pyproject.toml").read_text())
    assert set(hooks) == set(pins)
